"""How the Kalshi simulator answers where the venue's pages leave a choice, and whom it takes its clients for.

Each choice has a default: what was observed, else what the specification says. A client must live with either form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

ErrorShape = Literal["nested", "flat", "alternate"]

DOLLAR = 1_000_000
"""Money is in 1e-6 dollar."""

CASH: Mapping[int, int] = MappingProxyType({0: 10_000 * DOLLAR, 1: 0, 2: 1_000 * DOLLAR, 3: 1_000 * DOLLAR})
"""What a new account has on each shard: enough on the default one, nothing for combos until it is moved there."""


@dataclass(frozen=True, slots=True)
class KalshiOptions:
    """The choices.

    Websocket:
        numbered_replies: ``ok``, ``unsubscribed`` and errors of a sequenced subscription take a sequence number.
        default_yes_price: what a client gets that does not send ``use_yes_price``; the venue plans to flip it.
        first_seq: the first number of a subscription (1 observed, 2 in the pages' examples).
        errors_name_markets: an error about a market names it.
        stamped_deltas: deltas carry ``ts`` and ``ts_ms``, which are optional there.
        commands_per_s: commands a connection may send in a second before error 27.

    REST:
        error_shape: the error object under ``error`` (observed), bare (specified), or one after the other.
        null_cursor: the last page's cursor is null instead of empty.
        books_need_key: the order books are refused without a signature.
        tier, limited: the usage tier that ``/account/limits`` tells, and whether its token buckets are enforced.
        created_lag_ms: how long a created market is still unknown to REST.
        closed_lag_ms: how long ``status=open`` still lists a market that has closed.

    Trading:
        upper_reasons: the engine's reasons are spelt as in FIX (``MARKET_INACTIVE``), else in lower case.
        refuse_killed: an unfilled fill-or-kill and a crossing post-only order answer 400, else 201 and are cancelled.
        fee_precision: what balances move in, 1e-6 dollar: 100 for direct members, 10,000 through a broker.
        cash: a new account's money per shard, 1e-6 dollar.
        shards: the exchange shard of a series whose recorded body does not say.
        read_lag_ms: how far the account's reads lag behind its writes.
        close_cancel_ms: when resting orders are cancelled after a market has closed.
        thursday_pause: trading pauses on Thursdays from 03:00 to 05:00 Eastern Time.
    """

    numbered_replies: bool = True
    default_yes_price: bool = False
    first_seq: int = 1
    errors_name_markets: bool = True
    stamped_deltas: bool = True
    commands_per_s: int = 10_000
    error_shape: ErrorShape = "nested"
    null_cursor: bool = False
    books_need_key: bool = False
    tier: str = "basic"
    limited: bool = False
    created_lag_ms: int = 200
    closed_lag_ms: int = 0
    upper_reasons: bool = True
    refuse_killed: bool = True
    fee_precision: int = 100
    cash: Mapping[int, int] = field(default_factory=lambda: CASH)
    shards: Mapping[str, int] = field(default_factory=dict)
    read_lag_ms: int = 0
    close_cancel_ms: int = 500
    thursday_pause: bool = False
