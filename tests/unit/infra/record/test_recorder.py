"""From raw records to the lines of a tape, venue by venue; `tests/fidelity/test_record.py` has the faults."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from infra.rebuild import Entry, Rebuilder
from infra.record.frames import DAMAGED, OTHERS, OVERTAKEN, REPEATED, REPLIES, UNCHANGED, RecordError
from infra.record.recorder import EVERYTHING, QUIET_NS, Recorder, TapeLine
from infra.simulator.exchange import TokenBook
from infra.simulator.frames import PolymarketWriter
from infra.simulator.metadata import PolymarketFacts
from producers.kalshi.commands import subscribe
from producers.polymarket.commands import books_request, change_subscription
from producers.polymarket.rest import BOOKS_PATH
from producers.transcript import Closed, Follow, Followed, Mark, Opened, Release, encode_mark
from schemas.records import Book, Level, Market
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES, delta, snapshot
from tests.unit.producers.support import make_market

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
A, B = make_market("kalshi", "A-1"), make_market("kalshi", "A-2")
P = replace(make_market("polymarket", CONDITION, (YES, NO)), minimum_quantity=500)

Sides = tuple[list[Level], list[Level]]


def connection(name: str, at_s: float, *texts: str, market: Market = A, gap_s: float = 0.1) -> list[Entry]:
    """A connection that begins at a time and its frames, so many seconds apart."""
    marks: tuple[Mark, ...] = Follow((Followed(market, "g"),)), Opened()
    at_ns, gap_ns = round(at_s * SECOND), round(gap_s * SECOND)
    begin = [Entry(name, number, at_ns, "mark", encode_mark(mark)) for number, mark in enumerate(marks)]
    frames = [Entry(name, 2 + n, at_ns + (1 + n) * gap_ns, "ws", text.encode()) for n, text in enumerate(texts)]
    return [*begin, *frames]


def lines(recorder: Recorder, entries: Iterable[Entry]) -> list[TapeLine]:
    return [line for entry in entries for line in recorder.take(entry)]


def kalshi(*markets: Market, **more: Any) -> Recorder:
    return Recorder("kalshi", map(Followed, markets or (A,)), **more)


def places(found: Iterable[TapeLine]) -> list[tuple[int, int]]:
    """Sid and number of each line."""
    frames = [json.loads(line.frame) for line in found]
    return [(frame["sid"], frame["seq"]) for frame in frames]


def played(found: Iterable[TapeLine], market: Market = A) -> list[tuple[str, Sides]]:
    """What whoever plays the lines says, one after the other."""
    rebuilder = Rebuilder(market.venue, EVERYTHING)
    said: list[Book] = []
    begin: tuple[Mark, ...] = (Follow((Followed(market),)), Opened())
    for number, mark in enumerate(begin):
        rebuilder.take(Entry("tape-0", number, 1, "mark", encode_mark(mark)))
    for number, line in enumerate(found):
        said += rebuilder.take(Entry("tape-0", 2 + number, line.t, "ws", line.frame.encode()))
    return [(book.state, book.sides()) for book in said]


WHOLE = snapshot(1, yes=[["0.4000", "10.00"]], no=[["0.5000", "7.00"]])
MORE = delta(2, "0.3900", "5.00")


def test_frames_of_one_connection_are_verbatim() -> None:
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, WHOLE, MORE))
    assert found == [(1_100_000_000, WHOLE), (1_200_000_000, MORE)]
    assert (recorder.entries, recorder.lines, recorder.made) == (4, 2, 0)
    assert (recorder.first_ns, recorder.last_ns) == (SECOND, 1_200_000_000)
    assert recorder.told == {"A-1": 2}
    assert [*recorder.left_out, *recorder.untold, *recorder.unequal, *recorder.incomplete] == []


def test_a_second_connection_has_numbers_of_its_own_and_its_whole_book_replaces_the_ladder() -> None:
    lost = Entry("kalshi-p-0", 4, 2 * SECOND, "mark", encode_mark(Closed("disconnected")))
    other = snapshot(1, yes=[["0.4100", "1.00"]])
    entries = [*connection("kalshi-p-0", 1, WHOLE, MORE), lost, *connection("kalshi-p-1", 3, other, MORE)]
    recorder = kalshi()
    found = lines(recorder, entries)
    assert places(found) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert json.loads(found[2].frame)["msg"] == json.loads(other)["msg"]
    assert played(found)[-1] == ("live", ([(4100, 100), (3900, 500)], []))
    assert recorder.untold == {"recovering: disconnected": 1}


def test_replies_are_left_out_and_the_numbers_close_up() -> None:
    reply = '{"type":"ok","id":7,"sid":1,"seq":2,"msg":{"market_tickers":["A-1"]}}'
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, WHOLE, reply, delta(3, "0.3900", "5.00")))
    assert places(found) == [(1, 1), (1, 2)]
    assert [state for state, _ in played(found)] == ["live", "live"]
    assert recorder.left_out == {REPLIES: 1}


def test_the_number_of_the_command_that_a_snapshot_answers_is_no_more() -> None:
    asked = json.dumps(json.loads(WHOLE) | {"id": 9})
    (found,) = lines(kalshi(), connection("kalshi-p-0", 1, asked))
    assert json.loads(found.frame) == json.loads(WHOLE)


def test_a_gap_stays_one_and_a_frame_that_comes_twice_comes_once() -> None:
    texts = (WHOLE, MORE, MORE, delta(5, "0.3800", "1.00"), snapshot(6, yes=[["0.3000", "1.00"]]))
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, *texts))
    assert places(found) == [(1, 1), (1, 2), (1, 4), (1, 5)]
    assert [state for state, _ in played(found)] == ["live", "live", "recovering", "live"]
    assert recorder.left_out == {REPEATED: 1}
    assert recorder.untold == {"recovering: sequence gap": 1}


def test_a_gap_that_a_left_out_frame_showed_is_at_the_next_frame() -> None:
    reply = '{"type":"ok","sid":1,"seq":5,"msg":{}}'
    found = lines(kalshi(), connection("kalshi-p-0", 1, WHOLE, reply, delta(6, "0.3800", "1.00")))
    assert places(found) == [(1, 1), (1, 3)]


@pytest.mark.parametrize(
    "ended",
    [
        '{"type":"error","sid":1,"seq":4,"msg":{"code":25,"msg":"overflow"}}',
        '{"type":"unsubscribed","sid":1,"seq":4}',
    ],
)
def test_a_subscription_that_ended_and_came_again_counts_anew(ended: str) -> None:
    """Its first number is any number."""
    before = (WHOLE, MORE, delta(3, "0.3800", "5.00"), ended)
    again = '{"type":"subscribed","id":2,"msg":{"channel":"orderbook_delta","sid":1}}'
    after = (again, snapshot(3, yes=[["0.4000", "10.00"]]), delta(4, "0.3900", "5.00"))
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, *before, *after))
    assert places(found) == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    assert played(found)[-1] == ("live", ([(4000, 1000), (3900, 500)], []))
    assert (recorder.made, recorder.unequal) == (0, set())


def test_a_subscription_that_is_told_again_may_count_anew() -> None:
    again = '{"type":"subscribed","id":2,"msg":{"channel":"orderbook_delta","sid":1}}'
    texts = (WHOLE, MORE, again, snapshot(1, yes=[["0.4000", "10.00"]]), MORE)
    recorder = kalshi()
    assert places(lines(recorder, connection("kalshi-p-0", 1, *texts))) == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert (recorder.made, recorder.left_out) == (0, {REPLIES: 1})


def test_frames_about_other_markets_are_left_out() -> None:
    other = snapshot(2, "A-2", yes=[["0.4000", "1.00"]])
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, WHOLE, other, delta(3, "0.3900", "5.00")))
    assert places(found) == [(1, 1), (1, 2)]
    assert recorder.left_out == {OTHERS: 1}


def test_whole_books_that_say_nothing_new_are_proofs_of_a_quiet_feed_only() -> None:
    same = [snapshot(number, yes=[["0.4000", "10.00"]], no=[["0.5000", "7.00"]]) for number in range(2, 7)]
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 0, WHOLE, *same, gap_s=0.4))
    assert [line.t for line in found] == [400 * MILLISECOND, 1_600 * MILLISECOND]
    assert found[1].t - found[0].t >= QUIET_NS
    assert recorder.left_out == {UNCHANGED: 4}


def test_a_whole_book_is_news_to_a_tape_that_does_not_trust_its_own() -> None:
    same = snapshot(2, yes=[["0.4000", "10.00"]], no=[["0.5000", "7.00"]])
    *before, last = connection("kalshi-p-0", 0, WHOLE, same)
    recorder = kalshi()
    lines(recorder, before)
    recorder._shown["A-1"] = replace(recorder._shown["A-1"], state="recovering")
    assert len(lines(recorder, [last])) == 1


def test_shards_have_numbers_of_their_own() -> None:
    """So that each may be put elsewhere in the file; a gap is one for all of them."""
    follow = [Entry("kalshi-p-0", 0, 1, "mark", encode_mark(Follow((Followed(A), Followed(B)))))]
    texts = (WHOLE, snapshot(2, "A-2", yes=[["0.4000", "1.00"]]), delta(4, "0.3900", "5.00"), snapshot(5, "A-2"))
    frames = [Entry("kalshi-p-0", 2 + n, 3 + n, "ws", text.encode()) for n, text in enumerate(texts)]
    opened = Entry("kalshi-p-0", 1, 2, "mark", encode_mark(Opened()))
    recorder = kalshi(A, B, shard={"A-1": 3, "A-2": 5}.__getitem__)
    assert places(lines(recorder, [*follow, opened, *frames])) == [(1, 1), (2, 2), (1, 3), (2, 4)]


def test_the_time_beside_a_frame_is_what_is_wanted() -> None:
    recorder = kalshi(time_of=lambda entry, markets: entry.frame * 10 + len(markets))
    assert [line.t for line in lines(recorder, connection("kalshi-p-0", 1, WHOLE, MORE))] == [21, 31]


def test_a_stretch_that_begins_in_the_middle_begins_with_whole_books() -> None:
    entries = connection("kalshi-p-0", 1, WHOLE, MORE, delta(3, "0.3800", "1.00"))
    recorder = kalshi()
    for entry in entries[:4]:
        recorder.warm(entry)
    found = lines(recorder, entries[4:])
    assert places(found) == [(1, 1), (1, 2)]
    assert played(found) == [
        ("live", ([(4000, 1000), (3900, 500)], [(5000, 700)])),
        ("live", ([(4000, 1000), (3900, 500), (3800, 100)], [(5000, 700)])),
    ]
    assert (recorder.made, recorder.entries) == (1, 1)


def test_what_happened_before_the_stretch_is_not_counted() -> None:
    lost = Entry("kalshi-p-0", 3, 2 * SECOND, "mark", encode_mark(Closed("disconnected")))
    recorder = kalshi()
    for entry in [*connection("kalshi-p-0", 1, WHOLE), lost]:
        recorder.warm(entry)
    assert len(lines(recorder, connection("kalshi-p-1", 3, WHOLE))) == 1
    assert not recorder.untold


def test_without_what_was_before_a_market_begins_with_its_first_whole_book() -> None:
    entries = connection("kalshi-p-0", 1, WHOLE, MORE, snapshot(3, yes=[["0.3000", "1.00"]]))
    recorder = kalshi()
    assert [(state, sides[0]) for state, sides in played(lines(recorder, entries[3:]))] == [("live", [(3000, 100)])]
    assert recorder.incomplete == {"kalshi-p-0"}
    assert recorder.made == 0


def test_damaged_frames_are_left_out() -> None:
    broken = ("no JSON", '{"type":"orderbook_delta","sid":1,"seq":3,"msg":{"market_ticker":"A-1","price_dollars":1}}')
    recorder = kalshi()
    found = lines(recorder, connection("kalshi-p-0", 1, WHOLE, *broken, snapshot(4, yes=[["0.3000", "1.00"]])))
    assert len(found) == 2
    assert played(found)[-1] == ("live", ([(3000, 100)], []))
    assert recorder.left_out == {DAMAGED: 2}
    assert recorder.untold["recovering: malformed frame"]


def test_a_connection_that_another_process_has_overtaken_is_left_out() -> None:
    """Consumers go by the higher epoch; the tape has one book a market, too."""
    new = connection("kalshi-q-0", 2, snapshot(1, yes=[["0.4100", "1.00"]]))
    late = Entry("kalshi-p-0", 3, 3 * SECOND, "ws", delta(2, "0.3900", "5.00").encode())
    recorder = kalshi()
    found = lines(recorder, [*connection("kalshi-p-0", 1, WHOLE), *new, late])
    assert played(found)[-1] == ("live", ([(4100, 100)], []))
    assert len(found) == 2
    assert recorder.left_out == {OVERTAKEN: 1}


def test_prices_in_both_legs_are_refused() -> None:
    def commanded(name: str, at_s: int, *, yes_price: bool) -> list[Entry]:
        first, second, frame = connection(name, at_s, WHOLE)
        command = subscribe(1, "orderbook_delta", ["A-1"], use_yes_price=yes_price).text()
        sent = Entry(name, 2, first.received_ns, "sent", command.encode())
        return [first, second, sent, Entry(name, 3, frame.received_ns, "ws", frame.data)]

    recorder = kalshi()
    assert len(lines(recorder, commanded("kalshi-p-0", 1, yes_price=True))) == 1
    assert recorder.use_yes_price
    assert len(lines(recorder, commanded("kalshi-p-1", 2, yes_price=True))) == 1
    with pytest.raises(RecordError, match="both legs"):
        lines(recorder, commanded("kalshi-p-2", 3, yes_price=False))


def test_a_whole_book_that_is_made_has_its_prices_in_the_leg_of_the_tape() -> None:
    for yes_price in (True, False):
        recorder = kalshi(use_yes_price=yes_price)
        for entry in connection("kalshi-p-0", 1, snapshot(1, no=[["0.5000", "7.00"], ["0.4200", "1.00"]])):
            recorder.warm(entry)
        (found,) = lines(recorder, [Entry("kalshi-p-0", 3, 2 * SECOND, "mark", encode_mark(Release(())))])
        no = json.loads(found.frame)["msg"]["no_dollars_fp"]
        assert sorted(no) == [["0.4200", "1.00"], ["0.5000", "7.00"]]
        assert recorder.use_yes_price is yes_price


# Polymarket


def market_frames() -> list[str]:
    """A market's first whole book and two changes, with hashes."""
    facts = PolymarketFacts(CONDITION, YES, NO)
    book = TokenBook()
    book.replace([("0.4", "10.123")], [("0.5", "7")])
    writer = PolymarketWriter()
    writer.open(0, 1_000, [(facts, book)])
    writer.change(0, 1_100, facts, [("BUY", "0.41", "3")])
    writer.change(0, 1_200, facts, [("SELL", "0.48", "2.5")])
    return [text for _, text in writer.lines]


def polymarket() -> Recorder:
    return Recorder("polymarket", [Followed(P)])


def test_polymarkets_frames_are_verbatim_but_for_what_is_no_market_data() -> None:
    recorder = polymarket()
    first, second, third = market_frames()
    found = lines(recorder, connection("polymarket-p-0", 1, "[]", first, "PONG", second, third, market=P))
    assert [line.frame for line in found] == [first, second, third]
    assert recorder.left_out == {REPLIES: 2}
    assert played(found, P)[-1] == ("live", ([(4100, 300), (4000, 1012)], [(4800, 250), (5000, 700)]))


def test_an_array_loses_the_events_about_other_markets() -> None:
    first, *_ = market_frames()
    other = [event | {"market": "0x2", "asset_id": "3" + event["asset_id"]} for event in json.loads(first)]
    recorder = polymarket()
    texts = (json.dumps([*json.loads(first), *other]), json.dumps(other))
    (found,) = lines(recorder, connection("polymarket-p-0", 1, *texts, market=P))
    assert json.loads(found.frame) == json.loads(first)
    assert recorder.left_out == {OTHERS: 1}


def test_a_whole_book_that_is_made_fits_its_hash_and_the_next_change() -> None:
    """Sizes finer than ours are in its texts: the hash of the change after it covers them."""
    entries = connection("polymarket-p-0", 1, *market_frames(), market=P)
    recorder = polymarket()
    for entry in entries[:4]:
        recorder.warm(entry)
    found = lines(recorder, entries[4:])
    assert (len(found), recorder.made) == (2, 1)
    whole = json.loads(found[0].frame)
    assert {event["timestamp"] for event in whole} == {"1100"}
    assert [event["bids"] for event in whole] == [
        [{"price": "0.4", "size": "10.123"}, {"price": "0.41", "size": "3"}], [{"price": "0.5", "size": "7"}],
    ]  # fmt: skip
    assert [state for state, _ in played(found, P)] == ["live", "live"]
    told = json.loads(entries[3].data)["price_changes"]
    assert [event["hash"] for event in whole] == [change["hash"] for change in told]


def test_a_whole_book_has_no_hash_where_the_venues_rule_is_not_known() -> None:
    """Its own would be believed, and the next change's would not fit."""
    unlike = replace(P, minimum_quantity=100)
    entries = connection("polymarket-p-0", 1, *market_frames(), market=unlike)
    recorder = Recorder("polymarket", [Followed(unlike)])
    for entry in entries[:4]:
        recorder.warm(entry)
    found = lines(recorder, entries[4:])
    assert [event["hash"] for event in json.loads(found[0].frame)] == ["", ""]
    assert [state for state, _ in played(found, unlike)] == ["live", "live"]


def test_an_older_clock_of_the_venue_does_not_hide_the_book() -> None:
    """Where stamps went back the recording had asked for the book; whoever plays the tape has not."""
    first, second, third = market_frames()
    asked = Entry("polymarket-p-0", 5, 2 * SECOND, "sent", change_subscription("subscribe", [YES]).encode())
    early = json.dumps([event | {"timestamp": "900", "hash": ""} for event in json.loads(first)])
    whole = Entry("polymarket-p-0", 6, 2 * SECOND + 1, "ws", early.encode())
    recorder = polymarket()
    found = lines(recorder, [*connection("polymarket-p-0", 1, first, second, third, market=P), asked, whole])
    assert played(found, P)[-1] == ("live", ([(4000, 1012)], [(5000, 700)]))
    assert recorder.made == 1
    assert not recorder.unequal


def answered(at_ns: int, asked: int, book: dict[str, object]) -> list[Entry]:
    """A REST book that was asked for."""
    request = books_request([YES])
    return [
        Entry("polymarket-p-0", asked, at_ns, "asked", request, BOOKS_PATH),
        Entry("polymarket-p-0", asked + 1, at_ns + 1, "rest", json.dumps([book]).encode(), BOOKS_PATH, asked, at_ns),
    ]


def test_a_rest_answer_that_confirms_a_quiet_book_is_a_whole_book_once_a_second() -> None:
    first, *_ = market_frames()
    (book, _) = json.loads(first)
    begin = connection("polymarket-p-0", 1, first, market=P)
    later = [entry for n in range(4) for entry in answered(begin[-1].received_ns + n * 600_000_000, 3 + 2 * n, book)]
    recorder = polymarket()
    found = lines(recorder, [*begin, *later])
    assert [line.t - begin[-1].received_ns for line in found] == [0, 1_200_000_001]
    assert len(played(found, P)) == 1
    assert recorder.made == 1
    assert recorder.bodies == {}


def test_a_rest_answer_that_confirms_nothing_is_no_frame() -> None:
    first, *_ = market_frames()
    (book, _) = json.loads(first)
    begin = connection("polymarket-p-0", 1, first, market=P)
    later = answered(begin[-1].received_ns + 2 * SECOND, 3, book | {"timestamp": "900"})
    assert len(lines(polymarket(), [*begin, *later])) == 1


def test_a_rest_answer_that_heals_a_book_is_a_whole_book() -> None:
    first, *_ = market_frames()
    lost = json.dumps({"event_type": "price_change", "market": CONDITION, "timestamp": "1100", "price_changes": 3})
    begin = connection("polymarket-p-0", 1, first, lost, market=P)
    facts = PolymarketFacts(CONDITION, YES, NO)
    writer = PolymarketWriter()
    book = TokenBook()
    book.replace([("0.3", "1")], [("0.5", "7")])
    writer.open(0, 1_200, [(facts, book)])
    (whole, _) = json.loads(writer.lines[0][1])
    heal = answered(begin[-1].received_ns + 6 * SECOND, 4, whole)
    recorder = polymarket()
    found = lines(recorder, [*begin, *heal])
    assert played(found, P)[-1] == ("live", ([(3000, 100)], [(5000, 700)]))
    assert recorder.made == 1
