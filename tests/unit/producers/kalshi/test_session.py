"""Kalshi's websocket as a session: what is subscribed to, in which sequence, and what proves a book."""

from functools import partial
from typing import Any

import pytest

from producers.kalshi.messages import BOOKS, COMBO_LIFECYCLE, LIFECYCLE, TRADES
from producers.kalshi.session import KalshiSession
from producers.transcript import Closed, Opened, Unfollow
from runtime import metrics
from tests.unit.producers.kalshi.frames import delta, error, frame, lifecycle, reply, snapshot, subscribed, trade
from tests.unit.producers.kalshi.scripted import SECOND, Papers, Scripted
from tests.unit.producers.support import make_market

MANY = [f"M{number:02}" for number in range(60)]


def running(*markets: str, **session: Any) -> tuple[Scripted, Papers]:
    """A session on a venue that does what its papers say, with every book live."""
    host = Scripted(*markets, make=partial(KalshiSession, **session), opened=False)
    venue = Papers(host)
    host.open()
    return host, venue


def seen(field: str, form: str) -> float:
    value: float = metrics.FORMS_SEEN.labels("kalshi", field, form)._value.get()
    return value


# What is subscribed to


def test_opening_subscribes_to_lifecycle_books_and_trades_and_says_which_leg() -> None:
    host, _ = running("X", "Y")
    assert host.commands("subscribe", channel=LIFECYCLE) == [{"channels": [LIFECYCLE]}]
    (books,) = host.commands("subscribe", channel=BOOKS)
    assert books["market_tickers"] == ["X", "Y"]
    assert books["use_yes_price"] is False
    assert host.commands("subscribe", channel=TRADES) == [{"channels": [TRADES], "market_tickers": ["X", "Y"]}]
    assert len({command["id"] for command in host.sent}) == len(host.sent) == 3
    assert host.said("X") == host.said("Y") == [("live", "", 1)]


def test_many_markets_are_added_in_portions_each_when_the_one_before_has_come() -> None:
    host = Scripted(*MANY, opened=False, group="")
    host.follow(make_market("kalshi", "GROUPED"), group="g")
    venue = Papers(host)
    venue.frozen = {"M05"}
    host.open()
    (first,) = host.commands(channel=BOOKS)
    assert len(first["market_tickers"]) == 25
    assert first["market_tickers"][0] == "GROUPED"
    assert host.commands(action="add_markets") == []  # M05 has not come yet
    host.wait(0.25)
    added = host.commands(action="add_markets")
    assert [len(params["market_tickers"]) for params in added] == [25, 11]
    assert {tuple(params["sids"]) for params in added} == {(2,)}
    assert [book.market for book in host.books if book.state != "live"] == []
    assert len(host.books) == 60
    venue.frozen = set()
    host.wait(0.5)
    assert host.last("M05") == ("live", "")


def test_prices_of_the_no_side_are_read_in_the_leg_that_was_asked_for() -> None:
    for flag, price in ((False, "0.50"), (True, "0.50"), (True, "0.60"), (False, "0.40")):
        host = Scripted("X", make=partial(KalshiSession, use_yes_price=flag))
        assert host.commands(channel=BOOKS)[0]["use_yes_price"] is flag
        host.take(snapshot("X", 1, [("0.30", "1")], [(price, "2")]))
        expected = 6000 if price != "0.50" else 5000
        assert host.books[-1].sides() == ([(3000, 100)], [(expected, 200)])
        assert [book.sides() for book in host.replayed()] == [book.sides() for book in host.books]


def test_a_recording_of_frames_alone_is_understood() -> None:
    host = Scripted("X", "Y", opened=False)
    host.session.send = host.session.host.send = lambda *_: None  # type: ignore[method-assign, attr-defined]
    host.give(Opened())
    host.take(snapshot("X", 1, [("0.40", "1")], sid=7), snapshot("Y", 2, [("0.30", "1")], sid=7))
    host.take(delta("X", 3, "yes", "0.40", "1", sid=7), delta("X", 5, "yes", "0.40", "1", sid=7))
    assert [book.state for book in host.books] == ["live", "live", "live", "recovering", "recovering"]
    host.take(subscribed(1, BOOKS, 7), snapshot("X", 1, [("0.40", "2")], sid=7))
    assert host.last("X") == ("live", "")
    assert host.marks == []


def test_combos_bring_their_own_lifecycle() -> None:
    host, _ = running("KXMVE-1")
    assert [params["channels"] for params in host.commands("subscribe")] == [
        [LIFECYCLE], [BOOKS], [TRADES], [COMBO_LIFECYCLE],
    ]  # fmt: skip


def test_markets_come_and_go_on_a_standing_connection() -> None:
    host, venue = running("X")
    host.follow(make_market("kalshi", "Y"))
    host.settle()
    assert host.last("Y") == ("live", "")
    host.give(Unfollow("X"))
    host.settle()
    assert host.commands(action="delete_markets") == [
        {"sids": [2], "action": "delete_markets", "market_tickers": ["X"]},
        {"sids": [3], "action": "delete_markets", "market_tickers": ["X"]},
    ]
    assert host.last("X") == ("closed", "no longer followed")
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    assert len(host.said("X")) == 2


def test_a_market_that_went_while_it_was_being_added_is_taken_off_again() -> None:
    host, venue = running("X")
    venue.quiet = {"add_markets"}
    host.follow(make_market("kalshi", "Y"))
    host.give(Unfollow("Y"))
    assert host.commands(action="delete_markets") == []
    number = next(command["id"] for command in host.sent if command["params"].get("market_tickers") == ["Y"])
    host.take(reply("ok", number, sid=2, seq=venue.next(2), msg={}))
    host.take(snapshot("Y", venue.next(2), [("0.40", "1")], sid=2))
    assert [params["market_tickers"] for params in host.commands(action="delete_markets")] == [["Y"], ["Y"]]


def test_a_lost_connection_is_begun_anew() -> None:
    host, venue = running("X")
    host.give(Closed("cut"))
    assert host.last() == ("recovering", "cut")
    host.wait(5)
    sent = len(host.sent)
    venue.forget()
    host.open()
    assert [command["cmd"] for command in host.sent[sent:]] == ["subscribe"] * 3
    assert [(state, sequence) for state, _, sequence in host.said()] == [("live", 1), ("recovering", 2), ("live", 1)]
    assert host.books[-1].epoch > host.books[0].epoch
    assert len({command["id"] for command in host.sent}) == len(host.sent)


def test_a_subscription_whose_answer_was_lost_is_asked_for_again_and_completed() -> None:
    host = Scripted("X", opened=False)
    venue = Papers(host)
    host.answer = lambda _: None
    host.give(Opened())
    for command in host.sent:
        venue.command(command)  # the venue has done it all, and nobody heard of it
    venue.seq.clear()
    host.transcript.clear()
    host = Scripted("X", opened=False)
    lost, venue.host = venue, host
    host.answer = lost.command
    before = seen("subscribing again", "ok")
    host.open()
    assert seen("subscribing again", "ok") == before + 3
    assert host.books == []
    host.wait(0.6)
    assert host.last() == ("live", "")
    assert [params["action"] for params in host.commands("update_subscription")] == ["get_snapshot"]


@pytest.mark.parametrize(("number", "form"), [(1, "restarts"), (3, "continues")])
def test_a_known_sid_that_is_subscribed_again_may_go_on_or_begin_anew(number: int, form: str) -> None:
    host = Scripted("X")
    host.take(snapshot("X", 1, [("0.40", "1")]), delta("X", 2, "yes", "0.40", "1"))
    before = seen("numbers after subscribing again", form)
    host.take(subscribed(99, BOOKS, 1), delta("X", number, "yes", "0.40", "1"))
    assert host.books[-1].sides()[0] == [(4000, 300)]
    assert seen("numbers after subscribing again", form) == before + 1


def test_a_second_subscription_of_a_channel_carries_what_it_sends() -> None:
    host = Scripted("X", "Y")
    host.take(snapshot("X", 1, [("0.40", "1")], sid=1), snapshot("Y", 2, [("0.40", "1")], sid=1))
    host.take(subscribed(99, BOOKS, 5), snapshot("X", 1, [("0.40", "1")], sid=5))
    host.take(delta("X", 3, "yes", "0.40", "1", sid=1))  # what the other one says of it counts no more
    assert host.books[-1].sides()[0] == [(4000, 100)]
    host.take(delta("Y", 5, "yes", "0.40", "1", sid=1))
    assert (host.last("X"), host.last("Y")) == (("live", ""), ("recovering", "sequence gap"))


# In sequence


def test_a_gap_distrusts_every_book_of_the_sid_at_that_frame_and_snapshots_heal_it() -> None:
    gaps = metrics.SEQUENCE_GAPS.labels("kalshi")._value.get()
    host, venue = running("X", "Y")
    venue.quiet = {"get_snapshot"}
    host.wait(0.3)  # nothing is asked for again sooner
    lost = venue.next(2)
    host.take(delta("X", venue.next(2), "yes", "0.40", "5", sid=2))
    assert host.last("X") == host.last("Y") == ("recovering", "sequence gap")
    assert host.books[-1].frame == host.transcript[-2][1].frame
    assert host.commands(action="get_snapshot")[-1] == {
        "sids": [2], "action": "get_snapshot", "market_tickers": ["X", "Y"],
    }  # fmt: skip
    host.take(delta("X", lost, "yes", "0.40", "5", sid=2))  # late, and of no use any more
    host.take(delta("Y", venue.next(2), "yes", "0.40", "7", sid=2))
    host.take(snapshot("X", venue.next(2), [("0.40", "9")], sid=2))
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    assert [host.last("X"), host.last("Y")] == [("live", ""), ("recovering", "sequence gap")]
    assert host.books[-1].sides()[0] == [(4000, 1000)]
    host.take(snapshot("Y", venue.next(2), [("0.30", "8")], sid=2))
    assert host.last("Y") == ("live", "")
    assert metrics.SEQUENCE_GAPS.labels("kalshi")._value.get() == gaps + 1


def test_the_snapshot_that_shows_a_gap_heals_its_own_market() -> None:
    host, venue = running("X", "Y")
    venue.next(2)
    host.take(snapshot("X", venue.next(2), [("0.40", "9")], sid=2))
    assert [host.last("X"), host.last("Y")] == [("live", ""), ("recovering", "sequence gap")]
    assert [state for state, _, _ in host.said("X")] == ["live", "recovering", "live"]


def test_duplicates_strangers_and_passed_over_kinds_change_nothing() -> None:
    host = Scripted("X")
    host.take(snapshot("X", 1, [("0.40", "1")]), delta("X", 2, "yes", "0.40", "1"))
    host.take(delta("X", 2, "yes", "0.40", "1"), snapshot("X", 1, [("0.40", "1")]))
    host.take(delta("other", 3, "yes", "0.40", "1"), frame("fill", 1, 4, {}), frame("ticker", 9, 0, {}))
    host.take(delta("X", 5, "yes", "0.40", "1"))
    assert host.said() == [("live", "", 1), ("live", "", 2), ("live", "", 3)]
    assert host.books[-1].sides()[0] == [(4000, 300)]
    assert len(host.broken) == 1  # the ticker has no fields


def test_replies_and_scoped_errors_have_their_place_in_the_sequence() -> None:
    host = Scripted("X")
    host.take(snapshot("X", 1, [("0.40", "1")]), reply("ok", 77, sid=1, seq=2, msg={}))
    host.take(delta("X", 3, "yes", "0.40", "1"), error(11, sid=1, seq=4), delta("X", 5, "yes", "0.40", "1"))
    assert host.books[-1].sides()[0] == [(4000, 300)]
    host.take(reply("ok", 78, sid=1, seq=7, msg={}))
    assert host.last() == ("recovering", "sequence gap")


def test_a_gap_elsewhere_leaves_the_books_alone() -> None:
    host, _ = running("X")
    host.take(trade("X", 1, sid=3), trade("X", 3, sid=3))
    assert (host.changed, len(host.trades)) == ([], 2)
    host.take(lifecycle("other", 1, "settled", sid=1), lifecycle("other", 3, "settled", sid=1))
    assert host.changed == [""]
    assert host.said() == [("live", "", 1)]


def test_trades_are_published_in_yes_terms_and_a_repeated_one_once() -> None:
    blocks = metrics.BLOCK_TRADES.labels("kalshi")._value.get()
    host, _ = running("X")
    host.take(trade("X", 1, sid=3), trade("X", 1, sid=3), trade("other", 2, sid=3))
    block = trade("X", 3, "yes", sid=3).replace(b'"t-1"', b'"t-2", "is_block_trade": true')
    host.take(block)
    assert [(one.trade_id, one.price, one.taker_side, one.group) for one in host.trades] == [
        ("t-1", 3600, "sell", "g"), ("t-2", 3600, "buy", "g"),
    ]  # fmt: skip
    assert metrics.BLOCK_TRADES.labels("kalshi")._value.get() == blocks + 1


# What proves a book


def test_an_answer_in_sequence_proves_every_book_of_its_subscription_as_of_the_question() -> None:
    host, venue = running("X", "Y", audit_markets=0)
    host.wait(1.45)
    assert host.commands(action="add_markets") == []
    venue.quiet = {"add_markets"}
    host.wait(0.05)
    (question,) = [command for command in host.sent if command["params"].get("action") == "add_markets"]
    assert question["params"]["skip_ticker_ack"] is True
    asked_ns = host.now_ns
    host.wait(1)
    assert host.session.books["Y"].published.confirmed_ns < asked_ns
    host.take(reply("ok", question["id"], sid=2, seq=venue.next(2), msg={}))
    for market in ("X", "Y"):
        assert host.session.books[market].published.confirmed_ns == asked_ns
    host.wait(5)
    assert [params["market_tickers"] for params in host.commands(action="add_markets")][:3] == [["Y"], ["X"], ["Y"]]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"sid": 1, "seq": 1, "type": "ok"},
        {"type": "error", "msg": {"code": 27, "msg": "too many requests"}},
    ],
    ids=["no answer", "of another subscription", "refused"],
)
def test_without_an_answer_of_its_own_nothing_is_proved_and_the_book_is_stale_in_time(answer: Any) -> None:
    host, venue = running("X", audit_markets=0)
    first_ns = host.now_ns
    venue.quiet = {"add_markets"}
    if answer is not None:
        host.answer = lambda command: host.take(reply(**({"kind": answer["type"], "command": command["id"]} | {
            name: value for name, value in answer.items() if name != "type"
        })))  # fmt: skip
    for _ in range(200):
        venue.host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
        host.wait(0.05)
        if host.last()[0] == "stale":
            break
    assert host.last() == ("stale", "proof overdue")
    assert 3 * SECOND < host.now_ns - first_ns <= 3.1 * SECOND
    assert host.books[-1].confirmed_ns == first_ns


def test_a_stale_book_is_kept_current_and_comes_back_with_its_proof() -> None:
    host, venue = running("X", audit_markets=0)
    venue.quiet = {"add_markets"}
    host.wait(4)
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    assert (host.last(), host.books[-1].sides()[0]) == (("stale", "proof overdue"), [(4000, 200)])
    venue.quiet = set()
    host.wait(1.5)
    assert (host.last(), host.books[-1].sides()[0]) == (("live", ""), [(4000, 200)])
    assert [type(mark).__name__ for mark in host.marks] == ["Doubt", "Trust"]


def test_a_book_that_was_long_under_way_is_doubted_from_the_beginning() -> None:
    host = Scripted("X")
    host.now_ns += 4 * SECOND
    host.take(snapshot("X", 1, [("0.40", "1")]))
    assert host.last() == ("stale", "proof overdue")
    assert host.books[-1].confirmed_ns == host.now_ns - 4 * SECOND


def test_an_old_doubt_is_not_about_a_new_book() -> None:
    host, venue = running("X", audit_markets=0)
    venue.quiet = {"add_markets"}
    host.wait(4)
    assert host.last() == ("stale", "proof overdue")
    venue.quiet = set()
    venue.forget()
    host.reopen()
    assert host.last() == ("live", "")


@pytest.mark.parametrize("place", [{}, {"sid": 2}, {"seq": 9}])
def test_an_answer_without_a_number_is_believed_and_counted_by_itself(place: dict[str, Any]) -> None:
    before = metrics.SUBSCRIPTION_PROOFS.labels("kalshi", "unnumbered")._value.get()
    host, venue = running("X", audit_markets=0)
    venue.quiet = {"add_markets"}
    host.wait(1.5)
    question, asked_ns = host.sent[-1], host.now_ns
    host.wait(0.5)
    host.take(reply("ok", question["id"], msg={}, **place))
    assert host.session.books["X"].published.confirmed_ns == asked_ns
    assert metrics.SUBSCRIPTION_PROOFS.labels("kalshi", "unnumbered")._value.get() == before + 1


def test_a_venue_whose_answers_have_no_numbers_is_followed_all_the_same() -> None:
    host, venue = running("X", "Y")
    venue.numbered = False
    host.wait(20)
    assert (host.said("X"), host.said("Y"), host.lost, host.marks) == ([("live", "", 1)], [("live", "", 1)], [], [])


def test_a_pong_proves_nothing() -> None:
    host, _ = running("X", audit_markets=0)
    proved_ns = host.session.books["X"].published.confirmed_ns
    host.session.ponged(host.now_ns + SECOND)
    assert (host.session.books["X"].published.confirmed_ns, host.pings) == (proved_ns, 0)


# Books are compared


def test_books_of_groups_and_some_of_the_others_are_asked_for_whole() -> None:
    host = Scripted(*MANY[:30], opened=False, group="")
    host.follow(make_market("kalshi", "G1"), make_market("kalshi", "G2"), group="g")
    host.session.speaker._audit_markets = 10  # type: ignore[attr-defined]
    Papers(host)
    host.open()
    seen_in = []
    for _ in range(3):
        asked = len(host.commands(action="get_snapshot"))
        host.wait(1.5)
        seen_in.append(
            [name for params in host.commands(action="get_snapshot")[asked:] for name in params["market_tickers"]]
        )
    assert [asked[:2] for asked in seen_in] == [["G1", "G2"]] * 3
    assert sorted(name for asked in seen_in for name in asked[2:]) == MANY[:30]


def test_a_book_that_differs_from_the_venues_is_replaced_and_counted() -> None:
    before = metrics.RECONCILE_MISMATCHES.labels("kalshi")._value.get()
    host, venue = running("X", "Y")
    venue.books["X"] = ([("0.41", "5.00")], [])
    host.wait(1.5)
    assert (host.last(), host.books[-1].sides()) == (("live", ""), ([(4100, 500)], []))
    assert host.said("Y") == [("live", "", 1)]
    assert metrics.RECONCILE_MISMATCHES.labels("kalshi")._value.get() == before + 1


def test_a_market_that_falls_silent_alone_is_found_out() -> None:
    host, venue = running("X", "Y")
    host.wait(1.5)
    venue.frozen = {"X"}
    frozen_ns = host.now_ns
    while host.last() == ("live", ""):
        host.wait(0.05)
    assert host.last() == ("recovering", "asked for and not sent")
    assert host.now_ns - frozen_ns <= 3 * SECOND
    assert host.last("Y") == ("live", "")
    host.wait(20)
    assert host.lost == [("books do not come", True)]  # half of what it carries: perhaps another connection has them
    venue.frozen = set()
    host.wait(1.5)
    assert host.last() == ("live", "")


def test_a_market_that_falls_silent_on_a_new_connection_is_found_out_as_well() -> None:
    host, venue = running("X", "Y")
    venue.quiet = {"get_snapshot"}  # nothing that is asked for comes, though answers do
    host.wait(3)
    assert host.last("X") == host.last("Y") == ("recovering", "asked for and not sent")


def test_a_venue_that_answers_no_such_question_is_not_taken_for_a_frozen_one_for_ever() -> None:
    host, venue = running("X")
    venue.quiet = {"get_snapshot"}
    for given_up in range(1, 4):
        host.wait(10)
        assert host.lost == [("books do not come", True)] * given_up
        venue.forget()
        host.reopen()
    host.wait(60)
    assert (host.last(), len(host.lost)) == (("live", ""), 3)
