"""Anything at all: what happens to messages, in any order, leaves no book live that cannot be, and all heal."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Book
from schemas.units import ONE
from tests.unit.producers.mutate import mutated
from tests.unit.producers.polymarket.frames import NO, YES, VenueMarket, encode, tick_event, trade_event
from tests.unit.producers.polymarket.scripted import Scripted

FATES = ("arrive", "arrive", "arrive", "arrive", "lose", "double", "late", "cut", "spoil")
OTHER = ("0xother", "5", "6")


@dataclass
class Wire:
    """The way from the venue to the line: what the venue sends has a fate."""

    line: Scripted
    random: Random
    kind: bool = True
    held: list[bytes] = field(default_factory=list)

    def send(self, event: Any) -> None:
        data = event if isinstance(event, bytes) else encode(event)
        fate = "arrive" if self.kind else self.random.choice(FATES)
        gap_ms = self.random.choice((0, 0, 1, 30))
        match fate:
            case "arrive":
                self.line.take(data, *self.held, after_ms=gap_ms)
                self.held = []
            case "double":
                self.line.take(data, data, after_ms=gap_ms)
            case "late":
                self.held.append(data)
            case "cut":
                self.line.take(data[: self.random.randrange(len(data))])
            case "spoil":
                self.line.take(data.replace(b'"price"', b'"prize"', 1))


def move(venue: VenueMarket, random: Random, wire: Wire) -> None:
    """The venue's book moves, never crossed, often twice under one stamp."""
    stamp = venue.ms + random.choice((0, 0, 1, 40))
    middle = random.randrange(3000, 7000, 100)
    told = []
    for _ in range(random.choice((1, 1, 2, 3))):
        side = random.choice(("bid", "ask"))
        price = middle + random.randrange(100, 800, 100) * (-1 if side == "bid" else 1)
        crossed = max(venue.bids, default=0) >= price if side == "ask" else min(venue.asks, default=ONE) <= price
        size = "0" if crossed else random.choice(("0", "1", "2.5", "7.125", "0.004"))
        venue.move(side, price, size, ms=stamp)
        told.append((side, price, size))
    if random.random() < 0.2:
        venue.facts["last_trade_price"] = f"{middle / ONE:.3f}"
    wire.send(venue.told(told, legs=random.choice(("both", "both", "yes", "no"))))
    if random.random() < 0.1:
        wire.send(venue.book(random.choice((venue.yes, venue.no))))


def act(line: Scripted, random: Random, wire: Wire) -> None:
    venue = random.choice(line.venues)
    match random.randrange(12):
        case 0:
            line.tick(random.choice((50, 150, 1000)))
        case 1 if line.asked:
            line.answer(*([] if random.random() < 0.8 else [b"nothing"]))
        case 2 if line.asked:
            line.fail()
        case 3:
            wire.send(trade_event(market=venue.market, token=venue.yes))
        case _:
            move(venue, random, wire)


def sound(book: Book) -> bool:
    bids, asks = book.sides()
    levels = bids + asks
    crossed = bool(bids and asks) and bids[0][0] >= asks[0][0]
    return (
        all(size > 0 and 0 < price < ONE and not price % 100 for price, size in levels)
        and bids == sorted(bids, reverse=True)
        and asks == sorted(asks)
        and not (book.state == "live" and crossed)
    )


def answer_calls(line: Scripted, done: int) -> int:
    """The venue answers subscriptions with whole books."""
    for text in line.sent[done:]:
        if '"subscribe"' in text:
            line.take(*(venue.first() for venue in line.venues if venue.yes in text), after_ms=0)
    return len(line.sent)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_whatever_happens_to_messages_every_book_heals(seed: int, actions: int) -> None:
    random = Random(seed)
    line = Scripted(VenueMarket(), VenueMarket(*OTHER))
    wire = Wire(line, random)
    line.take(*(venue.first() for venue in line.venues))
    wire.kind = False
    for _ in range(actions):
        act(line, random, wire)
    wire.kind = True
    done = len(line.sent)
    for _ in range(120):
        line.tick()
        done = answer_calls(line, done)
        line.answer()
    assert line.agrees()
    assert all(map(sound, line.books))
    order = [(book.market, book.epoch, book.sequence) for book in line.books]
    assert order == sorted(set(order), key=order.index)
    assert line.replayed() == line.said()


VENUE = VenueMarket()
FRAMES = [
    VENUE.first().strip(),
    encode(VENUE.change("bid", 4100, "7")),
    encode([VENUE.change("ask", 5900, "7"), VENUE.book(NO), tick_event("0.001"), trade_event()]),
    encode(VENUE.book(YES)),
    encode({"event_type": "market_resolved", "market": VENUE.market, "id": "1"}),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(mutated(FRAMES) | st.sampled_from(FRAMES) | st.binary(max_size=20), max_size=6))
def test_no_frame_raises_and_every_one_is_said_again(frames: list[bytes]) -> None:
    line = Scripted(VenueMarket())
    line.take(*frames)
    line.tick(2000)
    assert line.replayed() == line.said()


@settings(max_examples=60, deadline=None)
@given(mutated([encode([VENUE.rest()])]) | st.binary(max_size=20))
def test_no_answer_raises(body: bytes) -> None:
    line = Scripted(VenueMarket())
    line.take(VenueMarket().first())
    line.pass_ms(1600)
    line.answer(body)
    assert line.replayed() == line.said()
