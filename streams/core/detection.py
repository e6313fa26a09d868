"""The state machine of one partition: books, groups and reference records in, opportunities out.

Time is the highest `received_ns` of the books given so far; nothing else moves it, and no venue's stamp is believed
beyond it: a `confirmed_ns` later than the partition's time counts as that time.

In one call of `on_book` the book is applied first. Then the open opportunities with a leg that is stale by now, with
the state after this book, are closed in order of basket id (cause -1). Then the market's baskets are looked at. The
events of one call are its closings, then the others by falling net, so that the best of one moment is taken first. The
same calls give the same output, byte for byte.

Legs are usable when their Market record is known, their book is live, time - `confirmed_ns` <= freshness, and the legs'
proofs lie no further apart than the skew limit. The first leg, in basket order, with something against it is named.
A basket is weighed only when its best prices together cost less than it pays; what it is then worth is said in
`streams.core.waterfall`, why it is not in an Analysis (a sample of them, `rejections`).

Reasons of a closing: "edge gone", followed by ": " and the step at which nothing was left where it still crosses at the
top; "leg not live: <venue> <market>: <state>"; "stale: <venue> <market>"; "skew: <venue> <market>"; "ladder malformed:
<venue> <market>"; "market unknown: <venue> <market>" (only of opportunities from before the epoch); "group changed";
"group blocked"; "superseded" (an older one of two that were open on one basket when the partition was assigned; in a
family of more than `MANY` baskets, where only the best is open, by a better one).

An opportunity that closes and opens again on the very same books (a leg went stale and was confirmed again, a fee came
and went) has by definition the same id. It then continues its numbering: "opened" with the next revision, and a new
`opened_ns` and peak. A first "opened" is revision 0.

Charges drift with time: they are taken when a basket is looked at, and a drift alone is no event.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final

from msgspec.structs import replace

from schemas.fees import check_schedule
from schemas.identity import opportunity_id
from schemas.records import Analysis, Book, Group, Market, Opportunity, Venue
from streams.core import lives
from streams.core.baskets import compile_group
from streams.core.depth import Charges, WalkLeg, walk_depth
from streams.core.groups import GroupError
from streams.core.ladder import LadderError, check_length
from streams.core.lives import Found, Moment
from streams.core.sampling import Sampler
from streams.core.sizing import UNLIMITED, SizeLimits, most
from streams.core.watch import FamilyWatch, GroupWatch, MarketState, Open, Source, Watch
from streams.core.waterfall import Pricing, Terms, first_shortfall, terms_of, waterfall_of

_NEVER: Final = 1 << 80
_AT_ONCE: Final = -1
_WAITS: Final = "waits"
_GONE: Final = "edge gone"

CHOICES: Final = 8
"""Baskets that are weighed of a family of very many, at most."""

FREE: Final = Pricing()

BasketKey = tuple[str, str]
"""Group and basket id."""

__all__ = ["FREE", "Detection", "Gates", "Source"]


@dataclass(frozen=True, slots=True)
class Gates:
    """What a candidate must pass.

    Legs confirmed at most `freshness_ns` ago, their proofs at most `skew_ns` apart (0: any), a net of `minimum_net`
    (money) after all charges, sizes within `limits`. `bare` leaves nothing but the crossing of live books: no fees,
    charges, minimums, limits or freshness, and a net of one micro-dollar.
    """

    freshness_ns: int
    minimum_net: int
    skew_ns: int = 0
    pricing: Pricing = field(default=FREE)
    limits: SizeLimits = field(default=UNLIMITED)
    bare: bool = False


class Detection:
    """The opportunities of one partition. Feed it groups and markets, `assign` it, then feed it books in order."""

    def __init__(self, partition: int, gates: Gates) -> None:
        self._partition = partition
        self._gates = gates
        self._freshness_ns = None if gates.bare else gates.freshness_ns
        self._skew_ns = 0 if gates.bare else gates.skew_ns
        self._groups: dict[str, GroupWatch] = {}
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
            found += [watch.open.last for watch in group.running() if watch.open is not None]
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
        self._serial = count()
        self._started = False
        self._homeless: dict[BasketKey, Open] = {}
        self._superseded: list[Opportunity] = []
        self._ended: dict[BasketKey, tuple[str, int]] = {}
        self._rejections: list[Analysis] = []
        self._sampler = Sampler()
        for state in self._states.values():
            state.forget()
        for group in self._groups.values():
            for watch in group.running():
                watch.end()
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
        for name, basket_id in list(self._homeless):
            group = self._groups.get(name)
            watch = None if group is None else group.find(basket_id)
            if watch is not None:
                watch.begin(self._homeless.pop((name, basket_id)))

    # -- reference records ---------------------------------------------------------------------------------------

    def on_group(self, group: Group) -> list[Opportunity]:
        """Put a group into force; raises GroupError and changes nothing when it is not usable.

        A market belongs to the group that named it last: an older group loses its baskets with it, and its book.
        """
        compiled = compile_group(group, self._augmented(group))
        name = group.group
        known = self._groups.pop(name, None)
        made = GroupWatch(group, compiled)
        running = [] if known is None else known.running()
        self._groups[name] = made  # popped and put back: the order of this mapping is that of arrival
        others = self._hand_over(known.record if known is not None else None, group)
        events: list[Opportunity] = []
        for other in sorted(others):
            self._wire(self._groups[other], self._groups[other].running(), events)
        self._wire(made, running, events)
        return _in_order(events)

    def on_group_removed(self, name: str) -> list[Opportunity]:
        """Take a group out of force: its opportunities close, its markets go back to whoever named them before."""
        known = self._groups.pop(name, None)
        if known is None:
            return []
        events: list[Opportunity] = []
        running = known.running()
        emptied = replace(known.record, members=())
        for other in sorted(self._hand_over(known.record, emptied)):
            self._wire(self._groups[other], self._groups[other].running(), events)
        self._move_open(GroupWatch(emptied, known.compiled), running, events)
        return _in_order(events)

    def _augmented(self, group: Group) -> frozenset[tuple[Venue, str]]:
        keys = [(member.venue, member.market) for member in group.members]
        return frozenset(key for key in keys if key in self._markets and self._markets[key].negative_risk_augmented)

    def _hand_over(self, before: Group | None, group: Group) -> set[str]:
        """Give each market that `group` named or names to the group that names it last; return the others touched."""
        touched = set()
        members = [*group.members, *(before.members if before is not None else ())]
        for key in dict.fromkeys((member.venue, member.market) for member in members):
            state = self._states.get(key)
            owner = self._owner(key)
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

    def _wire(self, group: GroupWatch, running: list[Watch], events: list[Opportunity]) -> None:
        """Put a group over the markets it has now, close what vanished, look at all that is left."""
        name = group.record.group
        owned: dict[tuple[Venue, str], MarketState] = {}
        for member in group.record.members:
            state = self._states.get((member.venue, member.market))
            if state is not None and state.group == name:
                owned[member.venue, member.market] = state
        group.wire(owned)
        self._move_open(group, running, events)
        self._weigh([family for family in group.families if family.running or family.crosses()], None, 0, events)

    def _move_open(self, group: GroupWatch, before: list[Watch], events: list[Opportunity]) -> None:
        """Hand the open opportunities of a group over to its new watches; close those that have none any more."""
        name = group.record.group
        running = {watch.basket.basket_id: watch.open for watch in before if watch.open is not None}
        for key in [key for key in self._homeless if key[0] == name]:
            running[key[1]] = self._homeless.pop(key)
        reason = "group blocked" if group.record.status == "blocked" else "group changed"
        for basket_id in sorted(running):
            watch = group.find(basket_id)
            if watch is None:
                self._end(running[basket_id], reason, self._moment(), events)
            else:
                watch.begin(running[basket_id])

    def on_market(self, market: Market) -> list[Opportunity]:
        """Put a reference record into force; raises FeeError and changes nothing when its fees make no sense.

        Its baskets are looked at again when what they are worth by it is not what it was. A group is compiled anew
        when one of its markets turns out to belong to an event with outcomes that are not listed yet.
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
        augmented = before is not None and before.negative_risk_augmented
        if market.negative_risk_augmented != augmented:
            self._recompile(self._groups[state.group], events)
        elif before is None or _terms(before) != _terms(market):
            state.price()
            touched = [family for family in (*state.families, *state.exclusive) if family.running or family.crosses()]
            self._weigh(touched, None, 0, events)
        return _in_order(events)

    def _recompile(self, group: GroupWatch, events: list[Opportunity]) -> None:
        running = group.running()
        try:
            compiled = compile_group(group.record, self._augmented(group.record))
        except GroupError:  # what is left of its relations allows too much: nothing of it is believed
            compiled = compile_group(replace(group.record, relations=()))
        made = self._groups[group.record.group] = GroupWatch(group.record, compiled)
        self._wire(made, running, events)

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
        if not look or state is None:
            return events
        touched: list[FamilyWatch] | None = None
        best = state.board.best
        for family in state.families:
            total = 0
            for literal in family.literals:
                total += best[literal]
            if total < family.payout or family.running:
                touched = [family] if touched is None else [*touched, family]
        for family in state.exclusive:
            if family.running or family.crosses():
                touched = [family] if touched is None else [*touched, family]
        if touched is not None:
            self._weigh(touched, state, book.api_response_ns, events)
        return _in_order(events)

    def _apply(self, state: MarketState, book: Book, source: Source, received_ns: int) -> bool:
        """Bring a market up to date; whether its baskets must be looked at: a new book, or a proof that may count."""
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
            freshness_ns = self._freshness_ns
            was_stale = freshness_ns is not None and now - state.confirmed_ns > freshness_ns
            state.confirmed_ns = confirmed_ns
            return was_stale or self._skew_ns > 0
        return False

    # -- decisions -----------------------------------------------------------------------------------------------

    def _weigh(
        self,
        families: Iterable[FamilyWatch],
        state: MarketState | None,
        api_response_ns: int,
        events: list[Opportunity],
    ) -> None:
        """Decide on every basket of these families with `state` as a leg (on all of them without one), by their ids."""
        watches: dict[str, Watch] = {}
        for family in families:
            if family.many:
                self._choose(family, state, api_response_ns, events)
                continue
            chosen = [*family.running.values(), *(watch for watch in family.members() if watch.crosses())]
            for watch in chosen:
                if state is None or state in watch.states:
                    watches[watch.basket.basket_id] = watch
        for basket_id in sorted(watches):
            watch = watches[basket_id]
            self._decide(watch, self._judge(watch), state, api_response_ns, events)

    def _choose(
        self, family: FamilyWatch, state: MarketState | None, api_response_ns: int, events: list[Opportunity]
    ) -> None:
        """Of a family of very many baskets the best one alone is open; an equal one that is open stays."""
        best: tuple[Watch, Found] | None = None
        verdicts: dict[str, Found | str] = {}
        for watch in [*family.running.values(), *self._choices(family)]:
            if watch.basket.basket_id in verdicts:
                continue
            verdict = verdicts[watch.basket.basket_id] = self._judge(watch)
            if not isinstance(verdict, str) and (best is None or verdict.net > best[1].net):
                best = watch, verdict
        for basket_id, watch in sorted(family.running.items()):
            if best is None or watch is not best[0]:
                verdict = verdicts[basket_id]
                reason = verdict if isinstance(verdict, str) else "superseded"
                self._decide(watch, reason, state, api_response_ns, events)
        if best is not None:
            self._decide(*best, state, api_response_ns, events)

    def _choices(self, family: FamilyWatch) -> list[Watch]:
        """The baskets of a large family to be weighed; up to where a ladder turns out to be malformed."""
        chosen: list[Watch] = []
        if family.crosses():
            try:
                for watch in islice(family.choices(self._now, self._freshness_ns, bare=self._gates.bare), CHOICES):
                    chosen.append(watch)
            except LadderError:
                pass  # the basket with that ladder is the last of them, and says so when it is judged
        return chosen

    def _judge(self, watch: Watch) -> Found | str:
        """A basket's best size now, or why there is none. A candidate that fails is sampled for the analysis topic."""
        if watch.waits():
            return _WAITS
        gates = self._gates
        obstacle = watch.obstacle(self._now, self._freshness_ns, self._skew_ns)
        crosses = watch.crosses()
        if obstacle is not None:
            if crosses:
                self._reject(watch, obstacle)
            return obstacle
        if not crosses:
            return _GONE
        try:
            offers = watch.offers(bare=gates.bare)
        except LadderError as error:
            reason = f"ladder malformed: {error}"
            self._reject(watch, reason)
            return reason
        terms = self._terms(watch)
        charges = terms.charges(
            None if gates.bare else most(offers, watch.basket.claims, gates.limits, terms.shortfall)
        )
        walk = walk_depth(offers, watch.basket.payout, 1 if gates.bare else gates.minimum_net, charges)
        if walk is not None:
            return Found(walk, waterfall_of(walk, terms, self._now), terms)
        return self._reject_weighed(watch, offers, terms, charges)

    def _terms(self, watch: Watch) -> Terms:
        if self._gates.bare:
            return Terms(0, 0, 0, 0, (0,) * len(watch.states), 0, self._now)
        markets = [state.market for state in watch.states if state.market is not None]
        group, pricing = watch.family.group.record, self._gates.pricing
        return terms_of(group, markets, watch.touches(), watch.true_sets, watch.basket.payout, pricing, self._now)

    def _reject(self, watch: Watch, obstacle: str) -> None:
        reason, _, detail = obstacle.partition(": ")
        suppressed = self._sampler.take((watch.basket.group, watch.basket.basket_id, reason), self._now)
        if suppressed is not None:
            self._rejections.append(lives.rejected(watch, reason, detail, None, self._moment(), suppressed))

    def _reject_weighed(self, watch: Watch, offers: tuple[WalkLeg, ...], terms: Terms, charges: Charges) -> str:
        """Why a basket that crosses at the top does not pay. The answer costs a second walk, so a sample alone gets it;
        an opportunity that closes on it does too."""
        suppressed = self._sampler.take((watch.basket.group, watch.basket.basket_id, "worth"), self._now)
        if suppressed is None and watch.open is None:
            return _GONE
        found: Found | None = None
        walk = walk_depth(offers, watch.basket.payout, -_NEVER, charges)
        if walk is None:
            reason = "limits" if walk_depth(offers, watch.basket.payout, -_NEVER) else "minimum size"
        else:
            found = Found(walk, waterfall_of(walk, terms, self._now), terms)
            reason = first_shortfall(found.waterfall, self._gates.minimum_net)
        if suppressed is not None:
            self._rejections.append(lives.rejected(watch, reason, "", found, self._moment(), suppressed))
        return f"{_GONE}: {reason}"

    def rejections(self) -> list[Analysis]:
        """The rejected candidates to be written since the last call: a sample, see `streams.core.sampling`."""
        taken, self._rejections = self._rejections, []
        return taken

    def _decide(
        self,
        watch: Watch,
        verdict: Found | str,
        state: MarketState | None,
        api_response_ns: int,
        events: list[Opportunity],
    ) -> None:
        """Open, change, close, or leave it."""
        running = watch.open
        if isinstance(verdict, str):
            if running is not None and verdict != _WAITS:
                self._end(running, verdict, self._moment(watch, state, api_response_ns), events)
            return
        moment = self._moment(watch, state, api_response_ns)
        if running is None:
            identity, revision = self._identify(watch)
            running = Open(lives.opened(identity, revision, watch, verdict, moment))
            watch.begin(running)
            events.append(running.last)
        elif not lives.same_offer(running.last, verdict.walk):
            running.last = lives.changed(running.last, watch, verdict, moment)
            events.append(running.last)
        if self._freshness_ns is not None:
            self._schedule(running, watch.deadline_ns(self._freshness_ns))

    def _identify(self, watch: Watch) -> tuple[str, int]:
        """Id and first revision of what the books in force open."""
        basket = watch.basket
        inputs = [(state.venue, state.name, state.epoch, state.sequence) for state in watch.states]
        identity = opportunity_id(basket.group, basket.basket_id, inputs)
        ended = self._ended.get((basket.group, basket.basket_id))
        return identity, ended[1] + 1 if ended is not None and ended[0] == identity else 0

    def _end(self, running: Open, reason: str, moment: Moment, events: list[Opportunity]) -> None:
        """Emit the closing of an open opportunity and let go of it."""
        last = lives.closed(running.last, reason, moment)
        events.append(last)
        running.ended = True
        self._ended[running.key] = (last.opportunity_id, last.revision)
        if running.watch is not None:
            running.watch.end()
        self._homeless.pop(running.key, None)

    def _moment(self, watch: Watch | None = None, state: MarketState | None = None, api_response_ns: int = 0) -> Moment:
        leg = -1 if watch is None or state is None else watch.leg_of(state)
        return Moment(self._now, leg, api_response_ns, self._partition, self._epoch)

    # -- expiry --------------------------------------------------------------------------------------------------

    def _schedule(self, running: Open, deadline_ns: int) -> None:
        """See to it that an open opportunity is looked at once the time is past `deadline_ns`, or earlier.

        Confirmations only move a deadline away, so they cost nothing: the entry comes up early and is put back.
        """
        if running.deadline_ns < 0 or deadline_ns < running.deadline_ns:
            running.deadline_ns = deadline_ns
            heappush(self._expiries, (deadline_ns, next(self._serial), running))
            self._deadline = min(self._deadline, deadline_ns)

    def _expire(self, events: list[Opportunity]) -> None:
        """Close what is stale at the partition's time, in order of basket id."""
        freshness_ns = self._freshness_ns
        if freshness_ns is None:
            self._deadline = _NEVER
            return
        if not self._started:
            self._start(events, freshness_ns)
        overdue: list[tuple[str, str, str, Open]] = []
        while self._expiries and self._expiries[0][0] < self._now:
            deadline_ns, _, running = heappop(self._expiries)
            if running.ended or deadline_ns != running.deadline_ns:
                continue
            running.deadline_ns = -1
            watch = running.watch
            if watch is None:
                overdue.append((running.last.basket, running.last.group, self._group_reason(running), running))
                continue
            reason = watch.obstacle(self._now, self._freshness_ns, 0)
            if reason is None:
                self._schedule(running, watch.deadline_ns(freshness_ns))
            else:
                overdue.append((running.last.basket, running.last.group, reason, running))
        for _, _, reason, running in sorted(overdue, key=lambda one: one[:2]):
            self._end(running, reason, self._moment(), events)
        self._deadline = self._expiries[0][0] if self._expiries else _NEVER

    def _start(self, events: list[Opportunity], freshness_ns: int) -> None:
        """At the epoch's first book: what was restored gets its deadline."""
        self._started = True
        for last in sorted(self._superseded, key=lambda one: (one.basket, one.opportunity_id)):
            events.append(lives.closed(last, "superseded", self._moment()))
        restored = list(self._homeless.values())
        for group in self._groups.values():
            restored += [watch.open for watch in group.running() if watch.open is not None]
        for running in restored:
            self._schedule(running, self._now + freshness_ns)

    def _group_reason(self, running: Open) -> str:
        group = self._groups.get(running.last.group)
        return "group blocked" if group is not None and group.record.status == "blocked" else "group changed"


def _terms(market: Market) -> tuple[object, ...]:
    """What of a market's reference record a decision depends on."""
    times = market.expected_settlement_ns, market.close_ns, market.category
    return market.fee, market.minimum_quantity, market.minimum_value, market.lot, *times


def _in_order(events: list[Opportunity]) -> list[Opportunity]:
    """Closings first, as they came, then the others by falling net: the best of one moment is taken first."""
    if len(events) < 2:
        return events
    rest = [event for event in events if event.event != "closed"]
    rest.sort(key=lambda event: (-event.net, event.group, event.basket))
    return [event for event in events if event.event == "closed"] + rest
