"""What goes wrong on a Kalshi connection, and how its books become right again."""

from functools import partial
from typing import Any

import pytest

from producers.kalshi import wire
from producers.kalshi.messages import BOOKS, LIFECYCLE, TRADES
from producers.kalshi.session import KalshiSession
from producers.transcript import Described, Hold, Release
from tests.unit.producers.kalshi.frames import delta, error, frame, lifecycle, reply, snapshot, subscribed, trade
from tests.unit.producers.kalshi.scripted import SECOND, Papers, Scripted
from tests.unit.producers.kalshi.test_session import MANY, running, seen
from tests.unit.producers.support import make_market


def silent(*markets: str) -> tuple[Scripted, Papers]:
    """As `running`, and the venue sends no whole book for as long as the test does not."""
    host, venue = running(*markets, audit_markets=0)
    host.wait(0.3)
    venue.quiet = {"get_snapshot"}
    return host, venue


# Frames that cannot be read


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b'{"type":"orderbook_delta","sid":"1"}',
        b'{"type":"ok","seq":{"nonsense":[]}}',
        frame("orderbook_delta", 0, 0, {}),
        frame("orderbook_delta", 9, 1, {}),
    ],
)
def test_a_frame_of_which_nothing_can_be_said_leaves_no_book_trusted(data: bytes) -> None:
    host, _ = running("X", "Y")
    host.wait(0.3)
    host.take(data)
    assert host.last("X") == host.last("Y") == ("recovering", "malformed frame")
    assert len(host.broken) == 1
    host.settle()
    assert host.last("X") == host.last("Y") == ("live", "")


@pytest.mark.parametrize(
    ("msg", "lost"), [({"market_ticker": "X"}, ["X"]), ({}, ["X", "Y"]), ({"market_ticker": "other"}, [])]
)
def test_a_malformed_change_is_about_its_market_or_about_anyone_on_its_subscription(msg: Any, lost: list[str]) -> None:
    host, venue = silent("X", "Y")
    host.take(frame("orderbook_delta", 2, venue.next(2), msg))
    assert [market for market in ("X", "Y") if host.last(market) == ("recovering", "malformed frame")] == lost
    assert [params["market_tickers"] for params in host.commands(action="get_snapshot")] == [lost] * bool(lost)
    assert len(host.broken) == 1


def test_a_malformed_error_may_have_ended_its_subscription() -> None:
    host, venue = silent("X")
    host.take(frame("error", 2, venue.next(2), {"code": {"nonsense": []}}))
    assert host.last() == ("recovering", "malformed frame")


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        (b'{"type":"trade","sid":{"nonsense":[]}}', []),
        (frame("trade", 3, 1, {"market_ticker": "X"}), []),
        (frame("fill", 8, 1, {"x": 1}), []),
        (frame("ticker", 8, 0, {"market_ticker": "X", "price": 48}), []),
        (frame("market_lifecycle_v2", 1, 1, {"market_ticker": "X"}), ["X"]),
        (frame("market_lifecycle_v2", 1, 1, {"market_ticker": {}}), [""]),
        (frame("market_lifecycle_v2", 1, 1, {"market_ticker": "other"}), []),
    ],
)
def test_what_changes_no_book_leaves_the_books_alone_however_malformed(data: bytes, changed: list[str]) -> None:
    host, _ = running("X")
    host.take(data)
    assert host.said() == [("live", "", 1)]
    assert host.changed == changed


def test_an_unknown_message_in_the_sequence_of_books_may_have_changed_one() -> None:
    host, venue = silent("X")
    host.take(frame("weird", 1, 1, {}))
    assert host.last() == ("live", "")
    host.take(frame("weird", 2, venue.next(2), {}))
    assert host.last() == ("recovering", "unknown message")


# Books that cannot be right


@pytest.mark.parametrize(
    ("side", "price", "change", "reason"), [("yes", "0.40", "-2", "negative level"), ("yes", "0.50", "1", "crossed")]
)
def test_a_book_that_shows_a_missed_message_is_asked_for_at_once(
    side: str, price: str, change: str, reason: str
) -> None:
    host, venue = running("X", "Y")
    host.wait(0.3)
    host.take(delta("X", venue.next(2), side, price, change, sid=2))
    assert host.last() == ("recovering", reason)
    assert host.commands(action="get_snapshot")[-1]["market_tickers"] == ["X"]
    host.settle()
    assert (host.last("X"), host.last("Y")) == (("live", ""), ("live", ""))


def test_a_book_that_is_crossed_at_the_venue_is_asked_for_slowly_until_it_is_not() -> None:
    before = seen("crossed snapshot", "in the leg asked for"), seen("crossed snapshot", "in either leg")
    host, venue = running("X", audit_markets=0)
    venue.books["X"] = ([("0.60", "1.00")], [("0.70", "2.00")])  # YES asks at 0.70, were this the other leg
    venue.forget()
    host.reopen()
    assert host.last() == ("recovering", "crossed at the venue")
    host.wait(9)
    assert len(host.commands(action="get_snapshot")) == 3
    assert seen("crossed snapshot", "in the leg asked for") == before[0] + 4  # with the first
    venue.books["X"] = ([("0.50", "1.00")], [("0.50", "2.00")])  # locked
    host.wait(3)
    assert host.last() == ("recovering", "crossed at the venue")
    assert seen("crossed snapshot", "in either leg") == before[1] + 1
    venue.books.clear()
    host.wait(3.1)
    assert (host.last(), host.lost) == (("live", ""), [])


def test_a_price_off_the_grid_asks_for_the_catalogue_and_a_new_description_heals() -> None:
    host, venue = running("X", audit_markets=0)
    venue.books["X"] = ([("0.4005", "1.00")], [])
    host.take(delta("X", venue.next(2), "yes", "0.4005", "1", sid=2))
    assert (host.last(), host.changed) == (("recovering", "price off the grid"), ["X"])
    host.wait(4)
    assert host.last() == ("recovering", "price off the grid")
    assert (host.changed, len(host.commands(action="get_snapshot"))) == (["X", "X"], 1)
    host.give(Described(make_market("kalshi", "X", step=5)))
    assert host.last() == ("recovering", "new price grid")
    host.wait(0.05)
    assert (host.last(), host.books[-1].sides()) == (("live", ""), ([(4005, 100)], []))


# Subscriptions that end


@pytest.mark.parametrize("named", ["sid", "command", "both"])
@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_ends_the_subscription_it_names_and_another_is_made(code: int, named: str) -> None:
    host, venue = running("X", "Y", audit_markets=0)
    venue.quiet = {"add_markets"}
    host.wait(1.5)
    question = host.sent[-1]["id"]
    place = {"sid": 2, "seq": venue.next(2)} if named != "command" else {}
    old = dict(venue.sids)
    venue.forget()
    venue.sids = {LIFECYCLE: old[LIFECYCLE], TRADES: old[TRADES], "taken": 9}
    host.take(error(code, **({"id": question} if named != "sid" else {}), **place))
    assert host.last("X") == host.last("Y") == ("recovering", f"subscription lost (code {code})")
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))  # a straggler
    host.wait(0.3)
    assert len(host.commands("subscribe", channel=BOOKS)) == 2
    assert host.last("X") == host.last("Y") == ("live", "")
    assert {book.sid for book in host.session.books.values()} == {4}
    assert host.lost == []


def test_a_terminal_error_that_names_nothing_makes_the_connection_again() -> None:
    host, _ = running("X")
    host.take(error(25))
    assert host.last() == ("recovering", "subscription lost (code 25)")
    assert host.lost == [("code 25 (text) names no subscription", False)]


def test_a_subscription_that_the_venue_does_not_know_is_made_again() -> None:
    host, venue = running("X", audit_markets=0)
    venue.quiet = {"add_markets"}
    host.wait(1.5)
    venue.forget()
    venue.sids = {LIFECYCLE: 1, "old": 2, TRADES: 3}
    host.take(error(7, id=host.sent[-1]["id"]))
    assert host.last() == ("recovering", "subscription lost (code 7)")
    host.take(error(7, id=998), error(7, sid=2))  # what else is said of it is no news
    host.wait(0.3)
    assert (host.last(), host.lost) == (("live", ""), [])


def test_trades_and_lifecycle_are_subscribed_to_again_too() -> None:
    host, venue = running("X")
    venue.sids = {BOOKS: 2}
    host.take(error(10, sid=1, seq=venue.next(1)), error(25, sid=3, seq=venue.next(3)))
    assert host.last() == ("live", "")
    host.wait(1.5)
    assert len(host.commands("subscribe", channel=LIFECYCLE)) == len(host.commands("subscribe", channel=TRADES)) == 2


def test_an_unsubscription_that_nobody_asked_for_ends_it_as_well() -> None:
    host, venue = running("X")
    venue.sids = {LIFECYCLE: 1, "old": 2, TRADES: 3}
    host.take(reply("unsubscribed", 0, sid=2, seq=venue.next(2)))
    assert host.last() == ("recovering", "unsubscribed")
    host.wait(1.5)
    assert len(host.commands("subscribe", channel=BOOKS)) == 2
    assert host.last() == ("live", "")


# Commands that are refused


def answers(venue: Papers, code: int, when: Any, **more: Any) -> list[int]:
    """Refuse the commands for which `when` holds; the list gets their numbers."""
    refused: list[int] = []

    def answer(command: dict[str, Any]) -> None:
        if not when(command["params"]):
            venue.command(command)
            return
        refused.append(command["id"])
        venue.host.take(error(code, id=command["id"], **more))

    venue.host.answer = answer
    return refused


@pytest.mark.parametrize("code", [25, 26])
def test_portions_that_are_too_large_become_smaller(code: int) -> None:
    host = Scripted(*MANY, opened=False)
    venue = Papers(host)
    answers(
        venue, code, lambda params: len(params.get("market_tickers", [])) > 7 and params.get("channels") != [TRADES]
    )
    host.open()
    host.wait(8)
    assert {host.last(market) for market in MANY} == {("live", "")}
    assert min(len(params["market_tickers"]) for params in host.commands(action="add_markets")) <= 7
    assert host.lost == []


def test_a_market_that_is_one_too_many_is_left_alone_and_the_others_are_not() -> None:
    host, venue = running("X", audit_markets=0)
    refused = answers(venue, 26, lambda params: "Y" in params.get("market_tickers", []) and params["sids"] == [2])
    host.follow(make_market("kalshi", "Y"))
    host.wait(50)
    assert len(refused) == 1
    assert (host.said("Y"), host.last("X"), host.lost) == ([], ("live", ""), [])
    host.wait(15)
    assert len(refused) == 2


def test_too_many_commands_slow_down_what_is_asked() -> None:
    host = Scripted("X", opened=False)
    venue = Papers(host)
    refused = answers(venue, 27, lambda params: params.get("channels") == [BOOKS])
    host.open()
    host.wait(3.6)
    assert len(refused) == 4  # at once, and after 0.25, 0.5, 1 and 2 seconds more
    host.wait(20)
    assert (len(refused), host.lost) == (9, [])
    host.answer = venue.command
    host.wait(4)
    assert host.last() == ("live", "")


def test_a_market_that_the_venue_names_as_wrong_holds_up_no_other() -> None:
    host = Scripted("X", "BAD", opened=False)
    venue = Papers(host)
    refused = answers(venue, 11, lambda params: "BAD" in params.get("market_tickers", []), market_ticker="BAD")
    host.open()
    host.wait(3)
    assert (host.last("X"), host.said("BAD"), host.lost) == (("live", ""), [], [])
    assert len(refused) == 2  # of books and of trades
    host.wait(60)
    assert len(refused) == 4


def test_a_wrong_market_that_is_not_named_is_found_by_ever_smaller_portions() -> None:
    host = Scripted(*MANY[:8], "BAD", opened=False)
    venue = Papers(host)
    answers(venue, 11, lambda params: "BAD" in params.get("market_tickers", []))
    host.open()
    host.wait(12)
    assert {host.last(market) for market in MANY[:8]} == {("live", "")}
    assert (host.said("BAD"), host.lost) == ([], [])


def test_where_whole_books_are_refused_the_connection_is_made_again() -> None:
    host, venue = running("X", audit_markets=0)
    answers(venue, 13, lambda params: params.get("action") == "get_snapshot")
    venue.next(2)
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    host.wait(8)
    assert host.lost == [("books do not come", True)]


# Patience


def test_whole_books_are_asked_for_again_and_then_the_connection_is_made_again() -> None:
    host, venue = silent("X")
    venue.next(2)
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    host.wait(6.9)
    assert len(host.commands(action="get_snapshot")) == 6
    assert host.lost == [("books do not come", True)]
    venue.quiet = set()
    venue.forget()
    host.reopen()
    assert host.last() == ("live", "")


def test_a_few_markets_that_do_not_come_do_not_cost_the_others_their_connection() -> None:
    host = Scripted(*MANY[:10], opened=False)
    venue = Papers(host)
    venue.frozen = {"M01", "M02"}
    host.open()
    host.wait(60)
    assert host.lost == []
    assert sum(host.last(market) == ("live", "") for market in MANY[:10] if host.said(market)) == 8


def test_a_connection_on_which_nothing_is_answered_is_made_again() -> None:
    host, venue = running("X", audit_markets=0)
    venue.quiet = {"add_markets", "get_snapshot", "subscribe"}
    for _ in range(11):
        host.wait(1)
        assert host.lost == []
        host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))  # frames go on, but answer nothing
    host.wait(1)
    assert host.lost == [("nothing is answered", True)]


def test_a_new_connection_that_stays_mute_is_made_again_as_well() -> None:
    host = Scripted("X")
    host.wait(6)
    assert len(host.commands("subscribe", channel=BOOKS)) > 3
    host.wait(5)
    assert host.lost in ([("books do not come", True)], [("nothing is answered", True)])


def test_a_market_that_the_venue_has_closed_is_not_asked_for_until_it_is_released() -> None:
    host, venue = running("X", "Y")
    host.give(Hold(("X",), "closed", "close time passed"))
    venue.next(2)
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    host.wait(20)
    assert (host.last("X"), host.last("Y"), host.lost) == (("closed", "close time passed"), ("live", ""), [])
    assert not any("X" in params["market_tickers"] for params in host.commands(action="get_snapshot"))
    host.give(Release(("X",)))
    assert host.last("X") == ("recovering", "sequence gap")
    host.wait(0.1)
    assert host.last("X") == ("live", "")


# Floods


def test_a_flood_of_gaps_is_no_flood_of_questions() -> None:
    host, venue = running("X", "Y", audit_markets=0)
    venue.quiet = {"get_snapshot"}
    asked = len(host.sent)
    for _ in range(1000):
        venue.next(2)
        host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
        host.now_ns += SECOND // 1000
    assert len(host.sent) - asked <= 5


def test_books_that_were_asked_for_name_the_command_and_prove_its_moment() -> None:
    before = seen("snapshot names command", "yes")
    host, venue = silent("X")
    venue.next(2)
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    host.wait(1.2)
    asked_ns, number = host.now_ns, host.sent[-1]["id"]
    host.wait(0.1)
    named = snapshot("X", venue.next(2), [("0.40", "1")], sid=2).replace(b'{"type"', b'{"id": %d, "type"' % number, 1)
    host.take(named)
    assert (host.last(), host.books[-1].confirmed_ns) == (("live", ""), asked_ns)
    assert seen("snapshot names command", "yes") == before + 1


@pytest.mark.parametrize("kind", sorted(wire.BOOKLESS))
def test_every_kind_without_a_book_can_be_anything(kind: str) -> None:
    host, _ = running("X")
    anything: list[Any] = [{}, {"market_ticker": "X"}, [], "text", None]
    for msg in anything:
        host.take(frame(kind, 8, 0, msg))
    assert host.said() == [("live", "", 1)]


def test_answers_that_nobody_asked_for_are_passed_over() -> None:
    host, venue = running("X")
    host.take(reply("ok", 997, sid=2, seq=venue.next(2), msg={"market_tickers": ["X", "other"]}))
    host.take(reply("ok", 998, msg=[{"channel": BOOKS, "sid": 2}]), subscribed(999, "fill", 8), trade("X", 1, sid=3))
    host.take(lifecycle("X", 1, "metadata_updated", sid=1))
    assert host.said() == [("live", "", 1)]
    host.session.sent(host.transcript[-1][1], "no command")
    assert host.session.dialogue.subscriptions.of(2).markets.keys() == {"X"}  # type: ignore[attr-defined]


def test_the_session_can_be_made_without_naming_anything() -> None:
    assert KalshiSession.way == "websocket"
    host = Scripted("X", make=partial(KalshiSession))
    assert host.sent
