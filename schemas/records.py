"""The typed records of every topic: frozen values whose fields equal those of the Avro schema of the same name.

Units are those of `schemas.units`; every `*_ns` is wall-clock nanoseconds since the epoch, 0 where unknown.
"""

from array import array
from sys import byteorder
from typing import Literal

import msgspec

Venue = Literal["kalshi", "polymarket"]
Region = Literal["us", "eu"]
Outcome = Literal["yes", "no"]
BookState = Literal["live", "recovering", "stale", "halted", "closed", "moved"]
GroupStatus = Literal["proposed", "approved", "blocked"]
RelationKind = Literal["same", "complement", "implies", "exclusive", "exhaustive"]
OpportunityEvent = Literal["opened", "changed", "closed"]
OrderAction = Literal["place", "cancel"]
OrderSide = Literal["buy", "sell"]
TimeInForce = Literal["immediate_or_cancel", "fill_or_kill", "good_till_cancelled"]
ExecutionKind = Literal["acknowledged", "filled", "rejected", "cancelled", "settled", "failed", "unknown"]
TicketState = Literal["working", "filled", "partial", "unbalanced", "cancelled", "rejected", "refused", "unknown"]
JournalKind = Literal["input", "reference", "assign", "revoke"]
FeeModel = Literal["none", "kalshi_quadratic", "polymarket_curve"]
VoidRule = Literal["half", "last_price", "refund", "nothing"]
Level = tuple[int, int]
"""Price (1e-4 dollar) and quantity (1e-2 contract) of one ladder level."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


def pack_ladder(bids: list[Level] | tuple[Level, ...], asks: list[Level] | tuple[Level, ...]) -> bytes:
    """Pack a ladder, best level first: bid prices, bid sizes, ask prices, ask sizes as little-endian int64."""
    longs = array("q", [price for price, _ in bids])
    longs.extend([size for _, size in bids])
    longs.extend([price for price, _ in asks])
    longs.extend([size for _, size in asks])
    if byteorder == "big":
        longs.byteswap()
    return longs.tobytes()


def unpack_ladder(ladder: bytes, bid_count: int, ask_count: int) -> tuple[list[Level], list[Level]]:
    """Undo `pack_ladder`; raises ValueError when the length does not fit the counts."""
    if bid_count < 0 or ask_count < 0 or len(ladder) != 16 * (bid_count + ask_count):
        raise ValueError(f"ladder of {len(ladder)} bytes does not hold {bid_count} bids and {ask_count} asks")
    longs = array("q", ladder)
    if byteorder == "big":
        longs.byteswap()
    asks_at = 2 * bid_count
    bids = list(zip(longs[:bid_count], longs[bid_count:asks_at], strict=True))
    asks = list(zip(longs[asks_at : asks_at + ask_count], longs[asks_at + ask_count :], strict=True))
    return bids, asks


class Book(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A market's YES ladder: the full visible top N of both sides. The higher (epoch, sequence) wins.

    `group` is empty for a market in no group. `confirmed_ns` is the venue's last proof that the book is current.
    `republished` marks a repetition with the same epoch and sequence; sinks do not store those.
    `connection` and `frame` name the last raw frame applied.
    """

    venue: Venue
    market: str
    group: str
    epoch: int
    sequence: int
    state: BookState
    reason: str
    republished: bool
    connection: str
    frame: int
    exchange_ns: int
    api_call_start_ns: int
    api_response_ns: int
    processing_complete_ns: int
    confirmed_ns: int
    bid_count: int
    ask_count: int
    ladder: bytes

    def sides(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        return unpack_ladder(self.ladder, self.bid_count, self.ask_count)


class TickRange(Record, frozen=True, kw_only=True):
    """Prices from `start` to `end` lie on multiples of `step` above `start`."""

    start: int
    end: int
    step: int


class FeeSchedule(Record, frozen=True, kw_only=True):
    """What a venue takes per trade. Rates are millionths; `balance_precision` is money (Kalshi's p)."""

    model: FeeModel
    taker_rate: int
    maker_rate: int
    exponent: int
    balance_precision: int


class Market(Record, frozen=True, kw_only=True):
    """A venue's contract: what it is, its grid, its fees, its times. `tokens` are Polymarket's YES and NO ids.

    `outcomes` are the venue's names for YES and NO. `shard` is Kalshi's exchange index. `negative_risk_augmented` says
    that the event has outcomes which are not listed yet: its markets are never exhaustive. A marketable order waits
    `taker_delay_ms` at the venue. `protocol` is Polymarket's (`v1`, `v2`). `result` is `yes`, `no`, `scalar` or `split`
    once the venue has said it, else empty; `resolution` is what it says about how that is, or was, found. Sizes of
    orders are multiples of `lot` (1e-2 contract).
    """

    venue: Venue
    market: str
    event: str
    title: str
    rules: str
    status: str
    tokens: tuple[str, ...]
    ticks: tuple[TickRange, ...]
    fee: FeeSchedule
    minimum_quantity: int
    minimum_value: int
    negative_risk: bool
    open_ns: int
    close_ns: int
    expected_settlement_ns: int
    updated_ns: int
    series: str = ""
    category: str = ""
    outcomes: tuple[str, ...] = ()
    shard: int = 0
    mutually_exclusive: bool = False
    negative_risk_augmented: bool = False
    taker_delay_ms: int = 0
    protocol: str = ""
    result: str = ""
    resolution: str = ""
    lot: int = 1


class Member(Record, frozen=True, kw_only=True):
    """One market of a group."""

    venue: Venue
    market: str


class Relation(Record, frozen=True, kw_only=True):
    """A relation between members, named by their indexes in the group."""

    kind: RelationKind
    members: tuple[int, ...]


class SettlementRisk(Record, frozen=True, kw_only=True):
    """What the group's evidence says of settlement. Probabilities are millionths, -1 where nobody has judged.

    `void_ppm`: that the event is voided or cancelled; `mismatch_ppm`: that two venues settle one question differently.
    `void_rules`: what a venue pays for a market that is voided.
    """

    void_ppm: int = -1
    mismatch_ppm: int = -1
    void_rules: dict[Venue, VoidRule] = {}


class Group(Record, frozen=True, kw_only=True):
    """Markets about one underlying question. Only `approved` groups are traded."""

    group: str
    members: tuple[Member, ...]
    relations: tuple[Relation, ...]
    status: GroupStatus
    evidence: str
    rules_fingerprint: str
    updated_by: str
    updated_ns: int
    risk: SettlementRisk = SettlementRisk()


class Trade(Record, frozen=True, kw_only=True):
    """A public print."""

    venue: Venue
    market: str
    group: str
    trade_id: str
    price: int
    fill_quantity: int
    taker_side: OrderSide
    exchange_ns: int
    api_response_ns: int


class OpportunityLeg(Record, frozen=True, kw_only=True):
    """One claim of a basket: what to buy, what the walk took, and the exact book it was decided on.

    Prices are in the claim's own terms (a NO at 0.40 is the YES bid at 0.60). `levels` are (price, quantity)
    pairs flattened, best first. `quantity` and `limit_price` are those of the walk.
    """

    venue: Venue
    market: str
    outcome: Outcome
    best_price: int
    limit_price: int
    levels: tuple[int, ...]
    cost: int
    fee: int
    epoch: int
    sequence: int
    topic: str
    partition: int
    offset: int
    index: int
    confirmed_ns: int
    api_response_ns: int
    processing_complete_ns: int
    virginia_received_ns: int


class Opportunity(Record, frozen=True, kw_only=True):
    """A basket that pays more than it costs: opened, changed, closed, always under one id.

    `quantity` contracts of every leg pay `payout` (money) and cost the sum of the legs; gross = payout - costs, of
    which `depth_cost` is what deeper levels took beyond the best prices. net = gross - fees - gas - basis -
    settlement_risk - time_value. `capital` is locked until `settles_ns`; `annualised_ppm` is the yearly return on it
    before the time value, in millionths. `void_payout` is the worst payout should the event be voided. `survived_ns` is
    the time since it opened, `peak_ns` when it was worth most. `cause` is the index of the leg whose book caused this
    event, -1 when time did. `partition`, `journal_epoch` and `journal_position` name the journal's entry that it was
    decided at; records from before that was kept say -1.
    """

    opportunity_id: str
    revision: int
    event: OpportunityEvent
    reason: str
    group: str
    basket: str
    legs: tuple[OpportunityLeg, ...]
    quantity: int
    payout: int
    gross: int
    fees: int
    net: int
    peak_net: int
    opened_ns: int
    time_ns: int
    cause: int
    cause_api_response_ns: int
    partition: int
    journal_epoch: int
    depth_cost: int = 0
    gas: int = 0
    basis: int = 0
    settlement_risk: int = 0
    time_value: int = 0
    capital: int = 0
    annualised_ppm: int = 0
    void_payout: int = 0
    settles_ns: int = 0
    survived_ns: int = 0
    peak_ns: int = 0
    journal_position: int = -1


class Analysis(Record, frozen=True, kw_only=True):
    """A candidate that was rejected, with the first reason and what it concerns in `detail`; rate-limited: `suppressed`
    more like it were not written since the last. Money as in an Opportunity, at the best quantity there was; all 0
    where no size was weighed.
    """

    group: str
    basket: str
    reason: str
    quantity: int
    gross: int
    fees: int
    net: int
    time_ns: int
    detail: str = ""
    payout: int = 0
    depth_cost: int = 0
    gas: int = 0
    basis: int = 0
    settlement_risk: int = 0
    time_value: int = 0
    suppressed: int = 0
    partition: int = 0
    journal_epoch: int = 0


class Order(Record, frozen=True, kw_only=True):
    """An instruction to one venue. `limit_price` is in the outcome's own terms."""

    order_id: str
    ticket_id: str
    leg: int
    attempt: int
    action: OrderAction
    venue: Venue
    market: str
    outcome: Outcome
    side: OrderSide
    quantity: int
    limit_price: int
    time_in_force: TimeInForce
    created_ns: int


class Fill(Record, frozen=True, kw_only=True):
    """A part of an order that traded at one price. `fill_quantity` is 1e-6 contract."""

    price: int
    fill_quantity: int
    fee: int


class Execution(Record, frozen=True, kw_only=True):
    """A venue's answer to an order. `cost` is money paid (negative: received), without `fee`.

    `fill_quantity` is 1e-6 contract, `remaining_quantity` what was cancelled or rejected, in 1e-2 contract.
    """

    execution_id: str
    order_id: str
    ticket_id: str
    leg: int
    venue: Venue
    market: str
    outcome: Outcome
    side: OrderSide
    kind: ExecutionKind
    reason: str
    fills: tuple[Fill, ...]
    fill_quantity: int
    remaining_quantity: int
    cost: int
    fee: int
    book_epoch: int
    book_sequence: int
    paper: bool
    executed_ns: int


class TicketLeg(Record, frozen=True, kw_only=True):
    """A ticket's view of one leg and its latest order."""

    venue: Venue
    market: str
    outcome: Outcome
    limit_price: int
    quantity: int
    order_id: str
    order_state: ExecutionKind
    reason: str
    fill_quantity: int
    cost: int
    fee: int


class Ticket(Record, frozen=True, kw_only=True):
    """A trade's whole life, one revision a record; the newest revision of a ticket is its truth."""

    ticket_id: str
    revision: int
    state: TicketState
    reason: str
    opportunity_id: str
    group: str
    basket: str
    quantity: int
    payout: int
    expected_net: int
    realised_net: int
    legs: tuple[TicketLeg, ...]
    opened_ns: int
    updated_ns: int


class Control(Record, frozen=True, kw_only=True):
    """Halt or resume of a scope, or limits for it. Each origin clears only what it set."""

    scope: str
    origin: Region
    action: Literal["halt", "resume", "limits"]
    reason: str
    limits: dict[str, int]
    time_ns: int


class Heartbeat(Record, frozen=True, kw_only=True):
    """A source's sign of life."""

    source: str
    region: Region
    instance_ns: int
    sequence: int
    time_ns: int


class Sample(Record, frozen=True, kw_only=True):
    """One value of one metric."""

    name: str
    labels: dict[str, str]
    value: float


class Metric(Record, frozen=True, kw_only=True):
    """All metrics of one process at one moment; `instance_ns` tells one life of the process from the next."""

    source: str
    region: Region
    instance_ns: int
    time_ns: int
    samples: tuple[Sample, ...]


class Alert(Record, frozen=True, kw_only=True):
    """Something a person should know."""

    alert_id: str
    source: str
    severity: Literal["info", "warning", "critical"]
    title: str
    text: str
    time_ns: int


class JournalItem(Record, frozen=True, kw_only=True):
    """One entry of the detector's journal.

    input: `count` consecutive records of `topic`/`partition` from `offset` on, with their stamps packed in `stamps`
    (little-endian int64). reference: a record of a reference topic was taken in. assign, revoke: marks; an assign
    mark's `detail` says in JSON up to which `opportunity_offset` the earlier opportunities were read, and by which
    `settings` the detector decides from then on.
    """

    kind: JournalKind
    topic: str
    partition: int
    offset: int
    count: int
    stamps: bytes
    detail: str


class Journal(Record, frozen=True, kw_only=True):
    """A run of what one partition of the detector consumed, in order, in one epoch of that partition.

    `position` counts the entries of the epoch before this run: an input item is `count` entries, every other one.
    """

    partition: int
    epoch: int
    position: int
    items: tuple[JournalItem, ...]
