"""`dutchbook explain` on the screen: plain lines of at most `WIDTH` columns; what is not indented is a heading."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.explain.check import Check, Difference, Value
from infra.explain.facts import (
    LEVELS,
    MILLISECOND_NS,
    PROOF,
    SUBTOTALS,
    Facts,
    LegFacts,
    MarketKey,
    Stamp,
    proof_age_ns,
    published,
    trail,
    waterfall,
)
from infra.groups_command import relation_words, risk_words
from infra.view import return_words, short_ids, ticket_line
from schemas.records import Book, Level, Opportunity, OpportunityLeg
from schemas.units import ONE, format_money, format_price, format_quantity

WIDTH: Final = 120
MEMBERS: Final = 12
"""Markets of a group that are listed at most."""
DIFFERENCES: Final = 10
"""Differences that are told at most."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_NS: Final = 1_000_000_000_000
_LABEL: Final = 24
_STEPS: Final = {"costs": "costs at the best prices", "depth": "what deeper levels add"}
_STAMPS: Final = {
    PROOF: "confirmed_ns (proof)",
    "time_ns": "time_ns (decided)",
    "produced_ns": "produced_ns (header)",
    "timestamp": "timestamp (whole ms)",
}
_PRICES: Final = ("best_price", "limit_price")


def lines(facts: Facts, verdict: Check, levels: int = LEVELS) -> Iterator[str]:
    """Everything, section by section; `levels` a side of each ladder, and always all that were taken."""
    sections = [_life(facts)] if facts.show_life else []
    sections += [_event(facts), _group(facts), _basket(facts)]
    sections += [_leg(facts, leg, levels) for leg in facts.legs]
    sections += [_worth(facts.bought.record), _trail(facts), _tickets(facts), _check(facts, verdict)]
    for number, section in enumerate(sections):
        if number:
            yield ""
        for line in section:
            yield fit(line)


# -- words ---------------------------------------------------------------------------------------------------------


def fit(text: str, width: int = WIDTH) -> str:
    """One printable line: control characters become blanks, what is beyond `width` an ellipsis."""
    line = "".join(character if character.isprintable() else " " for character in text).rstrip()
    return line if len(line) <= width else f"{line[: width - 1]}…"


def moment(ns: int) -> str:
    """A time in UTC to the microsecond."""
    return (_EPOCH + timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%d %H:%M:%S.%f") if ns else "unknown"


def seconds(ns: int) -> str:
    """A length of time in seconds to the millisecond."""
    return f"{ns / 1e9:,.3f} s"


def milliseconds(ns: int | None) -> str:
    """A step with its sign, in milliseconds; from 1,000 s on in whole seconds, empty where it is not known."""
    if ns is None:
        return ""
    return f"{ns / MILLISECOND_NS:+,.3f}" if abs(ns) < _LONG_NS else f"{ns / 1e9:+,.0f} s"


def _row(label: str, text: str) -> str:
    return f"  {label:10}  {text}"


def _wrapped(label: str, text: str, most: int = 6) -> Iterator[str]:
    """A label and a text in as many lines as it needs, up to `most`."""
    found = textwrap.wrap(text, WIDTH - len(_row(label, ""))) or [""]
    if len(found) > most:
        found = [*found[: most - 1], "…"]
    for number, line in enumerate(found):
        yield _row("" if number else label, line)


# -- what happened -------------------------------------------------------------------------------------------------


def _life(facts: Facts) -> Iterator[str]:
    last, count = facts.life[-1].record, len(facts.life)
    peak = max(one.record.peak_net for one in facts.life)
    state = "closed after" if last.event == "closed" else "open, the last event after"
    yield (
        f"opportunity {last.opportunity_id}: {count} event{'s' if count > 1 else ''}, {state}"
        f" {seconds(last.survived_ns)}, peak net ${format_money(peak)}"
    )
    head = f"  {'event':8}{'revision':>8}  {'time (UTC)':26}{'contracts':>12}{'net $':>15}{'survived':>12}  "
    yield f"{head}reason"
    for one in facts.life:
        record = one.record
        row = (
            f"  {record.event:8}{record.revision:>8}  {moment(record.time_ns):26}{format_quantity(record.quantity):>12}"
            f"{format_money(record.net):>15}{seconds(record.survived_ns):>12}  "
        )
        for line in textwrap.wrap(short_ids(record.reason), WIDTH - len(head)) or [""]:
            yield f"{row}{line}"
            row = " " * len(head)


def _event(facts: Facts) -> Iterator[str]:
    record = facts.event.record
    yield f"{record.event}: revision {record.revision} of {record.opportunity_id}"
    yield _row("decided", f"{moment(record.time_ns)} UTC, because of {_cause(record)}")
    if record.reason:
        yield from _wrapped("reason", short_ids(record.reason))
    told = facts.bought.record
    if not told.quantity:
        yield _row("", "a closing buys nothing, and no event from before is kept: the legs are those of the last one")
    elif told is not record:
        yield _row("", f"a closing buys nothing: what follows is revision {told.revision}, {moment(told.time_ns)} UTC")
    position = "not kept" if record.journal_position < 0 else str(record.journal_position)
    epoch = f"epoch {record.journal_epoch}, position {position}"
    yield _row("journal", f"{facts.journal_topic}, partition {record.partition}, {epoch}")
    yield _row("record", f"{facts.topic}, partition 0, offset {facts.event.offset}")


def _cause(record: Opportunity) -> str:
    if 0 <= record.cause < len(record.legs):
        return f"a book of leg {record.cause} ({record.legs[record.cause].venue})"
    return "the time, a group or a market record"


def _group(facts: Facts) -> Iterator[str]:
    name, group = facts.event.record.group, facts.group
    if group is None:
        yield f"group {name}: no record of it that can be read is kept"
        return
    changed = "" if facts.status_now == group.status else f" (now {facts.status_now or 'removed'})"
    yield f"group {name}: {group.status}{changed}"
    yield from _wrapped("relations", relation_words(group) or "none")
    legs = {(leg.leg.venue, leg.leg.market) for leg in facts.legs}
    members = [(position, (member.venue, member.market)) for position, member in enumerate(group.members)]
    shown = sorted(members, key=lambda one: one[1] not in legs)[:MEMBERS]
    for position, key in sorted(shown):
        yield f"  {position:>3}  {key[0]:11}{fit(short_ids(key[1]), 32):32}  {_title(facts, key)}"
    if len(shown) < len(members):
        yield f"       … {len(members) - len(shown)} more"
    if risk_words(group.risk):
        yield from _wrapped("settlement", risk_words(group.risk))
    yield from _wrapped("evidence", group.evidence or "none given")


def _title(facts: Facts, key: MarketKey) -> str:
    known = facts.markets.get(key)
    return "(no market record is kept)" if known is None else known.record.title or "(no title)"


# -- what was bought -----------------------------------------------------------------------------------------------


def _basket(facts: Facts) -> Iterator[str]:
    record = facts.bought.record
    best = format_price(sum(leg.best_price for leg in record.legs))
    pays = f"; they pay ${format_price(record.payout // record.quantity)} in every outcome" if record.quantity else ""
    yield f"basket: {format_quantity(record.quantity)} contracts of each claim, at best ${best} together{pays}"
    for leg in facts.legs:
        claim = leg.leg
        price, title = format_price(claim.best_price), _title(facts, (claim.venue, claim.market))
        yield f"  leg {leg.number}  {_claim(leg):16}{price}  {claim.venue:11}{title}"


def _claim(facts: LegFacts) -> str:
    """YES or NO, with the venue's own word for it where it has another."""
    outcome, names = facts.leg.outcome, () if facts.market is None else facts.market.record.outcomes
    own = names[outcome == "no"] if len(names) == 2 else ""
    return outcome.upper() if own.lower() in ("", outcome) else f"{outcome.upper()} ({fit(own, 9)})"


def _leg(facts: Facts, leg: LegFacts, levels: int) -> Iterator[str]:
    record, book = leg.leg, leg.book
    title = _title(facts, (record.venue, record.market))
    yield f"leg {leg.number}: {record.outcome.upper()} {format_price(record.best_price)} {record.venue}, {title}"
    yield _row("market", record.market)
    place = f"{record.topic}, partition {record.partition}, offset {record.offset}, index {record.index}"
    yield _row("record", place)
    state = "" if book is None else f", {book.state}{f' ({book.reason})' if book.reason else ''}"
    yield _row("book", f"epoch {record.epoch}, sequence {record.sequence}{state}")
    yield _row("proof", _proof(leg, facts.bought.record.time_ns))
    if book is None:
        yield from _wrapped("ladder", leg.problem)
    else:
        yield from _ladder(record, book, levels)
    yield from _walk(leg)


def _proof(leg: LegFacts, decided_ns: int) -> str:
    age = f"{seconds(proof_age_ns(leg.leg, decided_ns))} old at the decision"
    again = leg.book is not None and leg.leg.confirmed_ns > leg.book.confirmed_ns
    return f"{age}; the venue had confirmed the book again since this record" if again else age


def _ladder(leg: OpportunityLeg, book: Book, levels: int) -> Iterator[str]:
    """Both sides of the YES ladder, best first, and beside it what was taken, in the claim's own terms."""
    bids, asks = book.sides()
    took = dict(zip(leg.levels[::2], leg.levels[1::2], strict=True))
    most = max(len(bids), len(asks))
    rows = min(most, max(levels, len(took)))
    yield f"  {'contracts':>14}{'bid YES':>10}{'ask YES':>11}{'contracts':>14}   taken"
    for row in range(rows):
        bid, ask = _level(bids, row), _level(asks, row)
        own = ask[0] if leg.outcome == "yes" else ONE - bid[0]
        here = f"* {format_quantity(took[own])} {leg.outcome.upper()} at {format_price(own)}" if own in took else ""
        sides = f"{_size(bid):>14}{_price(bid):>10}{_price(ask):>11}{_size(ask):>14}"
        yield f"  {sides}   {here}"
    if most > rows:
        below = [f"… {len(side) - rows} more" if len(side) > rows else "" for side in (bids, asks)]
        yield f"  {below[0]:>24}{below[1]:>25}"


def _level(side: Sequence[Level], row: int) -> Level:
    """A level, one without contracts beyond the last."""
    return side[row] if row < len(side) else (0, 0)


def _price(level: Level) -> str:
    return format_price(level[0]) if level[1] else ""


def _size(level: Level) -> str:
    return format_quantity(level[1]) if level[1] else ""


def _walk(leg: LegFacts) -> Iterator[str]:
    record = leg.leg
    pairs = list(zip(record.levels[::2], record.levels[1::2], strict=True))
    for number, (price, size) in enumerate(pairs):
        paid = f"{format_quantity(size):>12} x {format_price(price)} = {format_money(price * size):>16}"
        yield _row("" if number else "walk", paid)
    if len(pairs) != 1:
        contracts = format_quantity(sum(size for _, size in pairs))
        yield _row("cost", f"{contracts:>12} {'':8} = {format_money(record.cost):>16}")
    yield _row("fee", f"{'':21} = {format_money(record.fee):>16}")
    yield _row("order", f"limit price {format_price(record.limit_price)}; {_smallest(leg)}")


def _smallest(leg: LegFacts) -> str:
    if leg.market is None:
        return "smallest order not known: no market record is kept"
    market = leg.market.record
    least = [f"{format_quantity(market.minimum_quantity)} contracts"] if market.minimum_quantity else []
    least += [f"${format_money(market.minimum_value)}"] if market.minimum_value else []
    return f"smallest order {' and '.join(least) or 'any'}, in lots of {format_quantity(market.lot)}"


# -- what it is worth ----------------------------------------------------------------------------------------------


def _worth(record: Opportunity) -> Iterator[str]:
    yield f"waterfall: net ${format_money(record.net)}{return_words(record.annualised_ppm)}"
    yield f"  {'':{_LABEL}}{'$':>16}{'left $':>18}"
    notes = _notes(record)
    for step in waterfall(record):
        name = _STEPS.get(step.name, step.name.replace("_", " "))
        amount = "" if step.name in SUBTOTALS else format_money(step.amount)
        yield f"  {name:{_LABEL}}{amount:>16}  ={format_money(step.left):>15}   {notes.get(step.name, '')}"
    until = f", locked until {moment(record.settles_ns)[:19]} UTC" if record.settles_ns else ""
    yield _row("capital", f"${format_money(record.capital)}{until}")
    yield _row("void", f"pays ${format_money(record.void_payout)} at worst, instead of ${format_money(record.payout)}")


def _notes(record: Opportunity) -> dict[str, str]:
    """How the steps come about that follow from the legs."""
    if not record.quantity:
        return {}
    contracts = format_quantity(record.quantity)
    best = sum(leg.best_price for leg in record.legs)
    return {
        "payout": f"{contracts} x {format_price(record.payout // record.quantity)}",
        "costs": f"{contracts} x {format_price(best)}",
        "fees": " + ".join(format_money(leg.fee) for leg in record.legs),
    }


def _trail(facts: Facts) -> Iterator[str]:
    decided_ns = facts.bought.record.time_ns
    day = moment(decided_ns)[:10]
    clock = " (the run's own clock from produced_ns on)" if facts.run else ""
    yield f"trail on {day}, UTC, and the milliseconds from stamp to stamp{clock}"
    columns = [trail(leg, decided_ns) for leg in facts.legs]
    after = published(facts.event)
    stamps = [stamp for column in (*columns, after) for stamp in column]
    wide = max(len(_time(stamp, day)) for stamp in stamps)
    cell = wide + 16
    at_once = max(1, (WIDTH - _LABEL - 2) // cell)
    for start in range(0, len(columns), at_once):
        chosen = columns[start : start + at_once]
        heads = [f"leg {leg.number} {leg.leg.venue}" for leg in facts.legs[start : start + at_once]]
        yield f"  {'':{_LABEL}}" + "".join(f"{head:{cell}}" for head in heads)
        for row, stamp in enumerate(chosen[0]):
            yield f"  {_STAMPS.get(stamp.name, stamp.name):{_LABEL}}" + "".join(
                f"{_cell(column[row], day, wide):{cell}}" for column in chosen
            )
    if facts.bought is not facts.event:
        closing = Stamp("closing", facts.event.record.time_ns, facts.event.record.time_ns - decided_ns)
        after = [closing, *after]
    for stamp in after:
        yield f"  {_STAMPS.get(stamp.name, 'time_ns (closing)'):{_LABEL}}{_cell(stamp, day, wide)}"


def _time(stamp: Stamp, day: str) -> str:
    """The time, with its date only where that is another."""
    return moment(stamp.ns).removeprefix(f"{day} ")


def _cell(stamp: Stamp, day: str, wide: int) -> str:
    step = milliseconds(stamp.step_ns)
    if stamp.name == PROOF and stamp.step_ns is not None:
        step = f"{stamp.step_ns / MILLISECOND_NS:,.0f} ms old"
    return f"{_time(stamp, day):{wide}} {step:>13}"


def _tickets(facts: Facts) -> Iterator[str]:
    yield f"tickets: {len(facts.tickets) or 'none'}"
    for ticket in facts.tickets:
        yield from _wrapped(fit(ticket.ticket_id, 10), ticket_line(ticket))


# -- whether it is so ----------------------------------------------------------------------------------------------


def _check(facts: Facts, verdict: Check) -> Iterator[str]:
    if not verdict.differences and len(verdict.unchecked) == len(facts.legs):
        yield "check: the steps add up"
    elif not verdict.differences:
        whose = "every other leg" if verdict.unchecked else "each leg"
        yield f"check: {whose}'s levels, cost, fee and limit price follow from its book again, and the steps add up"
    for difference in verdict.differences[:DIFFERENCES]:
        yield from textwrap.wrap(f"check: {difference_words(facts, difference)}", WIDTH, subsequent_indent=" " * 7)
    if len(verdict.differences) > DIFFERENCES:
        yield f"check: … {len(verdict.differences) - DIFFERENCES} differences more"
    for number in verdict.unchecked:
        missing = "book" if facts.legs[number].book is None else "market record"
        yield f"check: leg {number} cannot be computed again without its {missing}"


def difference_words(facts: Facts, difference: Difference) -> str:
    """One difference: leg and field by name, what is recorded, what follows instead, and from when."""
    what, basis = "the opportunity", ""
    if difference.leg is not None:
        leg = facts.legs[difference.leg]
        what = f"leg {leg.number} ({leg.leg.outcome.upper()} {leg.leg.venue})"
        if difference.field in ("fee", "limit_price", "quantity") and leg.market is not None:
            late = "; none before" if leg.market.later else ""
            basis = f" (market record of {moment(leg.market.timestamp_ms * MILLISECOND_NS)[:19]}{late})"
    recorded, recomputed = (_value(difference.field, value) for value in (difference.recorded, difference.recomputed))
    return f"{what}, {difference.field}: recorded {recorded}, recomputed {recomputed}{basis}"


def _value(name: str, value: Value) -> str:
    if isinstance(value, str):
        return short_ids(value)
    if isinstance(value, tuple):
        pairs = zip(value[::2], value[1::2], strict=True)
        return " + ".join(f"{format_quantity(size)} x {format_price(price)}" for price, size in pairs) or "nothing"
    if name in _PRICES:
        return format_price(value)
    if name == "quantity":
        return format_quantity(value)
    return str(value) if name in ("epoch", "sequence") else format_money(value)
