"""Whatever comes, in whatever order: nothing is raised, no live book is impossible, and a replay says the same."""

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.kalshi.session import KalshiSession
from producers.transcript import Closed, Described, Hold, Opened, Release, Unfollow
from schemas.records import Book
from tests.unit.producers.kalshi.frames import delta, error, frame, lifecycle, reply, snapshot, subscribed, trade
from tests.unit.producers.kalshi.scripted import Papers, Scripted
from tests.unit.producers.mutate import mutated
from tests.unit.producers.support import make_market

MARKETS = ["X", "Y"]
STEPS = (100, 10)
SEQ = st.integers(1, 12)
SIDS = st.integers(1, 4)
PRICES = st.sampled_from(["0.40", "0.41", "0.405", "0.59", "0.60", "0.4001"])
LEVELS = st.lists(st.tuples(PRICES, st.sampled_from(["1.00", "2.50", "0"])), max_size=3)
NAMES = st.sampled_from([*MARKETS, "other"])
FRAMES = st.one_of(
    st.builds(snapshot, NAMES, SEQ, LEVELS, LEVELS, sid=SIDS),
    st.builds(delta, NAMES, SEQ, st.sampled_from(["yes", "no"]), PRICES, st.sampled_from(["1.00", "-1.00"]), sid=SIDS),
    st.builds(trade, NAMES, SEQ, sid=SIDS),
    st.builds(
        lifecycle,
        NAMES,
        SEQ,
        st.sampled_from(["activated", "deactivated", "determined", "price_level_structure_updated", "created"]),
        sid=SIDS,
        price_ranges=st.sampled_from([[], [{"start": "0", "end": "1", "step": "0.0001"}]]),
    ),
    st.builds(subscribed, st.integers(0, 12), st.sampled_from(["orderbook_delta", "trade"]), SIDS),
    st.builds(lambda number, sid, seq: reply("ok", number, sid=sid, seq=seq), st.integers(0, 12), SIDS, SEQ),
    st.builds(lambda number: reply("ok", number, msg={}), st.integers(0, 12)),
    st.builds(lambda sid, seq: reply("unsubscribed", 0, sid=sid, seq=seq), SIDS, SEQ),
    st.builds(
        lambda code, more: error(code, **more),
        st.sampled_from([7, 10, 11, 25, 26, 27]),
        st.sampled_from([{}, {"sid": 1}, {"sid": 2, "seq": 3}, {"id": 2}, {"id": 3}, {"market_ticker": "X", "id": 5}]),
    ),
    st.builds(frame, st.sampled_from(["weird", "fill", "ticker"]), SIDS, SEQ, st.just({})),
    mutated([snapshot("X", 2, [("0.40", "1")]), delta("Y", 3, "no", "0.41", "1"), reply("ok", 3, sid=1, seq=4)]),
    st.binary(max_size=12),
)
MARKS = st.sampled_from(
    [
        Closed("cut"),
        Opened(),
        Unfollow("Y"),
        Hold(("X",), "closed", "close time passed"),
        Release(("X", "Y")),
        Described(make_market("kalshi", "X", step=10)),
        Described(make_market("kalshi", "X", step=100)),
    ]
)
THINGS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), FRAMES),
        st.tuples(st.just("wait"), st.sampled_from([0.05, 0.3, 1.5, 4.0])),
        st.tuples(st.just("answer"), st.integers(1, 3)),
        st.tuples(st.just("mark"), MARKS),
        st.tuples(st.just("pong"), st.none()),
    ),
    max_size=30,
)


def do(host: Scripted, venue: Papers, kind: str, what: Any) -> None:
    if kind in ("frame", "answer") and not host.session.open:
        return  # nothing comes over a connection that is gone
    match kind:
        case "frame":
            host.take(what)
        case "wait":
            end_ns = host.now_ns + round(what * 1e9)
            while host.now_ns < end_ns:
                host.now_ns += 50_000_000
                host.session.tick(host.now_ns)
        case "answer":  # some of what was asked, and the rest is lost
            for command in host.sent[-what:]:
                venue.markets.setdefault(command["params"].get("sids", [0])[0], set())
                venue.command(command)
        case "mark":
            if not (isinstance(what, Opened) and host.session.open):
                host.give(what)
        case "pong":
            host.session.ponged(host.now_ns)


def key(book: Book) -> tuple[Any, ...]:
    return (book.market, book.frame, book.sequence, book.state, book.reason, book.ladder, book.bid_count)


@settings(max_examples=60, deadline=None)
@given(THINGS, st.booleans(), st.sampled_from(STEPS))
def test_anything_at_all(things: list[tuple[str, Any]], yes_price: bool, step: int) -> None:
    make = partial(KalshiSession, use_yes_price=yes_price)
    host = Scripted(*MARKETS, make=make, step=step)
    venue = Papers(host)
    host.answer = lambda _: None
    for kind, what in things:
        do(host, venue, kind, what)
        for book in host.session.books.values():
            record = book.published.record
            if record is not None and record.state == "live":
                bids, asks = record.sides()
                assert not bids or not asks or bids[-1][0] <= bids[0][0] < asks[0][0] <= asks[-1][0]
                assert all(size > 0 for _, size in bids + asks)
                assert all(book.grid[price] for price, _ in bids + asks)
                assert book.published.held is None
    order: dict[str, list[tuple[int, int]]] = {}
    for said in host.books:
        order.setdefault(said.market, []).append((said.epoch, said.sequence))
    assert all(pairs == sorted(set(pairs)) for pairs in order.values())
    assert [key(book) for book in host.replayed(KalshiSession)] == [key(book) for book in host.books]
