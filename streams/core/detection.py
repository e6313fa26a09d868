"""The state machine of one partition: books, groups and reference records in, opportunities out.

Time is the highest `received_ns` of the books given so far; nothing else moves it, and no venue's stamp is believed
beyond it: a `confirmed_ns` later than the partition's time counts as that time.

In one call of `on_book` the book is applied first. Then the open opportunities with a leg that is stale by now, with
the state after this book, are closed in order of basket id (cause -1). Then the market's baskets are looked at in order
of basket id. The same calls give the same output, byte for byte.

Legs are usable when their Market record is known, their book is live, and time - `confirmed_ns` <= freshness. A closing
names the first leg, in basket order, with something against it. Reasons: "edge gone"; "leg not live: <venue> <market>:
<state>"; "stale: <venue> <market>"; "ladder malformed: <venue> <market>"; "market unknown: <venue> <market>" (only of
opportunities from before the epoch); "group changed"; "group blocked"; "superseded" (an older one of two that were open
on one basket when the partition was assigned).

An opportunity that closes and opens again on the very same books (a leg went stale and was confirmed again, a fee came
and went) has by definition the same id. It then continues its numbering: "opened" with the next revision, and a new
`opened_ns` and peak. A first "opened" is revision 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

import msgspec

from schemas.fees import check_schedule
from schemas.identity import opportunity_id
from schemas.records import Book, Group, Market, Opportunity, Venue
from streams.core import watch as records
from streams.core.baskets import compile_baskets
from streams.core.depth import Walk, walk_depth
from streams.core.ladder import LadderError, check_length
from streams.core.watch import Compiled, MarketState, Moment, Open, Source, Watch

_NEVER: Final = 1 << 80
_AT_ONCE: Final = -1

BasketKey = tuple[str, str]
"""Group and basket id."""

__all__ = ["Detection", "Gates", "Source"]


@dataclass(frozen=True, slots=True)
class Gates:
    """What a candidate must pass: legs confirmed at most `freshness_ns` ago, and a net of `minimum_net` (money)."""

    freshness_ns: int
    minimum_net: int


class Detection:
    """The opportunities of one partition. Feed it groups and markets, `assign` it, then feed it books in order."""

    def __init__(self, partition: int, gates: Gates) -> None:
        self._partition = partition
        self._gates = gates
        self._freshness_ns = gates.freshness_ns
        self._groups: dict[str, Compiled] = {}
        self._markets: dict[tuple[Venue, str], Market] = {}
        self._states: dict[tuple[Venue, str], MarketState] = {}
        self.assign(0, ())

    @property
    def time_ns(self) -> int:
        """The partition's time, 0 before the first book of the epoch."""
        return self._now

    def open_opportunities(self) -> list[Opportunity]:
        """The last record of every opportunity that is open, in order of group and basket."""
        found = [one.last for one in self._homeless.values()]
        for group in self._groups.values():
            found += [watch.open.last for watch in group.watches.values() if watch.open is not None]
        return sorted(found, key=lambda last: (last.group, last.basket))

    def assign(self, epoch: int, open_: Iterable[Opportunity]) -> None:
        """Begin journal epoch `epoch`: forget every book and the time, keep groups and markets.

        `open_` are records of earlier epochs, of any partition and event; the highest revision of each id counts, and
        those of other partitions are left out. What is closed only keeps its numbering. What is open stays open, and is
        looked at when all its legs have arrived; if they do not within the freshness limit of the epoch's first book,
        it closes.
        """
        self._epoch = epoch
        self._now = 0
        self._deadline = _AT_ONCE
        self._expiries: list[tuple[int, int, Open]] = []
        self._serial = 0
        self._started = False
        self._homeless: dict[BasketKey, Open] = {}
        self._superseded: list[Opportunity] = []
        self._ended: dict[BasketKey, tuple[str, int]] = {}
        for state in self._states.values():
            state.forget()
        for group in self._groups.values():
            for watch in group.watches.values():
                watch.open = None
        self._restore(open_)

    def _restore(self, open_: Iterable[Opportunity]) -> None:
        latest: dict[str, Opportunity] = {}
        for record in open_:
            known = latest.get(record.opportunity_id)
            if record.partition == self._partition and (known is None or record.revision > known.revision):
                latest[record.opportunity_id] = record
        for record in sorted(latest.values(), key=lambda last: (last.time_ns, last.opportunity_id)):
            key = (record.group, record.basket)
            if record.event == "closed":
                self._ended[key] = (record.opportunity_id, record.revision)
                continue
            older = self._homeless.get(key)
            if older is not None:
                self._superseded.append(older.last)
            self._homeless[key] = Open(record)
        for name, group in self._groups.items():
            for basket_id, watch in group.watches.items():
                watch.open = self._homeless.pop((name, basket_id), None)

    # -- reference records ---------------------------------------------------------------------------------------

    def on_group(self, group: Group) -> list[Opportunity]:
        """Put a group into force; raises GroupError and changes nothing when it is not usable.

        A market belongs to the group that named it last: an older group loses its baskets with it, and its book.
        """
        baskets = compile_baskets(group)
        name = group.group
        known = self._groups.pop(name, None)
        compiled = Compiled(group, baskets)
        if known is not None:
            compiled.watches = known.watches
        self._groups[name] = compiled  # popped and put back: the order of this mapping is that of arrival
        others = self._hand_over(known.record if known is not None else None, group)
        events: list[Opportunity] = []
        for other in sorted(others):
            self._wire(self._groups[other], events)
        self._wire(compiled, events)
        return events

    def on_group_removed(self, name: str) -> list[Opportunity]:
        """Take a group out of force: its opportunities close, its markets go back to whoever named them before."""
        known = self._groups.pop(name, None)
        if known is None:
            return []
        events: list[Opportunity] = []
        emptied = Compiled(msgspec.structs.replace(known.record, members=(), relations=()), ())
        for other in sorted(self._hand_over(known.record, emptied.record)):
            self._wire(self._groups[other], events)
        self._move_open(emptied, known.watches, events)
        return events

    def _hand_over(self, before: Group | None, group: Group) -> set[str]:
        """Give each market that `group` named or names to the group that names it last; return the others touched."""
        touched = set()
        keys = dict.fromkeys((member.venue, member.market) for member in group.members)
        left = [(member.venue, member.market) for member in before.members] if before is not None else []
        for key in [*keys, *(key for key in left if key not in keys)]:
            state = self._states.get(key)
            owner = group.group if key in keys else self._owner(key)
            if state is not None:
                if state.group == owner:
                    continue
                touched.add(state.group)
                del self._states[key]
            if owner is not None:
                touched.add(owner)
                self._states[key] = MarketState(key[0], key[1], owner, self._markets.get(key))
        return touched - {group.group}

    def _owner(self, key: tuple[Venue, str]) -> str | None:
        for name in reversed(self._groups):
            if any((member.venue, member.market) == key for member in self._groups[name].record.members):
                return name
        return None

    def _wire(self, group: Compiled, events: list[Opportunity]) -> None:
        """Build a group's watches anew over the markets it has now, close what vanished, look at all the others."""
        name = group.record.group
        owned: dict[tuple[Venue, str], MarketState] = {}
        for member in group.record.members:
            state = self._states.get((member.venue, member.market))
            if state is not None and state.group == name:
                owned[member.venue, member.market] = state
        prices = [records.UNPRICED] * (2 * len(owned))
        for number, state in enumerate(owned.values()):
            state.prices, state.cell, state.watched = prices, 2 * number, []
            state.price()
        before = group.watches
        group.watches = {}
        for basket in () if group.record.status == "blocked" else group.baskets:
            keys = [(claim.venue, claim.market) for claim in basket.claims]
            if all(key in owned for key in keys):
                watch = Watch(basket, tuple(owned[key] for key in keys), prices)
                group.watches[basket.basket_id] = watch
                for leg, state in enumerate(watch.states):
                    state.watched.append((watch, leg))
        self._move_open(group, before, events)
        for watch in group.watches.values():
            if watch.open is not None or watch.crosses():
                self._evaluate(watch, -1, 0, events)

    def _move_open(self, group: Compiled, before: dict[str, Watch], events: list[Opportunity]) -> None:
        """Hand the open opportunities of a group over to its new watches; close those that have none any more."""
        name = group.record.group
        running = {basket_id: watch.open for basket_id, watch in before.items() if watch.open is not None}
        for key in [key for key in self._homeless if key[0] == name]:
            running[key[1]] = self._homeless.pop(key)
        reason = "group blocked" if group.record.status == "blocked" else "group changed"
        for basket_id in sorted(running):
            watch = group.watches.get(basket_id)
            if watch is None:
                self._end(running[basket_id], reason, -1, 0, events)
            else:
                watch.open = running[basket_id]

    def on_market(self, market: Market) -> list[Opportunity]:
        """Put a reference record into force; raises FeeError and changes nothing when its fees make no sense.

        Its baskets are looked at again when fees or minimums are not what they were.
        """
        check_schedule(market.fee)
        key = (market.venue, market.market)
        before = self._markets.get(key)
        self._markets[key] = market
        state = self._states.get(key)
        events: list[Opportunity] = []
        if state is None:
            return events
        state.market = market
        if before is None or _terms(before) != _terms(market):
            state.price()
            for watch, _ in state.watched:
                if watch.open is not None or watch.crosses():
                    self._evaluate(watch, -1, 0, events)
        return events

    # -- books ---------------------------------------------------------------------------------------------------

    def on_book(self, book: Book, source: Source, received_ns: int) -> list[Opportunity]:
        """Apply one book; raises LadderError, before anything changes, when its bytes do not fit its counts.

        Ignored but for the time: a market in no known group, a book that names another group than the market's
        current one, a lower (epoch, sequence) than known. An equal pair only refreshes `confirmed_ns`.
        """
        if len(book.ladder) != 16 * (book.bid_count + book.ask_count) or book.bid_count < 0 or book.ask_count < 0:
            check_length(book)
        if received_ns > self._now:
            self._now = received_ns
        now = self._now
        events: list[Opportunity] = []
        state = self._states.get((book.venue, book.market))
        look = state is not None and state.group == book.group and self._apply(state, book, source, received_ns)
        if now > self._deadline:
            self._expire(events)
        if look and state is not None:
            for watch, leg in state.watched:
                total = 0
                prices = watch.prices
                for cell in watch.cells:
                    total += prices[cell]
                if total < watch.basket.payout or watch.open is not None:
                    self._evaluate(watch, leg, book.api_response_ns, events)
        return events

    def _apply(self, state: MarketState, book: Book, source: Source, received_ns: int) -> bool:
        """Bring a market up to date; whether its baskets must be looked at: a new book, or a stale one confirmed."""
        now = self._now
        confirmed_ns = book.confirmed_ns if book.confirmed_ns < now else now
        epoch, sequence = book.epoch, book.sequence
        if (sequence > state.sequence and epoch == state.epoch) or epoch > state.epoch:
            state.epoch = epoch
            state.sequence = sequence
            state.book = book
            state.source = source
            state.received_ns = received_ns
            state.confirmed_ns = confirmed_ns
            state.price()
            return True
        if sequence == state.sequence and epoch == state.epoch and confirmed_ns > state.confirmed_ns:
            was_stale = now - state.confirmed_ns > self._freshness_ns
            state.confirmed_ns = confirmed_ns
            return was_stale
        return False

    # -- decisions -----------------------------------------------------------------------------------------------

    def _evaluate(self, watch: Watch, leg: int, api_response_ns: int, events: list[Opportunity]) -> None:
        """Decide on one basket in full: open, change, close, or leave it."""
        if watch.waits():
            return
        reason = watch.obstacle(self._now, self._freshness_ns)
        walk: Walk | None = None
        if reason is None:
            reason = "edge gone"
            if watch.crosses():
                try:
                    walk = walk_depth(watch.offers(), watch.basket.payout, self._gates.minimum_net)
                except LadderError as error:
                    reason = f"ladder malformed: {error}"
        running = watch.open
        if walk is None:
            if running is not None:
                self._end(running, reason, leg, api_response_ns, events)
            return
        moment = self._moment(leg, api_response_ns)
        if running is None:
            identity, revision = self._identify(watch)
            running = watch.open = Open(records.opened(identity, revision, watch, walk, moment))
            events.append(running.last)
        elif not records.same_offer(running.last, walk):
            running.last = records.changed(running.last, watch, walk, moment)
            events.append(running.last)
        self._schedule(running, watch.deadline_ns(self._freshness_ns))

    def _identify(self, watch: Watch) -> tuple[str, int]:
        """Id and first revision of what the books in force open."""
        basket = watch.basket
        inputs = [(state.venue, state.name, state.epoch, state.sequence) for state in watch.states]
        identity = opportunity_id(basket.group, basket.basket_id, inputs)
        ended, revision = self._ended.get((basket.group, basket.basket_id), ("", 0))
        return identity, revision + 1 if ended == identity else 0

    def _end(self, running: Open, reason: str, leg: int, api_response_ns: int, events: list[Opportunity]) -> None:
        """Emit the closing of an open opportunity and let go of it."""
        last = records.closed(running.last, reason, self._moment(leg, api_response_ns))
        events.append(last)
        running.ended = True
        self._ended[running.key] = (last.opportunity_id, last.revision)
        watch = self._watch(running)
        if watch is not None and watch.open is running:
            watch.open = None
        self._homeless.pop(running.key, None)

    def _watch(self, running: Open) -> Watch | None:
        group = self._groups.get(running.last.group)
        return group.watches.get(running.last.basket) if group is not None else None

    def _moment(self, leg: int, api_response_ns: int) -> Moment:
        return Moment(self._now, leg, api_response_ns, self._partition, self._epoch)

    # -- expiry --------------------------------------------------------------------------------------------------

    def _schedule(self, running: Open, deadline_ns: int) -> None:
        """See to it that an open opportunity is looked at once the time is past `deadline_ns`, or earlier.

        Confirmations only move a deadline away, so they cost nothing: the entry comes up early and is put back.
        """
        if running.deadline_ns < 0 or deadline_ns < running.deadline_ns:
            running.deadline_ns = deadline_ns
            self._serial += 1
            heappush(self._expiries, (deadline_ns, self._serial, running))
            self._deadline = min(self._deadline, deadline_ns)

    def _expire(self, events: list[Opportunity]) -> None:
        """Close what is stale at the partition's time, in order of basket id."""
        if not self._started:
            self._start(events)
        overdue: list[tuple[str, str, str, Open]] = []
        while self._expiries and self._expiries[0][0] < self._now:
            deadline_ns, _, running = heappop(self._expiries)
            if running.ended or deadline_ns != running.deadline_ns:
                continue
            running.deadline_ns = -1
            watch = self._watch(running)
            reason = self._group_reason(running) if watch is None else watch.obstacle(self._now, self._freshness_ns)
            if watch is not None and not watch.waits() and self._now <= watch.deadline_ns(self._freshness_ns):
                self._schedule(running, watch.deadline_ns(self._freshness_ns))
            else:
                overdue.append((running.last.basket, running.last.group, reason or "", running))
        for _, _, reason, running in sorted(overdue, key=lambda one: one[:2]):
            self._end(running, reason, -1, 0, events)
        self._deadline = self._expiries[0][0] if self._expiries else _NEVER

    def _start(self, events: list[Opportunity]) -> None:
        """At the epoch's first book: what was restored gets its deadline."""
        self._started = True
        for last in sorted(self._superseded, key=lambda one: (one.basket, one.opportunity_id)):
            events.append(records.closed(last, "superseded", self._moment(-1, 0)))
        restored = list(self._homeless.values())
        for group in self._groups.values():
            restored += [watch.open for watch in group.watches.values() if watch.open is not None]
        for running in restored:
            self._schedule(running, self._now + self._freshness_ns)

    def _group_reason(self, running: Open) -> str:
        group = self._groups.get(running.last.group)
        return "group blocked" if group is not None and group.record.status == "blocked" else "group changed"


def _terms(market: Market) -> tuple[object, ...]:
    """What of a market's reference record a decision depends on."""
    return market.fee, market.minimum_quantity, market.minimum_value
