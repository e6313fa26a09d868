"""One connection's life: subscriptions, unreadable frames, announcements, trades, load, keepalive, rotation."""

import json

import pytest

from producers.polymarket import checks
from producers.polymarket.pulse import Pulse
from producers.transcript import Closed, Distrust, Follow, Followed, Unfollow
from runtime import metrics
from tests.unit.producers.polymarket.conftest import Start
from tests.unit.producers.polymarket.frames import (
    MARKET,
    NO,
    YES,
    VenueMarket,
    book_event,
    change_event,
    encode,
    touch_event,
    trade_event,
)
from tests.unit.producers.polymarket.scripted import MS, SECOND, Scripted

OTHER = VenueMarket("0xother", "5", "6")
MALFORMED = ("recovering", "malformed frame")


def other() -> VenueMarket:
    return VenueMarket(OTHER.market, OTHER.yes, OTHER.no)


def counted(counter: object) -> float:
    value: float = counter._value.get()  # type: ignore[attr-defined]
    return value


def give(line: Scripted, mark: object) -> None:
    line._give("mark", (mark,))


# Subscriptions


def test_the_first_command_names_both_tokens_of_every_market_and_the_later_ones_are_operations(start: Start) -> None:
    line, venue = start(VenueMarket(), other())
    first = {"type": "market", "custom_feature_enabled": True, "initial_dump": True}
    assert json.loads(line.sent[0]) == first | {"assets_ids": [YES, NO, "5", "6"]}
    third = VenueMarket("0xthird", "7", "8")
    line.venues.append(third)
    give(line, Follow((Followed(third.record(), "g"),)))
    line.take(third.first())
    give(line, Unfollow(MARKET))
    more = {"custom_feature_enabled": True}
    assert [json.loads(text) for text in line.sent[1:]] == [
        more | {"assets_ids": ["7", "8"], "operation": "subscribe"},
        more | {"assets_ids": [YES, NO], "operation": "unsubscribe"},
    ]
    assert line.last() == ("closed", "no longer followed")
    line.take(venue.change("bid", 4100, "7"))
    assert line.last() == ("closed", "no longer followed")
    assert line.last(third.market) == ("live", "")


def test_the_first_market_may_come_after_the_connection(start: Start) -> None:
    line, venue = start(live=False, opened=False)
    line.venues.clear()
    line.open()
    assert line.sent == []
    give(line, Follow((Followed(venue.record(), "g"),)))
    assert json.loads(line.sent[0])["type"] == "market"
    line.venues.append(venue)
    line.take(venue.first())
    assert line.agrees()


def test_a_new_connection_knows_nothing_of_the_old_one(start: Start) -> None:
    line, venue = start(VenueMarket(ms=90_000))
    line.reconnect()
    venue.ms = 10_000
    assert line.books == []  # it says nothing before it has heard anything
    line.take(venue.first())
    assert line.agrees()


def test_a_lost_connection_is_said_at_once(start: Start) -> None:
    line, _ = start()
    give(line, Closed("disconnected"))
    assert line.last() == ("recovering", "disconnected")
    line.tick()
    assert line.asked == []


# Frames that say less than they should

CUT = encode(change_event((YES, "SELL", "0.50", "3")))[:-20]
NAMELESS = change_event((YES, "SELL", "0.50", "3")) | {"market": {"nonsense": []}}
ANYONES = {"event_type": "price_change", "price_changes": {"nonsense": []}}


@pytest.mark.parametrize(
    ("data", "distrusted"),
    [
        (b"not json", {MARKET, OTHER.market}),
        (b"[" + CUT, {MARKET, OTHER.market}),
        (encode(ANYONES), {MARKET, OTHER.market}),
        (encode(NAMELESS), {MARKET}),
        (CUT, {MARKET}),
        (encode(change_event(("999", "SELL", "0.50", "3"))), {MARKET}),
        (encode(change_event(("5", "SELL", "0.50", "3"), market="0xstranger")), {OTHER.market}),
        (encode(book_event([], [], token="999")), {MARKET}),
        (encode([change_event((YES, "SELL", "x", "3")), touch_event("0.1", "0.2", token=NO)]), {MARKET}),
        (encode(touch_event("0.1", "0.2", token="5")), set()),
        (CUT.replace(MARKET.encode(), b"0xstranger").replace(YES.encode(), b"999"), set()),
        (encode(trade_event(price="many")), set()),
    ],
)
def test_an_unreadable_frame_leaves_no_book_trusted_that_it_may_be_about(
    start: Start, data: bytes, distrusted: set[str]
) -> None:
    line, _ = start(VenueMarket(), other())
    line.take(data)
    assert line.broken == [data]
    assert {market for market in (MARKET, OTHER.market) if line.last(market) == MALFORMED} == distrusted
    line.tick()
    line.answer()
    assert line.agrees()


def test_a_hash_heals_what_an_unreadable_frame_made_doubtful(start: Start) -> None:
    line, venue = start()
    line.take(b"\xff\xfe", venue.change("bid", 4100, "7"))
    assert line.agrees()


def test_what_is_not_understood_or_not_ours_is_counted_and_changes_nothing(start: Start) -> None:
    line, _ = start()
    unknown = [metrics.FRAMES_UNKNOWN.labels("polymarket", kind) for kind in ("other", "refusal")]
    before = [counted(one) for one in unknown]
    line.take({"event_type": "tomorrow", "market": MARKET}, b"INVALID OPERATION", b"PONG", b"[]\n")
    line.take(book_event([], [], market="0xstranger", token="999"))
    assert line.agrees()
    assert [counted(one) for one in unknown] == [before[0] + 1, before[1] + 1]
    assert (line.broken, len(line.books)) == ([], 1)


# Announcements, trades, best prices


def test_new_markets_are_announced_once_and_a_resolved_one_is_closed(start: Start) -> None:
    line, _ = start()
    new = {"event_type": "new_market", "market": "0xnew"}
    line.take(*[new | {"id": "7"}] * 3, new | {"id": "8"})
    assert line.changed == ["", ""]
    line.take({"event_type": "market_resolved", "market": "0xnew", "id": "7"})
    resolved = {"event_type": "market_resolved", "market": MARKET, "id": "9", "winning_outcome": "Yes"}
    line.take(resolved, resolved)
    assert line.changed == ["", "", MARKET]
    assert line.last() == ("closed", "resolved")
    line.pass_ms(5000)
    assert line.asked == []


def test_trades_are_told_once_and_in_yes_terms(start: Start) -> None:
    line, _ = start()
    bought = trade_event(token=NO, price="0.22", side="BUY")
    line.take(trade_event(), bought, bought, trade_event(price="0.79"), trade_event(market="0xstranger"))
    told = [(trade.group, trade.price, trade.taker_side, trade.fill_quantity) for trade in line.trades]
    assert told == [
        ("g", 7800, "buy", 219_217_767),
        ("g", 7800, "sell", 219_217_767),
        ("g", 7900, "buy", 219_217_767),
    ]
    assert len({trade.trade_id for trade in line.trades}) == 3
    assert line.trades[0].exchange_ns == 1790491136979 * MS


def test_best_prices_are_compared_and_distrust_nothing(start: Start) -> None:
    line, _ = start()
    line.take(VenueMarket().change("bid", 4100, "7"))
    agree, differ = (metrics.BOOKS_COMPARED.labels("polymarket", f"best prices {verb}") for verb in ("agree", "differ"))
    before = counted(agree), counted(differ)
    line.take(touch_event("0.41", "0.6"), touch_event("0.4", "0.59", token=NO), touch_event("0.42", "0.6"))
    assert (counted(agree) - before[0], counted(differ) - before[1]) == (2, 1)
    assert line.last() == ("live", "")


# Load


def test_under_load_hashes_are_checked_once_a_window_and_what_was_passed_over_is_made_up(start: Start) -> None:
    line, venue = start(VenueMarket(), other())
    second = line.venues[1]
    passed = counted(checks.UNDER_LOAD)
    line.take(*(second.change("bid", 4100, str(size)) for size in range(1, 120)), after_ms=0)
    assert counted(checks.UNDER_LOAD) > passed
    venue.move("bid", 3900, "1")
    line.take(venue.change("bid", 4100, "7"), after_ms=0)
    assert line.last() == ("live", "")
    line.take(b"PONG", after_ms=97)
    assert line.last() == ("live", "")
    line.take(b"PONG", after_ms=3)
    assert line.last() == ("recovering", "hash mismatch")
    assert line.last(second.market) == ("live", "")
    assert line.session.books[second.market].proven


def test_under_load_a_market_that_was_not_checked_for_long_is_checked_at_once(start: Start) -> None:
    line, venue = start(VenueMarket(), other())
    line.now_ns += 150 * MS
    line.take(*(line.venues[1].change("bid", 4100, str(size)) for size in range(1, 120)), after_ms=0)
    venue.move("bid", 3900, "1")
    line.take(venue.change("bid", 4100, "7"), after_ms=0)
    assert line.last() == ("recovering", "hash mismatch")


def test_searches_are_few() -> None:
    shared = checks.Checks()
    assert [shared.allow_search(ns * MS) for ns in (0, 1, 2, 3, 100, 101, 102)] == [
        True, True, False, False, True, True, False,
    ]  # fmt: skip


def test_what_was_passed_over_is_looked_at_when_nothing_more_comes(start: Start) -> None:
    line, venue = start(VenueMarket(), other())
    line.take(*(line.venues[1].change("bid", 4100, str(size)) for size in range(1, 120)), after_ms=0)
    venue.move("bid", 3900, "1")
    line.take(venue.change("bid", 4100, "7"), after_ms=0)
    line.tick()
    assert line.marks == []
    line.tick(60)
    assert line.marks == [Distrust((MARKET,), "hash mismatch")]
    assert line.last(OTHER.market) == ("live", "")


# Keepalive and rotation


def test_a_ping_every_five_seconds_and_twelve_without_a_word_end_the_connection(start: Start) -> None:
    line, _ = start()
    line.pongs = False
    line.pass_ms(10_500, answer=True)
    assert [text for text in line.sent if text == "PING"] == ["PING", "PING"]
    line.take(b"PONG")
    line.pass_ms(11_500, answer=True)
    assert line.lost == []
    line.pass_ms(1000, answer=True)
    assert line.lost == [("neither data nor PONG for 12 s", False)]


def test_a_connection_is_made_again_after_its_time_but_not_while_a_book_is_being_healed(start: Start) -> None:
    line, venue = start(rotate_ns=40 * SECOND)
    line.pass_ms(29_000, answer=True)
    assert line.lost == []
    line.take(b"not json")
    line.pass_ms(22_000)
    assert line.lost == []
    line.take(venue.book())
    line.pass_ms(100)
    assert line.lost == [("scheduled rotation", True)]
    line.pass_ms(1000)
    assert len(line.lost) == 1


def test_a_stream_that_spoke_since_the_question_is_not_silent() -> None:
    for data_ns, lost in ((100, ""), (10, "nothing is said while the venue moves")):
        pulse = Pulse(0)
        pulse.subscribed("c", 1)
        pulse.spoke_ns = pulse.data_ns = data_ns
        pulse.fell_silent(50, 200)
        assert pulse.lost(200 + SECOND) == lost


def test_connections_that_were_made_together_do_not_end_together() -> None:
    lengths = {Pulse(3600 * SECOND).lasts_ns(f"polymarket-x-{number}") for number in range(20)}
    assert len(lengths) > 10
    assert min(lengths) >= 2700 * SECOND
    assert max(lengths) <= 4500 * SECOND
