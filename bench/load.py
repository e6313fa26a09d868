"""The books that the detector is measured with: 50 groups, 20 levels a side, 1 % of the books cross."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from bench.core import FEES, PAIRS, market, pair_of
from bench.topics import Place
from schemas.codec import encode_books
from schemas.records import Book, Group, Market, Member, Venue, pack_ladder
from schemas.topics import partition_of, venue_topic

LEVELS: Final = 20
CROSSING: Final = 0.01
MIDDLE: Final = 5000
THROUGH: Final = 1500
"""A crossing book stands this far below all others: its asks cross every bid of the other venue, after fees too."""


def references() -> tuple[list[Group], list[Market]]:
    """The groups and markets that the books belong to."""
    groups = [
        pair_of(f"pair-{pair}", *(Member(venue=venue, market=f"{venue}-{pair}") for venue in FEES))
        for pair in range(PAIRS)
    ]
    return groups, [market(venue, f"{venue}-{pair}") for pair in range(PAIRS) for venue in FEES]


def rounds(count: int, now_ns: int, seed: int = 1) -> Iterator[tuple[Place, list[Book]]]:
    """`count` rounds in which every market of both venues moves once: per partition and venue, the books of it.

    That is what a publisher sends that Kafka holds back: everything that is newest, one record a partition.
    """
    random_ = random.Random(seed)  # noqa: S311 - a load, not a secret
    places: dict[tuple[Venue, int], list[int]] = {}
    for pair in range(PAIRS):
        for venue in FEES:
            places.setdefault((venue, partition_of(f"pair-{pair}")), []).append(pair)
    for sequence in range(1, count + 1):
        for (venue, partition), pairs in places.items():
            topic = venue_topic("book", venue, "us")
            yield (topic, partition), [_book(venue, pair, sequence, now_ns, random_) for pair in pairs]


def _book(venue: Venue, pair: int, sequence: int, now_ns: int, random_: random.Random) -> Book:
    middle = MIDDLE + random_.randrange(-40, 41) - (THROUGH if random_.random() < CROSSING else 0)
    bids = [(middle - 100 - 10 * level, random_.randrange(100, 100_000)) for level in range(LEVELS)]
    asks = [(middle + 100 + 10 * level, random_.randrange(100, 100_000)) for level in range(LEVELS)]
    return Book(
        venue=venue, market=f"{venue}-{pair}", group=f"pair-{pair}", epoch=1, sequence=sequence, state="live",
        reason="", republished=False, connection="bench", frame=sequence, exchange_ns=now_ns, api_call_start_ns=now_ns,
        api_response_ns=now_ns, processing_complete_ns=now_ns + sequence, confirmed_ns=now_ns, bid_count=LEVELS,
        ask_count=LEVELS, ladder=pack_ladder(bids, asks),
    )  # fmt: skip


def together(load: Sequence[tuple[Place, list[Book]]]) -> list[tuple[Place, bytes]]:
    """One record for the books of a partition and round."""
    return [(place, encode_books(books)) for place, books in load]


def alone(load: Sequence[tuple[Place, list[Book]]]) -> list[tuple[Place, bytes]]:
    """One record for every book."""
    return [(place, encode_books([book])) for place, books in load for book in books]
