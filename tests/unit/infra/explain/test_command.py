"""`dutchbook explain`: what it reads from which topic, and one clear line for everything that is not there."""

import argparse
import json
from typing import Any

import pytest
from confluent_kafka import KafkaError
from msgspec.structs import replace

from infra.explain import command as explain_command
from infra.explain import kafka as explain_kafka
from infra.explain.check import check
from infra.explain.command import add_arguments
from infra.explain.kafka import ExplainError
from infra.explain.text import lines
from runtime import kafka
from runtime.kafka import KafkaUnavailable
from schemas.codec import encode, encode_books
from schemas.records import Group, Market, Record
from schemas.runs import run_topic
from tests.unit.infra.explain.explained import CONDITION, MS, SECOND, START, Story, three_candidates, two_venues
from tests.unit.infra.kafka_cluster import FakeCluster
from tests.unit.sinks.make import ticket

TOPICS = ("opportunity", "group", "market.kalshi", "eu.market.polymarket", "ticket")
BOOKS = ("book.kalshi", "eu.book.polymarket")
KALSHI = "KXBTC15M-26FEB072230-30"
ID = "7e9ac5fffec17224f0c8f22a22db24ac"
DAY_MS = 86_400_000


def publish(cluster: FakeCluster, story: Story, *, run: str = "") -> None:
    """A story as the topics of the us cluster have it."""
    for topic, records in story.records.items():
        for books in records:
            cluster.add(topic, encode_books(books), partition=5)
    publish_reference(cluster, story.group, START // MS)
    for market in story.markets:
        publish_reference(cluster, market, START // MS)
    for event in story.events:
        headers = [("produced_ns", str(event.produced_ns).encode()), ("journal", b"\xc3\x01\xff")]
        topic = run_topic(run, "opportunity")
        cluster.add(topic, encode(event.record), timestamp_ms=event.timestamp_ms, headers=headers)


def publish_reference(cluster: FakeCluster, record: Group | Market, timestamp_ms: int) -> None:
    if isinstance(record, Group):
        cluster.add("group", encode(record), key=record.group.encode(), timestamp_ms=timestamp_ms)
    else:
        topic = "market.kalshi" if record.venue == "kalshi" else "eu.market.polymarket"
        cluster.add(topic, encode(record), key=record.market.encode(), timestamp_ms=timestamp_ms)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster(TOPICS)
    for topic in BOOKS:
        made.create(topic, 8)
    monkeypatch.setattr(kafka, "consumer", made.consumer)
    return made


@pytest.fixture
def story(cluster: FakeCluster) -> Story:
    made = two_venues()
    publish(cluster, made)
    return made


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return explain_command.run(parser.parse_args(arguments), lambda region, _folder: f"{region}:9092")


def refused(*arguments: str) -> str:
    """What it says when it ends with exit code 2."""
    with pytest.raises(ExplainError) as caught:
        run(*arguments)
    return str(caught.value)


def screen(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_life_and_the_opening(cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ID) == 0
    facts = story.facts()
    assert screen(capsys) == list(lines(facts, check(facts)))
    assert all(client.closed for client in cluster.clients)


def test_three_legs(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    other = three_candidates()
    publish(cluster, other)
    assert run(other.events[0].record.opportunity_id) == 0
    facts = other.facts()
    assert screen(capsys) == list(lines(facts, check(facts)))


@pytest.mark.parametrize("revision", [0, 1, 2])
def test_one_revision(story: Story, capsys: pytest.CaptureFixture[str], revision: int) -> None:
    assert run(ID[:8].upper(), "--revision", str(revision), "--depth", "2") == 0
    facts = story.facts(revision, show_life=False)
    assert screen(capsys) == list(lines(facts, check(facts), 2))


def test_without_its_opening_the_first_event_there_is(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.evict("opportunity", 0, 1)
    assert run(ID) == 0
    assert any(line.startswith("changed: revision 1 of ") for line in screen(capsys))
    again = replace(story.events[0].record, revision=3)
    cluster.add("opportunity", encode(again), timestamp_ms=1)
    assert run(ID) == 0
    assert any(line.startswith("opened: revision 3 of ") for line in screen(capsys))


def test_events_are_told_in_order_of_their_revisions(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    story = two_venues()
    story.events.reverse()
    publish(cluster, story)
    assert run(ID) == 0
    assert [line.split()[1] for line in screen(capsys)[2:5]] == ["0", "1", "2"]


def test_an_event_that_was_written_twice_counts_once(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    again = replace(story.events[0].record, time_ns=story.events[0].record.time_ns + 1, journal_position=1)
    cluster.add("opportunity", encode(again), timestamp_ms=1)
    assert run(ID) == 0
    found = screen(capsys)
    assert found[0].startswith(f"opportunity {ID}: 3 events, closed after")
    assert "  record      opportunity, partition 0, offset 0" in found


# -- what belongs to it ------------------------------------------------------------------------------------------------


def test_the_records_in_force_at_the_decision(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    kalshi = story.markets[0]
    dearer = replace(kalshi, fee=replace(kalshi.fee, taker_rate=90_000), title="later")
    decided_ms = story.events[0].produced_ns // MS
    publish_reference(cluster, dearer, decided_ms + 1)
    publish_reference(cluster, replace(story.group, status="blocked"), decided_ms + 1)
    assert run(ID) == 0
    found = screen(capsys)
    assert "group g: approved (now blocked)" in found
    assert f"leg 0: YES 0.5700 kalshi, {kalshi.title}" in found
    assert run(ID, "--revision", "1") == 1
    found = screen(capsys)
    assert "group g: blocked" in found
    assert [line for line in found if line.startswith("check")] == [
        "check: leg 0 (YES kalshi), fee: recorded 2.395800, recomputed 3.085800"
        " (market record of 2026-02-08 03:00:02)"
    ]  # fmt: skip


def test_a_record_of_the_very_moment_counts(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_reference(cluster, replace(story.group, evidence="of the moment"), story.events[0].produced_ns // MS)
    assert run(ID) == 0
    assert "  evidence    of the moment" in screen(capsys)


def test_without_a_header_the_decision_says_what_was_in_force(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    story = two_venues()
    publish(cluster, story)
    decided_ms = story.events[0].record.time_ns // MS
    publish_reference(cluster, replace(story.group, evidence="of the moment"), decided_ms)
    publish_reference(cluster, replace(story.group, evidence="later"), decided_ms + 1)
    for message, headers in zip(cluster.logs["opportunity", 0], ([], [("produced_ns", b"soon")], []), strict=True):
        message._headers = headers
    for revision in ("0", "1"):
        assert run(ID, "--revision", revision) == 0
        found = screen(capsys)
        assert "  produced_ns (header)    unknown" in found
        assert f"  evidence    {'later' if revision == '1' else 'of the moment'}" in found


def test_a_closing_is_checked_by_what_was_in_force_at_the_last_size(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    kalshi = story.markets[0]
    dearer = replace(kalshi, fee=replace(kalshi.fee, taker_rate=90_000))
    publish_reference(cluster, dearer, story.events[1].produced_ns // MS + 1)
    assert run(ID, "--revision", "2") == 0
    assert screen(capsys)[-1].startswith("check: each leg's levels")


def test_where_only_a_later_market_record_is_kept(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    story = two_venues()
    story.markets = [replace(one, fee=replace(one.fee, taker_rate=90_000)) for one in story.markets]
    publish(cluster, story)
    for topic in TOPICS[2:4]:
        for message in cluster.logs[topic, 0]:
            message._timestamp_ms += DAY_MS
    for one in story.markets:
        publish_reference(cluster, replace(one, fee=replace(one.fee, taker_rate=1)), START // MS + 2 * DAY_MS)
    assert run(ID) == 1
    later = "(market record of 2026-02-09 03:00:00; none before)"
    words = " ".join(" ".join(screen(capsys)).split()).partition(" check: ")[2]
    assert words.split(" check: ") == [
        f"leg 0 (YES kalshi), fee: recorded 1.815800, recomputed 2.335800 {later}",
        f"leg 1 (NO polymarket), fee: recorded 0.971000, recomputed 2.184760 {later}",
    ]


def test_a_removed_group_and_records_of_another_release(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add("group", None, key=b"g", timestamp_ms=START // MS + DAY_MS)
    unknown = b"\xc3\x01" + b"\x09" * 8
    cluster.add("market.kalshi", unknown, key=KALSHI.encode(), timestamp_ms=START // MS + 1)
    cluster.add("ticket", unknown)
    assert run(ID) == 0
    found = screen(capsys)
    assert "group g: approved (now removed)" in found
    assert found[-1] == "check: leg 0 cannot be computed again without its market record"


def test_titles_of_the_whole_group_and_without_a_group_of_the_legs(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    third = replace(story.markets[0], market="KX-3", title="a third one")
    publish_reference(cluster, third, START // MS)
    member = replace(story.group.members[0], market="KX-3")
    publish_reference(cluster, replace(story.group, members=(*story.group.members, member)), START // MS)
    assert run(ID) == 0
    assert f"    2  kalshi     {'KX-3':32}  a third one" in screen(capsys)
    cluster.logs["group", 0].clear()
    assert run(ID) == 0
    found = screen(capsys)
    assert "group g: no record of it that can be read is kept" in found
    assert f"leg 0: YES 0.5700 kalshi, {story.markets[0].title}" in found


def test_the_newest_revision_of_each_of_its_tickets(
    cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = ticket(1, 0, opportunity_id=ID, group="g")
    filled = replace(mine, revision=3, state="filled", realised_net=4_484_000, expected_net=4_484_615)
    for one in (mine, filled, replace(mine, revision=2), ticket(2, 0, opportunity_id="another")):
        cluster.add("ticket", encode(one))
    assert run(ID) == 0
    found = screen(capsys)
    at = found.index("tickets: 1")
    assert found[at + 1] == (
        "  ticket-1    filled   g  1.00 contracts  realised $4.484000 of expected $4.484615"
    )  # fmt: skip
    assert found[at + 2] == ""


def test_json_has_the_same_content(cluster: FakeCluster, story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.add("ticket", encode(ticket(1, 0, opportunity_id=ID)))
    assert run(ID, "--json") == 0
    [line] = screen(capsys)
    shown = json.loads(line)
    assert (shown["opportunity_id"], shown["topic"], shown["run"], shown["bought"]) == (ID, "opportunity", "", 0)
    assert [event["record"]["event"] for event in shown["life"]] == ["opened", "changed", "closed"]
    assert shown["event"] == shown["life"][0]
    assert shown["event"]["produced_ns"] == story.events[0].produced_ns
    assert (shown["group"]["group"], shown["group_status_now"]) == ("g", "approved")
    assert [market["record"]["market"] for market in shown["markets"]] == [KALSHI, CONDITION]
    first, second = shown["legs"]
    assert (first["leg"], first["claim"]["outcome"], first["problem"]) == (0, "yes", "")
    assert (first["book"]["asks"][0], first["book"]["sequence"]) == ([5_700, 6_600], 1)
    assert "ladder" not in first["book"]
    assert second["proof_age_ns"] == 332 * MS
    assert second["trail"][1] == {"stamp": "api_call_start_ns", "ns": START + 2_030 * MS, "step_ns": -188 * MS}
    assert shown["published"][0]["step_ns"] == 450_000
    assert shown["waterfall"][0] == {"step": "payout", "amount": 105_990_000, "left": 105_990_000}
    assert shown["waterfall"][-1] == {"step": "net", "amount": 0, "left": 4_484_615}
    journal = {"topic": "journal.detector", "partition": 5, "epoch": START - 60 * SECOND, "position": 41}
    assert shown["journal"] == journal
    assert [one["ticket_id"] for one in shown["tickets"]] == ["ticket-1"]
    assert shown["check"] == {"differences": [], "unchecked": []}


def test_json_of_one_revision_of_a_run_without_books_group_or_markets(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    story = two_venues()
    publish(cluster, story, run="again")
    for topic in ("group", "market.kalshi", "eu.market.polymarket"):
        cluster.logs[topic, 0].clear()
    cluster.evict("book.kalshi", 5, 3)
    said = refused(ID, "--json", "--run", "again", "--revision", "2")
    shown = json.loads(capsys.readouterr().out)
    assert "life" not in shown
    assert (shown["run"], shown["topic"], shown["bought"]) == ("again", "replay.again.opportunity", 1)
    assert (shown["group"], shown["group_status_now"], shown["markets"]) == (None, None, [])
    assert (shown["legs"][0]["book"], f"leg 0: {shown['legs'][0]['problem']}") == (None, said)
    assert shown["check"]["unchecked"] == [0, 1]


# -- runs --------------------------------------------------------------------------------------------------------------


def test_a_run_has_its_own_opportunities_and_tickets_and_the_live_books(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    story = two_venues()
    # The run is played a day later: what it publishes has that clock, what it decides has the clock of the recording.
    story.events = [
        type(event)(event.record, event.offset, event.timestamp_ms + DAY_MS, event.produced_ns + DAY_MS * MS)
        for event in story.events
    ]
    publish(cluster, story, run="again")
    publish_reference(cluster, replace(story.group, evidence="later"), START // MS + 3_600_000)
    cluster.add("replay.again.ticket", encode(ticket(1, 0, opportunity_id=ID, state="refused", reason="limits")))
    cluster.add("ticket", encode(ticket(2, 0, opportunity_id=ID)))
    assert run(ID, "--run", "again") == 0
    found = screen(capsys)
    assert "  record      replay.again.opportunity, partition 0, offset 0" in found
    assert any(line.startswith("  journal     replay.again.journal.detector, partition 5, epoch") for line in found)
    assert "  record      eu.book.polymarket, partition 5, offset 0, index 1" in found
    assert "  evidence    later" not in found
    assert [line for line in found if "refused" in line] == [
        "  ticket-1    refused  test-group  1.00 contracts  limits"
    ]
    assert "tickets: 1" in found
    assert refused(ID) == f"no opportunity in opportunity has the id {ID}"


def test_a_run_without_an_executor(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    publish(cluster, two_venues(), run="again")
    assert run(ID, "--run", "again") == 0
    assert "tickets: none" in screen(capsys)


def test_an_unknown_run_names_the_known_ones(cluster: FakeCluster, story: Story) -> None:
    assert refused(ID, "--run", "x") == "there is no run 'x'; runs: none"
    cluster.create("replay.b.run")
    cluster.create("replay.a.run")
    assert refused(ID, "--run", "x") == "there is no run 'x'; runs: a, b"


# -- what is not there -------------------------------------------------------------------------------------------------


def test_an_id_must_be_long_enough_known_and_one(cluster: FakeCluster, story: Story) -> None:
    assert refused("7e9ac5f") == "'7e9ac5f' is too short: give an id, or at least its first 8 digits"
    assert refused("00000000") == "no opportunity in opportunity has an id that begins with 00000000"
    assert refused(ID[1:]) == f"no opportunity in opportunity has an id that begins with {ID[1:]}"
    assert refused("0" * 32) == f"no opportunity in opportunity has the id {'0' * 32}"
    cluster.add("opportunity", b"\xc3\x01" + b"\x09" * 8)
    assert refused("00000000").startswith(
        "no opportunity in opportunity has an id that begins with 00000000 (1 of its records cannot be read: unknown"
    )


def test_candidates_are_listed(cluster: FakeCluster, story: Story) -> None:
    for number in range(10):
        other = replace(story.events[0].record, opportunity_id=f"{ID[:9]}{number}", group=f"g{number}")
        cluster.add("opportunity", encode(other))
    said = refused(ID[:8]).splitlines()
    assert said[0] == f"{ID[:8]} begins 11 ids:"
    assert said[1] == f"  {ID}  2026-02-08 03:00:02.112000  g"
    assert said[2] == f"  {ID[:9]}0  2026-02-08 03:00:02.112000  g0"
    assert said[11:] == ["  … 1 more"]
    assert f"{ID[:9]}9" not in refused(ID[:9]).replace(ID, "")


def test_a_revision_that_is_not_there(cluster: FakeCluster, story: Story) -> None:
    assert refused(ID, "--revision", "3") == f"opportunity {ID} has no revision 3: it has 0 to 2"


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "²"])
def test_a_revision_is_a_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(ID, f"--revision={text}")
    assert f"{text!r} is not a whole number from 0 on" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer(cluster: FakeCluster) -> None:
    cluster.failure = KafkaError(KafkaError._TRANSPORT)
    with pytest.raises(KafkaUnavailable, match="the cluster at us:9092 does not answer: "):
        run(ID)
    assert all(client.closed for client in cluster.clients)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_that_does_not_exist(cluster: FakeCluster, story: Story, topic: str) -> None:
    del cluster.logs[topic, 0]
    with pytest.raises(KafkaUnavailable, match=f"topic {topic} does not exist"):
        run(ID)


PLACE = "book.kalshi, partition 5, offset 0"


def lose_topic(cluster: FakeCluster) -> None:
    for partition in range(8):
        del cluster.logs["book.kalshi", partition]


def lose_partition(cluster: FakeCluster) -> None:
    del cluster.logs["book.kalshi", 5]


def evict(cluster: FakeCluster) -> None:
    cluster.evict("book.kalshi", 5, 2)


def evict_one(cluster: FakeCluster) -> None:
    cluster.evict("book.kalshi", 5, 1)


def evict_all(cluster: FakeCluster) -> None:
    cluster.evict("book.kalshi", 5, 3)
    cluster.logs["book.kalshi", 5].clear()


def begin_anew(cluster: FakeCluster) -> None:
    cluster.logs["book.kalshi", 5].clear()


def leave_a_gap(cluster: FakeCluster) -> None:
    cluster.logs["book.kalshi", 5].pop(0)


def put(value: bytes | None) -> Any:
    def change(cluster: FakeCluster) -> None:
        cluster.logs["book.kalshi", 5][0]._fields["value"] = value

    return change


def encoded(record: Record) -> bytes:
    return encode(record)


NO_BOOKS = encode_books([])
BROKEN = encode_books([replace(two_venues().records["book.kalshi"][0][0], ladder=b"\0" * 8)])
KINDS = encoded(two_venues().group)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_topic, f"{PLACE}: the topic does not exist"),
        (lose_partition, f"{PLACE}: Local: Unknown partition"),
        (evict, f"{PLACE}: deleted by retention, the earliest kept is 2"),
        (evict_one, f"{PLACE}: deleted by retention, the earliest kept is 1"),
        (evict_all, f"{PLACE}: deleted by retention, nothing is kept"),
        (begin_anew, f"{PLACE}: not written yet, the partition ends at 0"),
        (leave_a_gap, f"{PLACE}: not there, the next record is 1"),
        (put(b"\xc3\x01" + b"\x09" * 8), f"{PLACE}: the record cannot be read: unknown schema fingerprint 0909090909"),
        (put(None), f"{PLACE}: the record cannot be read: value of 0 bytes does not begin with"),
        (put(KINDS), f"{PLACE}: the record cannot be read: expected books, found a group record"),
        (put(NO_BOOKS), f"{PLACE}: index 0 is not there: the record has 0 books"),
        (put(BROKEN), f"{PLACE}, index 0: kalshi {KALSHI}: ladder of 8 bytes does not hold 7 bids and 3 asks"),
    ],
)  # fmt: skip
def test_a_ladder_that_is_gone_leaves_the_rest(
    cluster: FakeCluster, story: Story, harm: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(cluster)
    told = refused(ID)
    assert told.startswith(f"leg 0: {said}")
    assert "\n" not in told
    found = screen(capsys)
    assert any(line.startswith(f"  ladder      {said[:60]}") for line in found)
    assert "           50.00    0.6500     0.6600         10.00   * 50.00 NO at 0.3500" in found
    assert found[-1] == "check: leg 0 cannot be computed again without its book"


def test_both_ladders_gone_are_both_named(cluster: FakeCluster, story: Story) -> None:
    for topic in BOOKS:
        cluster.evict(topic, 5, 1)
    assert [part[:18] for part in refused(ID).split("; ")] == ["leg 0: book.kalshi", "leg 1: eu.book.pol"]


def test_a_record_that_never_comes(
    cluster: FakeCluster, story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explain_kafka, "READ_S", 0.0)
    assert "leg 0: book.kalshi, partition 5, offset 0: nothing was read for 0 s" in refused(ID)


def test_headings_are_bold_on_a_terminal_alone(
    cluster: FakeCluster, story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ID) == 0
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(ID) == 0
    bold = capsys.readouterr().out
    assert bold.startswith("\x1b[1mopportunity ")
    assert bold.count("\x1b[1m") == bold.count("\x1b[0m\n") == 10
    assert bold.replace("\x1b[1m", "").replace("\x1b[0m", "") == plain
