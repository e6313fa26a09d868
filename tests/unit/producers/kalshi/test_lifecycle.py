"""What the websocket tells of a market's life, and what it does to its book at once."""

from typing import Any

import msgspec
import pytest

from producers.transcript import Closed, Described, Hold, Opened
from tests.unit.producers.kalshi.frames import delta, frame, lifecycle
from tests.unit.producers.kalshi.scripted import Papers, Scripted
from tests.unit.producers.kalshi.test_session import running
from tests.unit.producers.support import make_market

FINE = [{"start": "0.0000", "end": "1.0000", "step": "0.0001"}]


def tell(host: Scripted, venue: Papers, event: str, market: str = "X", **more: Any) -> None:
    host.take(lifecycle(market, venue.next(1), event, sid=1, **more))


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        ("deactivated", "halted", "paused by the venue"),
        ("determined", "closed", "determined by the venue"),
        ("settled", "closed", "settled by the venue"),
    ],
)
def test_a_market_that_is_not_traded_any_more_is_held_at_that_frame(event: str, state: str, reason: str) -> None:
    host, venue = running("X", "Y")
    tell(host, venue, event)
    assert host.last("X") == (state, reason)
    assert host.books[-1].frame == host.transcript[-1][1].frame
    assert (host.last("Y"), host.changed) == (("live", ""), ["X"])
    host.take(delta("X", venue.next(2), "yes", "0.40", "1", sid=2))
    assert (host.last("X"), host.books[-1].sides()[0]) == ((state, reason), [(4000, 200)])  # kept current all the same


def test_a_market_comes_back_with_a_new_book() -> None:
    host, venue = running("X")
    tell(host, venue, "deactivated", is_deactivated=True)
    host.wait(0.3)
    venue.quiet = {"get_snapshot"}
    tell(host, venue, "activated", is_deactivated=False)
    assert host.last() == ("recovering", "reactivated")
    venue.quiet, venue.books["X"] = set(), ([], [])
    host.wait(1.5)
    assert (host.last(), host.books[-1].sides()) == (("live", ""), ([], []))
    assert [state for state, _, _ in host.said()] == ["live", "halted", "recovering", "live"]
    assert host.books[-1].epoch > host.books[0].epoch


@pytest.mark.parametrize(("state", "reason"), [("halted", "trading paused"), ("closed", "close time passed")])
def test_what_the_catalogue_holds_only_the_catalogue_releases(state: Any, reason: str) -> None:
    host, venue = running("X")
    host.give(Hold(("X",), state, reason))
    tell(host, venue, "deactivated")
    assert host.last() == (state, reason)
    tell(host, venue, "activated")
    assert host.last() == (state, reason)
    assert host.changed == ["X", "X"]
    assert not host.session.books["X"].published.trusted


def test_a_market_is_closed_even_while_it_is_paused() -> None:
    host, venue = running("X")
    tell(host, venue, "deactivated")
    tell(host, venue, "determined", result="yes")
    tell(host, venue, "deactivated")
    assert host.last() == ("closed", "determined by the venue")


def test_a_new_price_grid_holds_from_its_frame_on_and_the_book_comes_anew() -> None:
    host, venue = running("X")
    host.wait(0.3)
    venue.books["X"] = ([("0.4001", "1.00")], [])
    tell(host, venue, "price_level_structure_updated", price_level_structure="deci_cent", price_ranges=FINE)
    assert (host.last(), host.changed) == (("recovering", "new price grid"), ["X"])
    host.wait(0.1)
    assert (host.last(), host.books[-1].sides()) == (("live", ""), ([(4001, 100)], []))
    assert host.books[-1].epoch > host.books[0].epoch
    host.give(Described(make_market("kalshi", "X", step=10)))  # the catalogue lags behind
    host.take(delta("X", venue.next(2), "yes", "0.4001", "1", sid=2))
    assert (host.last(), host.books[-1].sides()[0]) == (("live", ""), [(4001, 200)])
    said = len(host.books)
    host.give(Described(make_market("kalshi", "X", step=1)))  # now it knows
    assert len(host.books) == said
    other = msgspec.structs.replace(make_market("kalshi", "X", step=3), title="another")
    host.give(Described(other))
    assert host.last() == ("recovering", "new price grid")


def test_a_new_connection_goes_by_the_catalogue_again() -> None:
    host, venue = running("X")
    tell(host, venue, "price_level_structure_updated", price_ranges=FINE)
    host.give(Closed("cut"))
    venue.forget()
    venue.books["X"] = ([("0.4001", "1.00")], [])
    host.give(Opened())
    host.settle()
    assert host.last() == ("recovering", "price off the grid")


def test_a_new_grid_without_its_bands_is_left_to_the_catalogue() -> None:
    host, venue = running("X")
    host.wait(0.3)
    tell(host, venue, "price_level_structure_updated", price_level_structure="")
    assert (host.last(), host.changed) == (("recovering", "new price grid"), ["X"])
    host.wait(0.1)
    assert host.last() == ("live", "")


@pytest.mark.parametrize("event", ["close_date_updated", "metadata_updated", "created", "renamed"])
def test_whatever_else_changes_is_asked_of_the_catalogue(event: str) -> None:
    host, venue = running("X")
    tell(host, venue, event)
    assert (host.said(), host.changed) == ([("live", "", 1)], ["X"])


def test_of_other_markets_only_the_new_ones_are_of_interest() -> None:
    host, venue = running("X")
    for event in ("created", "activated", "deactivated", "settled", "renamed"):
        tell(host, venue, event, market="other")
    assert host.changed == ["other"]


def test_a_fee_override_concerns_the_markets_of_its_event() -> None:
    host, venue = running("X")
    for event in ("E", "other"):
        host.take(frame("event_fee_update", 1, venue.next(1), {"event_ticker": event, "fee_type_override": None}))
    host.take(frame("event_lifecycle", 1, venue.next(1), {"event_ticker": "E"}))
    assert host.changed == ["E"]
    assert host.good == len([1 for kind, _, _ in host.transcript if kind == "ws"])
