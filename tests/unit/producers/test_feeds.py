"""The part of a feed that both venues share, in virtual time, with lines that show a book at once."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.virtual import START_NS, VirtualTimeLoop, run_virtual
from producers.catalogue import OPEN, Standing
from producers.roster import RETRY_NS
from producers.walk import PAUSE_NS
from runtime import metrics
from tests.unit.producers.plain import CLOSED, PlainCatalogue, PlainFeed

SECOND_NS = 1_000_000_000
LIVE = ("live", "")
CLOSED_BY_CLOCK = ("closed", "its close time has passed")


def run(act: Callable[[PlainFeed, PlainCatalogue], Awaitable[None]], **options: int) -> None:
    """Run a feed in virtual time beside `act`; no groups, hence no budget either, unless it says otherwise."""

    async def main(loop: VirtualTimeLoop) -> None:
        catalogue = PlainCatalogue()
        feed = PlainFeed(loop, catalogue, **({"market_budget": 0} | options))
        running = asyncio.create_task(feed.run())
        await act(feed, catalogue)
        running.cancel()
        await asyncio.wait([running])
        feed.stop()

    run_virtual(main)


def test_markets_are_spread_over_lines_moved_closed_and_said_goodbye_to() -> None:
    last = []

    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        last.append(feed)
        catalogue.add("A", "B", "C")
        feed.assign({"A": "g", "B": "g", "C": "h"})
        await asyncio.sleep(0.1)
        assert feed.followed() == [["A", "B"], ["C"]]
        assert [market.market for market in feed.publisher.markets("kalshi")] == ["A", "B", "C"]
        assert catalogue.prepared == 1
        feed.assign({"A": "g", "B": "h"})
        await asyncio.sleep(0.1)
        assert feed.said("A") == [LIVE]
        assert [(book.group, book.state, book.reason) for book in feed.books("B")] == [
            ("g", "live", ""),
            ("g", "moved", "moved to group h"),
            ("h", "live", ""),
        ]
        assert feed.said("C") == [LIVE, ("closed", "no longer followed")]
        assert feed.book("C") is None

    run(act)
    assert [last[0].said(market)[-1] for market in "AB"] == [("recovering", "producer stopped")] * 2


def test_a_market_that_comes_back_gets_a_new_epoch() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        for assignment in ({"A": "g"}, {}, {"A": "g"}):
            feed.assign(assignment)
            await asyncio.sleep(0.1)
        first, closed, again = feed.books("A")
        assert (first.epoch, closed.state) == (closed.epoch, "closed")
        assert again.epoch > first.epoch

    run(act)


def test_an_unknown_market_is_asked_for_again_and_holds_up_no_other() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        feed.assign({"A": "g", "nowhere": "g"})
        await asyncio.sleep(0.1)
        assert feed.followed() == [["A"]]
        assert metrics.MARKETS_UNKNOWN.labels("kalshi")._value.get() == 1
        catalogue.add("nowhere")
        await asyncio.sleep(RETRY_NS / 1e9)
        assert feed.followed() == [["A", "nowhere"]]
        assert metrics.MARKETS_UNKNOWN.labels("kalshi")._value.get() == 0

    run(act)


def test_a_venue_that_is_down_is_asked_again_and_nothing_followed_is_lost() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        catalogue.down = True
        feed.assign({"A": "g"})
        await asyncio.sleep(30)
        assert feed.followed() == []
        catalogue.down = False
        await asyncio.sleep(RETRY_NS / 1e9)
        assert feed.followed() == [["A"]]
        catalogue.down = True
        await asyncio.sleep(600)
        assert feed.said("A") == [LIVE]

    run(act)


@pytest.mark.parametrize(("changes_in_s", "asked_in_s"), [(0, 60), (3600, 60), (5, 5)])
def test_metadata_is_read_again_after_a_while_or_when_it_is_known_to_change(changes_in_s: int, asked_in_s: int) -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        catalogue.refresh_ns = feed.loop.now_ns() + changes_in_s * SECOND_NS if changes_in_s else 0
        feed.assign({"A": "g"})
        await asyncio.sleep(asked_in_s - 0.01)
        assert len(catalogue.asked) == 1
        await asyncio.sleep(0.02)
        assert len(catalogue.asked) == 2

    run(act)


def test_metadata_is_published_when_more_changed_than_its_time_and_the_line_is_told() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        feed.assign({"A": "g"})
        await asyncio.sleep(0.1)
        catalogue.markets["A"] = msgspec.structs.replace(catalogue.markets["A"], updated_ns=9)
        await asyncio.sleep(120)
        assert len(feed.publisher.markets("kalshi")) == 1
        catalogue.markets["A"] = msgspec.structs.replace(catalogue.markets["A"], close_ns=7)
        await asyncio.sleep(120)
        assert [market.close_ns for market in feed.publisher.markets("kalshi")] == [0, 7]
        assert feed.lines[0].session.heard[-1] == ("described", "A", 7)  # type: ignore[attr-defined]

    run(act)


# The budget


def test_groups_come_first_and_the_most_traded_after_them() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "X", "Y", "Z")
        catalogue.ranking = ["X", "A", "Y", "Z"]
        await asyncio.sleep(60)
        assert (catalogue.walks, feed.followed()) == (0, [])
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        assert sorted(feed.carried()) == ["A", "X", "Y"]
        assert feed.followed()[0][0] == "A"
        assert {book.group for book in feed.books("X")} == {""}

    run(act, market_budget=3)


def test_a_market_of_a_group_never_waits() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        others = [f"X{number}" for number in range(300)]
        catalogue.add("A", "B", *others)
        catalogue.ranking = others
        catalogue.answers_in_s = 1.0
        feed.assign({"A": "g"})
        await asyncio.sleep(1.5)
        feed.assign({"A": "g", "B": "g"})
        await asyncio.sleep(2.1)
        assert "B" in feed.carried()
        assert len(feed.carried()) < 300
        await asyncio.sleep(10)
        assert len(feed.carried()) == 250

    run(act, market_budget=250)


def test_what_cannot_be_followed_gives_way_to_the_next() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("X", "Y", "Z")
        catalogue.ranking = ["X", "Y", "Z"]
        catalogue.refused["X"] = "fee type 'flat' has no known formula"
        catalogue.standing["Y"] = CLOSED
        feed.assign({})
        await asyncio.sleep(1)
        assert feed.followed() == [["Z"]]

    run(act, market_budget=1)


def test_a_market_of_a_group_whose_metadata_stops_making_sense_is_halted() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "B")
        catalogue.refused["B"] = "no price_ranges"
        feed.assign({"A": "g", "B": "g"})
        await asyncio.sleep(1)
        catalogue.refused = {"A": "no price_ranges"}
        await asyncio.sleep(120)
        assert feed.said("A") == [LIVE, ("halted", "its metadata is not understood")]
        assert feed.said("B") == [LIVE]
        catalogue.refused = {}
        await asyncio.sleep(120)
        assert feed.said("A")[-1] == LIVE

    run(act)


def test_the_catalogue_is_walked_again_and_again_and_sooner_when_it_changes() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        feed.assign({})
        await asyncio.sleep(299)
        assert catalogue.walks == 1
        await asyncio.sleep(2)
        assert catalogue.walks == 2
        for _ in range(20):
            feed.catalogue_changed("")
            await asyncio.sleep(1)
        assert catalogue.walks == 2 + 20 // (PAUSE_NS // SECOND_NS)
        catalogue.down = True
        feed.catalogue_changed("")
        await asyncio.sleep(15)
        catalogue.down = False
        walks = catalogue.walks
        await asyncio.sleep(RETRY_NS / 1e9)
        assert catalogue.walks == walks + 1

    run(act, market_budget=5)


# What the venue announces


def test_an_announced_change_is_read_at_once_and_afresh() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "B", "C", event="E")
        catalogue.add("C", event="other")
        feed.assign({"A": "g", "B": "g", "C": "g"})
        await asyncio.sleep(0.1)
        assert catalogue.fresh == []
        feed.catalogue_changed("A")
        await asyncio.sleep(0.1)
        assert catalogue.fresh == ["A"]
        feed.catalogue_changed("E")
        await asyncio.sleep(0.1)
        assert sorted(catalogue.fresh) == ["A", "A", "B"]

    run(act)


def test_a_change_announced_while_the_venue_is_asked_is_not_missed() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        feed.assign({"A": "g"})
        await asyncio.sleep(0.1)
        catalogue.answers_in_s = 1.0
        feed.catalogue_changed("A")
        await asyncio.sleep(0.5)
        catalogue.add("A", title="new")
        feed.catalogue_changed("A")
        await asyncio.sleep(2.0)
        assert feed.publisher.markets("kalshi")[-1].title == "new"

    run(act)


def test_a_market_that_came_into_being_is_followed_while_there_is_room() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        feed.assign({})
        await asyncio.sleep(0.1)
        feed.catalogue_changed("N")
        await asyncio.sleep(0.1)
        assert feed.followed() == []  # the venue announces markets minutes before it knows them
        catalogue.add("N", "M")
        await asyncio.sleep(60)
        assert feed.followed() == [["N"]]
        feed.catalogue_changed("M")
        await asyncio.sleep(60)
        assert feed.followed() == [["N"]]

    run(act, market_budget=1)


# Whether the venue trades


def test_a_market_closes_by_the_clock_the_moment_its_close_time_passes() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        close_ns = START_NS + 100 * SECOND_NS
        catalogue.add("A", close_ns=close_ns)
        catalogue.add("B", close_ns=START_NS - 1)
        feed.assign({"A": "g", "B": "g"})
        await asyncio.sleep(99.999)
        assert feed.said("A") == [LIVE]
        await asyncio.sleep(0.002)
        assert feed.said("A") == [LIVE, CLOSED_BY_CLOCK]
        assert feed.said("B") == [LIVE]
        assert catalogue.fresh == ["A"]
        catalogue.add("A", close_ns=close_ns + 3600 * SECOND_NS)
        feed.catalogue_changed("A")
        await asyncio.sleep(0.1)
        assert feed.said("A") == [LIVE, CLOSED_BY_CLOCK, LIVE]

    run(act)


def test_the_clock_that_counts_is_the_venues() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", close_ns=START_NS + 100 * SECOND_NS)
        for _ in range(30):
            now_ns = feed.loop.now_ns()
            feed.clock.told((now_ns + 10 * SECOND_NS) // SECOND_NS, now_ns, now_ns)
            await asyncio.sleep(feed.clock.probe_in_s(0.1))
        feed.assign({"A": "g"})
        await asyncio.sleep((START_NS + 89 * SECOND_NS - feed.loop.now_ns()) / 1e9)
        assert feed.said("A") == [LIVE]
        await asyncio.sleep(1.1)
        assert feed.said("A") == [LIVE, CLOSED_BY_CLOCK]

    run(act)
    metrics.AGES.correct("kalshi", 0)


def test_a_venue_that_does_not_close_by_the_clock_is_asked_instead() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.closes_by_clock = False
        catalogue.add("A", close_ns=START_NS + 100 * SECOND_NS)
        feed.assign({"A": "g"})
        await asyncio.sleep(200)
        assert feed.said("A") == [LIVE]

    async def main(loop: VirtualTimeLoop) -> None:
        catalogue = PlainCatalogue()
        catalogue.closes_by_clock = False
        feed = PlainFeed(loop, catalogue, market_budget=0)
        running = asyncio.create_task(feed.run())
        await act(feed, catalogue)
        running.cancel()
        await asyncio.wait([running])

    run_virtual(main)


def test_a_pause_of_the_venue_halts_its_markets_until_it_ends() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "X")
        catalogue.ranking = ["X"]
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        catalogue.paused = {"A": "trading paused", "X": "trading paused"}
        await asyncio.sleep(2.6)
        assert [feed.said(market)[-1] for market in "AX"] == [("halted", "trading paused")] * 2
        assert metrics.MARKETS_HELD.labels("kalshi", "halted")._value.get() == 2
        catalogue.down = True
        await asyncio.sleep(10)
        catalogue.down = False
        catalogue.paused = {}
        await asyncio.sleep(2.6)
        assert [feed.said(market) for market in "AX"] == [[LIVE, ("halted", "trading paused"), LIVE]] * 2

    run(act, market_budget=2)


def test_grouped_markets_are_asked_about_every_two_seconds_and_the_others_less_often() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "X")
        catalogue.ranking = ["X"]
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        catalogue.polled = {"A": Standing("halted", "not accepting orders"), "X": CLOSED}
        await asyncio.sleep(2.6)
        assert feed.said("A")[-1] == ("halted", "not accepting orders")
        assert catalogue.fresh[0] == "A"
        await asyncio.sleep(2.6)
        assert feed.said("X")[-1] == ("closed", "closed by the venue")
        catalogue.polled = {}
        await asyncio.sleep(2.6)
        assert feed.said("A")[-1] == LIVE
        await asyncio.sleep(2.6)
        assert feed.said("X")[-1] == LIVE

    run(act, market_budget=2)


def test_a_closed_market_is_kept_a_while_then_dropped_and_followed_again_when_it_reopens() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A", "X", "Y")
        catalogue.ranking = ["X", "Y"]
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        assert sorted(feed.carried()) == ["A", "X"]
        catalogue.standing = {"A": CLOSED, "X": CLOSED}
        catalogue.ranking = ["Y"]
        await asyncio.sleep(70)
        assert feed.said("A") == feed.said("X") == [LIVE, ("closed", "closed by the venue")]
        await asyncio.sleep(700)
        assert feed.carried() == ["Y"]
        assert feed.said("A")[-1] == ("closed", "no longer followed")
        catalogue.standing = {}
        await asyncio.sleep(70)
        assert sorted(feed.carried()) == ["A", "Y"]
        assert feed.said("A")[-1] == LIVE

    run(act, market_budget=2)


def test_a_market_that_is_closed_when_first_seen_is_not_followed() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        catalogue.standing = catalogue.polled = {"A": CLOSED}
        feed.assign({"A": "g"})
        await asyncio.sleep(30)
        assert (feed.followed(), len(catalogue.asked)) == ([], 2)  # the second time when the poll says so, too
        assert [market.market for market in feed.publisher.markets("kalshi")] == ["A"]

    run(act)


def test_a_market_that_is_not_open_yet_is_followed_but_halted() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        catalogue.standing = {"A": Standing("halted", "not open yet")}
        catalogue.refresh_ns = START_NS + 20 * SECOND_NS
        feed.assign({"A": "g"})
        await asyncio.sleep(19)
        assert feed.said("A") == [("halted", "not open yet")]
        catalogue.standing = {}
        await asyncio.sleep(1.1)
        assert feed.said("A")[-1] == LIVE

    run(act)


def test_a_hold_that_the_stream_told_and_never_lifted_ends_by_the_catalogues_word() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        feed.lines[0].hold(["A"], "halted", "deactivated")
        await asyncio.sleep(60)
        assert feed.said("A") == [LIVE, ("halted", "deactivated")]
        await asyncio.sleep(130)
        assert feed.said("A") == [LIVE, ("halted", "deactivated"), LIVE]

    run(act)


def test_a_market_that_the_venue_no_longer_knows_is_closed() -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add("A")
        feed.assign({"A": "g"})
        await asyncio.sleep(1)
        known = catalogue.markets.pop("A")
        await asyncio.sleep(61)
        assert feed.said("A") == [LIVE, ("closed", "the venue knows it no more")]
        catalogue.markets["A"] = known
        await asyncio.sleep(61)
        assert feed.said("A")[-1] == LIVE

    run(act)


NAMES = [f"M{number}" for number in range(8)]
STATES = st.sampled_from([OPEN, Standing("halted", "x"), CLOSED])
STEPS = st.one_of(
    st.tuples(st.just("assign"), st.dictionaries(st.sampled_from(NAMES), st.sampled_from("gh"), max_size=5)),
    st.tuples(st.just("changed"), st.sampled_from([*NAMES, "", "E"])),
    st.tuples(st.just("standing"), st.dictionaries(st.sampled_from(NAMES), STATES)),
    st.tuples(st.just("polled"), st.dictionaries(st.sampled_from(NAMES), STATES)),
    st.tuples(st.just("paused"), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "paused"]))),
    st.tuples(st.just("refused"), st.dictionaries(st.sampled_from(NAMES), st.just("no"))),
    st.tuples(st.just("ranking"), st.lists(st.sampled_from(NAMES), unique=True)),
    st.tuples(st.just("down"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 900)),
)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 6), st.lists(STEPS, max_size=15))
def test_whatever_happens_everything_is_right_again_when_the_venue_answers(
    budget: int, steps: list[tuple[str, object]]
) -> None:
    async def act(feed: PlainFeed, catalogue: PlainCatalogue) -> None:
        catalogue.add(*NAMES)
        groups: dict[str, str] = {}
        for step, value in steps:
            if step == "assign":
                groups = dict(value)  # type: ignore[call-overload]
                feed.assign(groups)
            elif step == "changed":
                feed.catalogue_changed(str(value))
            elif step == "wait":
                await asyncio.sleep(float(value))  # type: ignore[arg-type]
            else:
                setattr(catalogue, step, value)
            await asyncio.sleep(0.01)
        catalogue.down = False
        catalogue.refused = {}
        feed.assign(groups)
        await asyncio.sleep(300)
        here = set(feed.carried())
        wanted = {name for name in groups if catalogue.standing.get(name, OPEN).state != "closed"}
        wanted -= {name for name in groups if catalogue.polled.get(name, OPEN).state == "closed"}
        assert {name for name in here if name in groups} == wanted
        assert len(here - set(groups)) <= max(0, budget - len(groups))
        assert all(len(line) <= 2 for line in feed.followed())
        for name in here:
            polled = catalogue.polled.get(name, OPEN).state
            halted = "halted" in (catalogue.standing.get(name, OPEN).state, polled) or catalogue.paused.get(name)
            assert feed.said(name)[-1][0] == ("halted" if halted else "live")

    run(act, market_budget=budget, closed_kept_ms=60_000, status_poll_ms=10_000)
