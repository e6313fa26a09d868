"""Books per second through the pure detection core alone, on one synthetic stream: `python -m bench.core`.

50 pairs of markets of the two venues, 20 levels a side, a new top of book every time. In the first stream nothing ever
crosses; in the second, 1 % of the books cross deeply enough to be walked and to open an opportunity, and the next book
of that market closes it. Books are built before the clock starts: only `Detection.on_book` is measured.
"""

import platform
import random
import sys
from collections.abc import Sequence
from time import perf_counter

from schemas.records import Book, FeeSchedule, Group, Market, Member, Relation, Venue, pack_ladder
from streams.core.detection import Detection, Gates, Source

PAIRS = 50
LEVELS = 20
BOOKS = 200_000
SECOND = 1_000_000_000
FEES: dict[Venue, FeeSchedule] = {
    "kalshi": FeeSchedule(model="kalshi_quadratic", taker_rate=70_000, maker_rate=0, exponent=1, balance_precision=100),
    "polymarket": FeeSchedule(
        model="polymarket_curve", taker_rate=40_000, maker_rate=0, exponent=1, balance_precision=0
    ),
}


def market(venue: Venue, name: str) -> Market:
    """A market with its venue's usual fees."""
    return Market(
        venue=venue, market=name, event="", title="", rules="", status="active", tokens=(), ticks=(), fee=FEES[venue],
        minimum_quantity=100, minimum_value=0, negative_risk=False, open_ns=0, close_ns=0, expected_settlement_ns=0,
        updated_ns=0,
    )  # fmt: skip


def pair_of(name: str, *members: Member) -> Group:
    """A group whose members all ask the same question."""
    return Group(
        group=name, members=members, relations=(Relation(kind="same", members=tuple(range(len(members)))),),
        status="approved", evidence="", rules_fingerprint="", updated_by="", updated_ns=0,
    )  # fmt: skip


def prepared() -> Detection:
    """A detection with its groups and markets, no book yet."""
    detection = Detection(0, Gates(freshness_ns=5 * SECOND, minimum_net=10_000))
    for pair in range(PAIRS):
        members = []
        for venue in FEES:
            members.append(Member(venue=venue, market=f"{venue}-{pair}"))
            detection.on_market(market(venue, f"{venue}-{pair}"))
        detection.on_group(pair_of(f"pair-{pair}", *members))
    detection.assign(1, ())
    return detection


def stream(crossing: float, seed: int = 1) -> list[tuple[Book, Source, int]]:
    """Books in arrival order. A crossing book asks 1500 below the middle that all other books stand around."""
    random_ = random.Random(seed)  # noqa: S311 - a load, not a secret
    sequences: dict[str, int] = {}
    out = []
    for number in range(BOOKS):
        venue = random_.choice(tuple(FEES))
        pair = random_.randrange(PAIRS)
        name = f"{venue}-{pair}"
        sequences[name] = sequences.get(name, 0) + 1
        middle = 5000 + random_.randrange(-40, 41) - (1500 if random_.random() < crossing else 0)
        bids = [(middle - 100 - 10 * level, random_.randrange(100, 100_000)) for level in range(LEVELS)]
        asks = [(middle + 100 + 10 * level, random_.randrange(100, 100_000)) for level in range(LEVELS)]
        received_ns = SECOND + number * 20_000
        book = Book(
            venue=venue, market=name, group=f"pair-{pair}", epoch=1, sequence=sequences[name], state="live", reason="",
            republished=False, connection="c", frame=number, exchange_ns=received_ns, api_call_start_ns=received_ns,
            api_response_ns=received_ns, processing_complete_ns=received_ns, confirmed_ns=received_ns,
            bid_count=LEVELS, ask_count=LEVELS, ladder=pack_ladder(bids, asks),
        )  # fmt: skip
        out.append((book, Source(f"book.{venue}", 0, number, 0), received_ns))
    return out


def measure(books: Sequence[tuple[Book, Source, int]]) -> tuple[float, int]:
    """Books per second, and the opportunity events that came out."""
    detection = prepared()
    events = 0
    on_book = detection.on_book
    begin = perf_counter()
    for book, source, received_ns in books:
        events += len(on_book(book, source, received_ns))
    return len(books) / (perf_counter() - begin), events


def main() -> int:
    """Print the figures, best and worst of five runs each."""
    print(f"Python {platform.python_version()}, {BOOKS:,} books of {LEVELS} levels a side, {PAIRS} pairs")
    for title, crossing in (("nothing crosses", 0.0), ("1 % of books cross", 0.01)):
        books = stream(crossing)
        runs = [measure(books) for _ in range(5)]
        rates = sorted(rate for rate, _ in runs)
        print(f"{title:20} {rates[0]:>9,.0f} .. {rates[-1]:>9,.0f} books/s, {runs[0][1]:,} opportunity events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
