"""Reading a book's packed ladder: the levels at which a claim can be bought, and the price of an order for it.

Prices are 1e-4 dollar, quantities 1e-2 contract. A book is the market's YES ladder: buying YES lifts its asks, and
buying NO at q hits its bids at ONE - q.
"""

from array import array
from collections.abc import Sequence
from struct import Struct
from sys import byteorder

from schemas.records import Book, Level, Outcome, TickRange
from schemas.units import ONE

read_long = Struct("<q").unpack_from
"""`read_long(ladder, at)[0]` is the long at a byte offset of a packed ladder."""


class LadderError(ValueError):
    """A ladder that does not fit its counts, or is not ordered best first; the message names the market."""


def check_length(book: Book) -> None:
    """Raise LadderError unless the ladder's bytes hold exactly the levels that the book counts."""
    if book.bid_count < 0 or book.ask_count < 0 or len(book.ladder) != 16 * (book.bid_count + book.ask_count):
        raise LadderError(
            f"{book.venue} {book.market}: ladder of {len(book.ladder)} bytes does not hold "
            f"{book.bid_count} bids and {book.ask_count} asks"
        )


def claim_levels(book: Book, outcome: Outcome) -> list[Level]:
    """The levels at which `outcome` can be bought, best first, prices in the outcome's own terms.

    Raises LadderError when prices are outside 0..1 or do not strictly worsen, or a quantity is not positive.
    """
    check_length(book)
    asks_at = 16 * book.bid_count
    longs = array("q", book.ladder[asks_at:] if outcome == "yes" else book.ladder[:asks_at])
    if byteorder == "big":
        longs.byteswap()
    count = len(longs) // 2
    prices = list(longs[:count]) if outcome == "yes" else [ONE - price for price in longs[:count]]
    quantities = longs[count:]
    if count and (prices[0] < 0 or prices[-1] > ONE or min(quantities) <= 0):
        raise LadderError(f"{book.venue} {book.market}: a level has a price outside 0..1 or no quantity")
    if any(prices[at] >= prices[at + 1] for at in range(count - 1)):
        raise LadderError(f"{book.venue} {book.market}: levels are not ordered best first")
    return list(zip(prices, quantities, strict=True))


def limit_price(ticks: Sequence[TickRange], outcome: Outcome, price: int) -> int:
    """The least price at or above `price` at which an order for the claim may be placed, both in the claim's own terms.

    `price` itself where the market's grid is unknown, or has no such price.
    """
    at_yes = price if outcome == "yes" else ONE - price
    found = []
    for tick in ticks:
        if outcome == "yes":
            candidate = tick.start + max(0, -(-(at_yes - tick.start) // tick.step)) * tick.step
            if candidate <= tick.end:
                found.append(candidate)
        elif at_yes >= tick.start:
            found.append(ONE - (tick.start + (min(at_yes, tick.end) - tick.start) // tick.step * tick.step))
    return min((one for one in found if price <= one < ONE), default=price)
