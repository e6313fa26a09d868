"""What is read off a run over the whole road."""

import pytest
from msgspec.structs import replace

from bench.load import rounds
from bench.trail import Seen, Window, bottleneck, journey, latencies, rates, seen_books
from schemas.records import Book, Opportunity, OpportunityLeg

MILLISECOND = 1_000_000


def book(**fields: object) -> Book:
    _, (first, *_) = next(rounds(1, 1))
    return replace(first, **fields)


def opportunity(cause: int, received_ns: int) -> Opportunity:
    def leg(venue: str) -> OpportunityLeg:
        return OpportunityLeg(
            venue=venue, market="m", outcome="yes", best_price=1, limit_price=1, levels=(), cost=0, fee=0, epoch=1,  # type: ignore[arg-type]
            sequence=1, topic="t", partition=0, offset=0, index=0, confirmed_ns=0, api_response_ns=0,
            processing_complete_ns=0, virginia_received_ns=0,
        )  # fmt: skip

    return Opportunity(
        opportunity_id="o", revision=0, event="opened", reason="", group="g", basket="b",
        legs=(leg("kalshi"), leg("polymarket")), quantity=1, payout=1, gross=1, fees=0, net=1, peak_net=1, opened_ns=0,
        time_ns=0, cause=cause, cause_api_response_ns=received_ns, partition=0, journal_epoch=0,
    )  # fmt: skip


def test_repetitions_and_books_outside_the_window_do_not_count() -> None:
    books = [
        book(api_response_ns=9),
        book(api_response_ns=10),
        book(api_response_ns=12, republished=True),
        book(api_response_ns=20),
        book(api_response_ns=21),
    ]
    seen = seen_books([(("t", 0, 7), books)], {("t", 0, 7): 30}, Window(10, 20))
    assert [(one.received_ns, one.taken_in_ns) for one in seen] == [(10, 30), (20, 30)]


def test_a_book_that_the_journal_does_not_know_is_an_error() -> None:
    with pytest.raises(KeyError):
        seen_books([(("t", 0, 7), [book(api_response_ns=10)])], {}, Window(10, 20))


def test_latency_is_counted_for_the_venue_whose_frame_caused_the_event() -> None:
    events = [
        (opportunity(0, 100 * MILLISECOND), 103 * MILLISECOND),
        (opportunity(1, 100 * MILLISECOND), 107 * MILLISECOND),
        (opportunity(-1, 0), 150 * MILLISECOND),
        (opportunity(0, 99 * MILLISECOND), 199 * MILLISECOND),
    ]
    found = latencies(events, Window(100 * MILLISECOND, 200 * MILLISECOND))
    assert found["kalshi frame to opportunity, max"] == 3.0
    assert found["polymarket frame to opportunity, max"] == 7.0


def seen(taken_in_s: int) -> list[Seen]:
    second = 1_000_000_000
    return [Seen(venue, number * second, number * second + taken_in_s * second)
            for venue in ("kalshi", "polymarket") for number in range(11)]  # fmt: skip


def test_rates_are_those_of_each_entrance() -> None:
    found = rates(seen(0))
    assert found["- frames into the kalshi producer"] == 1.0
    assert found["books through the whole road"] == 2.0


def test_journey_is_in_milliseconds() -> None:
    assert journey(seen(2))["polymarket frame to detector, p50"] == 2000.0


@pytest.mark.parametrize(
    ("cores", "machine", "late", "words"),
    [
        ({"a": 0.7, "b": 0.6}, 1.95, 0, ["the processor", "nothing waited"]),
        ({"a": 0.95, "b": 0.1}, 1.2, 20, ["the one core of a", "books waited behind"]),
        ({"a": 0.2}, 0.4, 0, ["waiting between the parts"]),
    ],
)
def test_the_bottleneck_is_named(cores: dict[str, float], machine: float, late: int, words: list[str]) -> None:
    said = bottleneck(cores, machine, 2, seen(late))
    assert all(word in said for word in words)
