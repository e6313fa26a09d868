"""How the Polymarket simulator behaves where the venue's pages are silent, contradict one another, or promise little.

Each choice has a default: what recordings show, else what the pages say. A client must live with any of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

HashForm = Literal["book", "order"]
BatchHashes = Literal["each", "last"]
AmountUnit = Literal["decimal", "base"]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may trade: one API key with its secret (url-safe base64), passphrase and signer address."""

    apiKey: str  # noqa: N815 - the venue's names
    secret: str
    passphrase: str
    address: str

    @classmethod
    def from_file(cls, path: Path) -> "Credentials":
        """The credentials of a JSON file; ValueError names the file and the field that is wrong."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True)
class PolymarketOptions:
    """The choices. What is a share is the seeded probability of each chance.

    Market channel:
        hash_form: a change's hash is the whole book's (recorded), or unrelated to it (the pages: of an order).
        omitted_hashes: share of changes that carry no hash.
        batch_hashes: each change of a message hashes the book after itself, or all hash the book after the message.
        fine_last_price: at tick 0.0001 a book prints the last trade price with four decimals instead of three.
        trade_lag_ms: how much later than the book a trade is told.
        batched, batch_ms: share of changes that wait for others to share their message, and how long.
        arrays: share of messages that come as an array with others.
        resent: share of changes that are sent a second time at once, word for word.
        touches: share of best_bid_ask events that are delivered at all.
        dust: share of levels whose size has decimals beyond the second.
        book_after_tick: a change of the price grid is followed by whole books.
        told_resolved: share of resolutions that market_resolved tells.
        book_assets: tokens of a connection that get a first book; more are silently left without.

    Catalogue:
        showcase: exchange mode lists one market of each kind beside the tape's.
        ready_ms: how long a new market is on Gamma before the CLOB knows it.
        clob_page, gamma_page, keyset_page: the most markets a page holds, whatever the client asks for.
        books_bytes: the longest body that POST /books takes.

    Trading:
        credentials: the one account; None refuses every private call.
        clock_tolerance_s: how old or early a signed timestamp may be.
        itode_ms: how long marketable orders of markets with ``itode`` are held.
        post_only_ms: how long only post-only orders are taken after the matching engine was restarted.
        amounts: the unit of a reply's making and taking amounts.

    seed: of every choice above that is left to chance.
    """

    hash_form: HashForm = "book"
    omitted_hashes: float = 0.0
    batch_hashes: BatchHashes = "each"
    fine_last_price: bool = False
    trade_lag_ms: tuple[int, int] = (34, 88)
    batched: float = 0.2
    batch_ms: tuple[int, int] = (1, 20)
    arrays: float = 0.05
    resent: float = 0.02
    touches: float = 0.9
    dust: float = 0.1
    book_after_tick: bool = False
    told_resolved: float = 0.5
    book_assets: int = 750
    showcase: bool = True
    ready_ms: int = 3_000
    clob_page: int = 1_000
    gamma_page: int = 100
    keyset_page: int = 100
    books_bytes: int = 48_000
    credentials: Credentials | None = None
    clock_tolerance_s: int = 60
    itode_ms: int = 250
    post_only_ms: int = 120_000
    amounts: AmountUnit = "decimal"
    seed: int = 0
