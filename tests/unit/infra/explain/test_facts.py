"""What follows from one event: the waterfall, the trail, and which event has the size."""

from msgspec.structs import replace

from infra.explain.facts import PROOF, Event, LegFacts, bought, proof_age_ns, published, trail, waterfall
from tests.unit.infra.explain.explained import MS, START, Story, three_candidates, two_venues


def test_the_waterfall_adds_up_to_what_the_core_said() -> None:
    for story in (two_venues(), three_candidates()):
        for event in story.events:
            record = event.record
            if record.event == "closed":
                continue
            steps = waterfall(record)
            left = {step.name: step.left for step in steps}
            assert record.depth_cost > 0
            assert (left["gross"], left["net"]) == (record.gross, record.net)
            assert left["costs"] == record.gross + record.depth_cost
            assert sum(step.amount for step in steps) == record.net
            assert [step.name for step in steps] == [
                "payout", "costs", "depth", "gross", "fees", "gas", "basis", "settlement_risk", "time_value", "net",
            ]  # fmt: skip
            assert steps[4].amount == -record.fees < 0


def test_the_waterfall_shows_a_record_that_does_not_add_up() -> None:
    record = two_venues().events[0].record
    assert waterfall(replace(record, net=record.net + 1))[-1].left == record.net


def leg(story: Story, number: int) -> LegFacts:
    return story.facts().legs[number]


def test_the_trail_of_a_leg() -> None:
    story = two_venues()
    decided_ns = story.events[0].record.time_ns
    assert decided_ns == START + 2_112 * MS
    assert [(stamp.name, stamp.ns - START, stamp.step_ns) for stamp in trail(leg(story, 1), decided_ns)] == [
        ("exchange_ns", 2_218 * MS, None),
        ("api_call_start_ns", 2_030 * MS, -188 * MS),
        ("api_response_ns", 2_030 * MS, 0),
        ("processing_complete_ns", 2_030 * MS + 300_000, 300_000),
        (PROOF, 1_780 * MS, 332 * MS),
        ("virginia_received_ns", 2_112 * MS, 82 * MS - 300_000),
        ("time_ns", 2_112 * MS, 0),
    ]


def test_unknown_stamps_leave_no_step() -> None:
    story = three_candidates()
    stamps = {stamp.name: stamp for stamp in trail(leg(story, 2), story.events[0].record.time_ns)}
    assert (stamps["exchange_ns"].ns, stamps["api_call_start_ns"].step_ns) == (0, None)
    gone = replace(leg(story, 2).leg, confirmed_ns=0, processing_complete_ns=0)
    stamps = {stamp.name: stamp for stamp in trail(LegFacts(2, gone, None, "gone", None), START + 1_290 * MS)}
    assert (stamps["api_call_start_ns"].ns, stamps["api_response_ns"].step_ns) == (0, None)
    assert (stamps[PROOF].step_ns, stamps["processing_complete_ns"].step_ns) == (None, None)
    assert stamps["virginia_received_ns"].step_ns == 90 * MS


def test_the_age_of_the_proof_is_that_at_the_decision() -> None:
    story = two_venues()
    assert proof_age_ns(leg(story, 0).leg, story.events[0].record.time_ns) == 362 * MS


def test_after_the_decision() -> None:
    event = two_venues().events[0]
    header, timestamp = published(event)
    assert (header.ns - START, header.step_ns) == (2_112 * MS + 450_000, 450_000)
    assert (timestamp.ns - START, timestamp.step_ns) == (2_112 * MS, -450_000)
    header, timestamp = published(Event(event.record, 0, event.timestamp_ms + 3, 0))
    assert (header.ns, header.step_ns, timestamp.step_ns) == (0, None, 3 * MS)


def test_a_closing_tells_of_the_last_size() -> None:
    opened, changed, closed = life = tuple(two_venues().events)
    assert [bought(life, event) for event in life] == [opened, changed, changed]
    assert bought((opened, closed), closed) is opened
    assert bought((closed,), closed) is closed
    assert bought((closed, Event(replace(changed.record, revision=3), 9, 0, 0)), closed) is closed
