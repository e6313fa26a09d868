"""What REST answers do to a book, and what is asked when."""

import json

import pytest

from producers.transcript import Distrust
from runtime import metrics
from tests.unit.producers.polymarket.conftest import Start
from tests.unit.producers.polymarket.frames import MARKET, NO, YES, VenueMarket, change_event, encode, tick_event
from tests.unit.producers.polymarket.scripted import MS, SECOND, Scripted

BEHIND = "behind the venue's answer"
DIFFERS = "differs from the venue's answer"


def confirmed_ns(line: Scripted) -> int:
    return line.session.books[MARKET].published.confirmed_ns


def compared(outcome: str) -> float:
    value: float = metrics.BOOKS_COMPARED.labels("polymarket", outcome)._value.get()
    return value


def until_asked(line: Scripted, longest_ms: int = 3000) -> None:
    """Ticks until something is asked."""
    for _ in range(longest_ms // 50):
        if not line.asked:
            line.tick()
    assert line.asked


def without_hashes(event: dict[str, object]) -> dict[str, object]:
    for entry in event["price_changes"]:  # type: ignore[attr-defined]
        entry["hash"] = ""
    return event


def test_a_quiet_book_is_asked_for_twice_in_the_time_in_which_it_must_be_proved(start: Start) -> None:
    line, _ = start()
    before = compared("confirmed")
    for _ in range(20):
        until_asked(line, 1550)
        asked_ns = line.now_ns
        assert json.loads(line.asked[0][2] or b"") == [{"token_id": YES}]
        line.answer()
        assert confirmed_ns(line) == asked_ns
    assert compared("confirmed") == before + 20
    assert line.marks == []
    assert len(line.books) == 1


def test_books_of_no_group_are_asked_for_ten_times_less_often(start: Start) -> None:
    line, _ = start(group="")
    line.pass_ms(60_000, answer=True)
    assert 3 <= sum(1 for kind, _, _ in line.transcript if kind == "asked") <= 5
    assert line.marks == []


def test_a_hundred_books_share_a_request(start: Start) -> None:
    venues = [VenueMarket(f"0x{number}", f"1{number}", f"2{number}") for number in range(150)]
    line, _ = start(*venues)
    line.pass_ms(3000)
    assert {len(json.loads(body or b"")) <= 100 for _, _, body in line.asked} == {True}
    assert {one["token_id"] for _, _, body in line.asked for one in json.loads(body or b"")} == {v.yes for v in venues}


def test_a_missed_change_is_healed_by_an_answer_that_the_hash_bears_out(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    line.tick()
    assert [json.loads(text)["operation"] for text in line.sent[1:]] == ["subscribe"]
    line.answer()
    assert line.agrees()
    assert line.books[-1].api_call_start_ns == line.now_ns - 20 * MS == line.books[-1].confirmed_ns


def test_an_answer_is_put_under_the_changes_that_came_since(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    line.tick()
    answer = encode([venue.rest()])
    line.take(venue.change("bid", 3800, "2"), venue.change("ask", 6000, "0"))
    line.answer(answer)
    assert line.agrees()


def test_an_answer_from_before_what_was_missed_does_not_heal(start: Start) -> None:
    line, venue = start()
    old = encode([venue.rest()])
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    line.tick()
    line.answer(old)
    assert line.last()[0] == "recovering"
    until_asked(line)
    line.answer()
    assert line.agrees()


def test_a_stream_that_falls_behind_is_distrusted_and_only_the_stream_heals_it(start: Start) -> None:
    line, venue = start()
    until_asked(line)
    venue.move("bid", 4100, "7")
    line.answer()
    assert line.last() == ("live", "")
    line.pass_ms(200)
    assert line.marks == []
    line.tick()
    assert line.marks == [Distrust((MARKET,), BEHIND)]
    line.pass_ms(500, answer=True)
    assert line.last() == ("recovering", BEHIND)
    line.take(venue.change("ask", 5900, "1"))
    assert line.agrees() is False  # a change was missed: the hash says so
    line.take(venue.book())
    assert line.agrees()


def test_a_stream_that_was_only_slow_goes_on(start: Start) -> None:
    line, venue = start()
    until_asked(line)
    change = venue.change("bid", 4100, "7")
    line.answer()
    line.tick()
    line.take(change)
    assert line.agrees()
    line.pass_ms(1000)
    assert line.marks == []
    line, venue = start()
    until_asked(line)
    slow, newer = venue.change("bid", 4100, "7"), venue.change("bid", 4200, "7")
    line.answer()
    line.pass_ms(300)
    line.take(slow)  # it fits, but the venue is known to be further
    assert line.last() == ("recovering", BEHIND)
    line.take(newer)
    assert line.agrees()


def test_a_whole_book_from_before_the_answer_does_not_heal_a_stream_that_fell_behind(start: Start) -> None:
    line, venue = start()
    until_asked(line)
    venue.move("bid", 4100, "7")
    slow = venue.book()
    venue.move("bid", 4200, "7")
    line.answer()
    line.pass_ms(300)
    line.take(slow)
    assert line.last() == ("recovering", BEHIND)
    line.take(venue.book())
    assert line.agrees()


def test_a_stamp_that_the_stream_never_reaches_is_not_waited_for_for_ever(start: Start) -> None:
    line, venue = start()
    until_asked(line)
    change = venue.change("bid", 4100, "7")
    line.answer(encode([venue.rest(timestamp=str(venue.ms + 60_000), hash="")]))
    line.pass_ms(300)
    line.take(change)
    assert line.last() == ("recovering", BEHIND)
    line.take(venue.change("bid", 4100, "8"), after_ms=4000)
    assert line.last() == ("recovering", BEHIND)
    line.take(venue.change("bid", 4100, "9"), after_ms=1000)
    assert line.agrees()


def test_a_whole_connection_that_falls_silent_is_made_again_and_rest_heals_nothing_on_a_mute_one(start: Start) -> None:
    line, venue = start()
    until_asked(line)
    venue.move("bid", 4100, "7")
    line.answer()
    line.pass_ms(1400)
    assert line.lost == [("nothing is said while the venue moves", False)]
    line.reconnect()
    line.asked.clear()
    line.pass_ms(9000)
    assert line.asked == []
    assert len(line.lost) == 1
    line.pass_ms(2000)
    assert line.lost[1:] == [("the subscription is not answered", False)]


def test_other_markets_data_keep_a_connection(start: Start) -> None:
    other = VenueMarket("0xother", "5", "6")
    line, venue = start(VenueMarket(), other)
    until_asked(line)
    venue.move("bid", 4100, "7")
    line.answer()
    for size in range(1, 40):
        line.take(other.change("bid", 4100, str(size)))
        line.tick()
    assert line.lost == []
    assert line.last(other.market) == ("live", "")
    assert line.last() == ("recovering", BEHIND)


def test_an_old_answer_proves_nothing_then_a_whole_book_of_the_stream_does(start: Start) -> None:
    line, venue = start()
    old = encode([venue.rest()])
    line.take(venue.change("bid", 4100, "7"))
    proved_ns, before = confirmed_ns(line), compared("older")
    for _ in range(42):
        line.tick()
        line.answer(old)
    assert compared("older") > before
    assert confirmed_ns(line) == proved_ns
    calls = [json.loads(text) for text in line.sent[1:]]
    assert calls == [{"assets_ids": [YES], "operation": "subscribe", "custom_feature_enabled": True}]
    line.take([venue.book(first=True)])
    assert confirmed_ns(line) == line.now_ns
    assert line.agrees()


def test_a_proof_that_does_not_come_makes_the_book_stale(start: Start) -> None:
    line, venue = start()
    for _ in range(62):
        line.tick()
        if line.asked:
            line.fail()
    assert line.last() == ("stale", "proof overdue")
    assert sum(1 for kind, _, _ in line.transcript if kind == "asked") >= 2
    line.take(venue.book())
    assert line.last() == ("live", "")


def test_an_answer_that_contradicts_the_hash_under_the_same_stamp_is_passed_over(start: Start) -> None:
    line, venue = start()
    line.take(venue.change("bid", 4100, "7"))
    wrong = VenueMarket(ms=venue.ms)
    wrong.bids, wrong.asks = {100: "1000"}, {9900: "1000"}
    before = compared("contradicts a hash")
    until_asked(line)
    line.answer(encode([wrong.rest()]))
    assert line.agrees()
    assert compared("contradicts a hash") == before + 1
    venue.move("bid", 4100, "0")
    line.take(venue.change("bid", 3900, "1"))
    wrong.ms = venue.ms
    for _ in range(20):
        line.tick()
        line.answer(encode([wrong.rest()]))
    assert line.last() == ("recovering", "hash mismatch")
    line.pass_ms(1500, answer=True)
    assert line.agrees()


def test_unverified_books_are_guarded_by_answers(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 3900, "1")
    line.take(without_hashes(venue.change("bid", 4100, "7")))
    assert line.last() == ("live", "")  # the best prices agree
    until_asked(line)
    line.answer()
    assert line.last() == ("recovering", DIFFERS)
    line.pass_ms(3500, answer=True)
    assert line.agrees()


def test_an_overtaken_answer_still_shows_what_was_missed_before_it(start: Start) -> None:
    line, venue = start()
    line.take(without_hashes(venue.change("bid", 4100, "7")))
    venue.move("bid", 3900, "1")
    line.take(without_hashes(venue.change("bid", 4100, "8")))
    until_asked(line)
    answer = encode([venue.rest()])
    line.take(without_hashes(venue.change("bid", 4100, "9")))
    assert line.last() == ("live", "")
    line.answer(answer)
    assert line.last() == ("recovering", DIFFERS)


def test_rest_alone_heals_a_silent_market_only_after_a_while_and_each_time_a_longer_one(start: Start) -> None:
    other = VenueMarket("0xother", "5", "6")
    line, venue = start(VenueMarket(), other)

    def hear_of_the_other(milliseconds: int) -> None:
        for size in range(milliseconds // 50):
            line.take(other.change("bid", 4100, str(size + 1)))
            line.tick()
            line.answer()

    for wait_ms in (5000, 10_000):
        venue.move("bid", 4100, str(wait_ms))
        hear_of_the_other(2500)
        assert line.last() == ("recovering", BEHIND)
        hear_of_the_other(wait_ms - 2500)
        assert line.last() == ("recovering", BEHIND)
        hear_of_the_other(2500)
        assert line.agrees()


def test_an_answer_that_no_hash_bears_out_waits_for_the_stream(start: Start) -> None:
    line, venue = start()
    venue.facts["tick_size"] = "0.001"
    venue.ms += 1
    line.take(tick_event("0.001", ts=venue.ms))
    line.pass_ms(2000, answer=True)
    assert line.last() == ("recovering", "tick change")
    line.pass_ms(1500, answer=True)
    assert line.agrees()


def test_a_change_under_the_answers_own_stamp_is_put_on_it_when_its_hash_says_so(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    line.tick()
    answer = encode([venue.rest()])
    line.take(venue.change("bid", 3800, "2", ms=venue.ms))
    line.answer(answer)
    assert line.agrees()


def test_a_price_grid_that_only_an_answer_tells_spoils_no_change_that_is_under_way(start: Start) -> None:
    line, venue = start()
    slow = venue.change("bid", 4100, "7")
    venue.facts["tick_size"] = "0.001"
    venue.ms += 1
    until_asked(line)
    line.answer()
    line.take(slow)
    assert [book.state for book in line.books] == ["live", "live"]


def test_an_answer_that_the_stream_overtook_is_compared_when_the_stream_comes_to_it(start: Start) -> None:
    line, venue = start()
    line.take(without_hashes(venue.change("bid", 4100, "7")))
    until_asked(line)
    first, second = venue.change("bid", 4200, "8"), venue.change("bid", 4300, "9")
    call_ns = line.now_ns
    line.answer(encode([venue.rest()]))
    line.take(without_hashes(first), without_hashes(second), without_hashes(venue.change("bid", 3900, "1")))
    assert line.agrees()
    assert confirmed_ns(line) == call_ns


def test_facts_that_only_an_answer_tells_bring_the_hashes_into_force(start: Start) -> None:
    line, venue = start(live=False)
    venue.facts["min_order_size"] = "7"
    line.take(venue.first())
    assert line.session.books[MARKET].verifier.suspended
    line.tick()
    line.answer()
    assert not line.session.books[MARKET].verifier.suspended
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    assert line.last() == ("recovering", "hash mismatch")


def test_hashes_that_are_not_of_books_are_given_up_after_three_false_alarms(start: Start) -> None:
    line, venue = start()

    def of_an_order(side: str, price: int, size: str) -> dict[str, object]:
        event = venue.change(side, price, size)
        for entry in event["price_changes"]:
            entry["hash"] = "a" * 40
        return event

    for size in "789":
        line.take(of_an_order("bid", 4100, size))
        assert line.last() == ("recovering", "hash mismatch")
        line.take(venue.book())
        assert line.agrees()
    assert line.session.checks.off
    line.take(of_an_order("bid", 4100, "10"))
    assert line.agrees()
    venue.move("bid", 3900, "1")
    line.take(of_an_order("bid", 4100, "11"))
    until_asked(line)
    line.answer()
    assert line.last() == ("recovering", DIFFERS)


def test_the_venues_clock_may_go_back(start: Start) -> None:
    line, venue = start(VenueMarket(ms=50_000))
    venue.ms = 20_000
    line.take(venue.change("bid", 4100, "7"))
    assert line.last() == ("recovering", "out of order")
    line.tick()
    line.answer()
    assert line.last() == ("recovering", "out of order")
    line.take([venue.book(YES, first=True), venue.book(NO, first=True)])
    assert line.agrees()
    line.take(venue.change("bid", 4100, "8"))
    assert line.agrees()


def test_changes_of_one_stamp_that_changed_places_are_put_right_by_an_answer(start: Start) -> None:
    line, venue = start()
    first = venue.change("bid", 4000, "60")
    second = venue.change("bid", 4000, "0", ms=venue.ms)
    line.take(second, first)
    assert line.last() == ("live", "")  # each fits its own hash; which is the later?
    line.pass_ms(1000, answer=True)
    assert line.agrees()
    third, fourth = venue.change("bid", 4000, "5"), venue.change("bid", 4000, "6", ms=venue.ms)
    line.take(third, fourth)
    line.pass_ms(1000, answer=True)
    assert line.agrees()


def test_what_was_under_way_when_rest_answered_is_in_its_book(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4200, "7")
    line.take(venue.change("bid", 3900, "1"))
    line.tick()
    slow = venue.change("bid", 4300, "2")
    line.pass_ms(2500)
    line.asked[:-1] = []
    line.answer()
    assert line.last() == ("live", "")
    line.take(slow)
    assert line.agrees()
    line.take(venue.change("bid", 3800, "1"))
    assert line.agrees()


@pytest.mark.parametrize("body", [b"no json", b"{}", b'[{"market":"0x"}]', encode([{"market": MARKET}])])
def test_an_unreadable_answer_is_dead_lettered_and_distrusts_nothing(start: Start, body: bytes) -> None:
    line, _ = start()
    until_asked(line)
    line.answer(body)
    assert line.broken == [body]
    assert line.agrees()


def test_damaged_levels_in_an_answer_spoil_no_other_book(start: Start) -> None:
    other = VenueMarket("0xother", "5", "6")
    line, venue = start(VenueMarket(), other)
    line.pass_ms(1500)
    bodies = [body or b"" for _, _, body in line.asked]
    line.asked[: next(at for at, body in enumerate(bodies) if b'"5"' in body and YES.encode() in body)] = []
    bad = venue.rest(hash="1" * 40) | {"bids": [{"price": "x", "size": "1"}]}
    before = compared("confirmed")
    line.answer(encode([bad, other.rest()]))
    assert compared("confirmed") == before + 1
    assert len(line.broken) == 1


def test_an_answer_to_what_nobody_asked_is_passed_over(start: Start) -> None:
    line, venue = start()
    line.asked.append((4711, "/books", None))
    line.answer(encode([venue.rest()]))
    line.asked.append((line.number - 1, "/books", None))
    assert line.agrees()


def test_a_first_book_that_does_not_come_is_asked_of_the_stream_and_of_rest(start: Start) -> None:
    line, venue = start(live=False)
    line.take(b"[]\n")
    line.pass_ms(950)
    assert (line.sent[1:], line.asked) == ([], [])
    line.pass_ms(100)
    assert json.loads(line.sent[1])["operation"] == "subscribe"
    line.answer()
    assert line.books == []  # nothing of the stream bears it out
    line.take(venue.change("bid", 4100, "7"))
    until_asked(line)
    line.answer()
    assert line.agrees()


def test_a_first_book_is_taken_from_rest_alone_when_the_stream_has_not_answered_for_long(start: Start) -> None:
    line, _ = start(live=False)
    line.take(b"[]\n")
    line.pass_ms(4500, answer=True)
    assert line.books == []
    operations = [json.loads(text)["operation"] for text in line.sent[1:]]
    assert operations[:3] == ["subscribe", "unsubscribe", "subscribe"]
    line.pass_ms(2500, answer=True)
    assert line.agrees()


def test_a_request_that_is_never_answered_is_forgotten(start: Start) -> None:
    line, _ = start()
    line.pass_ms(7_000)
    first = len(line.asked)
    line.pass_ms(8_000)
    assert first == 1
    assert len(line.asked) > first
    assert line.now_ns > 10 * SECOND


def test_a_foreign_market_changes_nothing(start: Start) -> None:
    line, _ = start()
    line.take(change_event(("5", "BUY", "0.5", "1"), market="0xstranger"))
    assert line.agrees()
    assert line.broken == []
