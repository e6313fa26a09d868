"""A ticket's life as pure functions: made from an opportunity, turned into orders, folded with executions.

A ticket holds everything its orders are made of, so the same ticket gives the same orders, byte for byte, whenever and
wherever they are made again.
"""

from collections.abc import Container, Sequence
from typing import Final

import msgspec

from schemas.identity import order_id, ticket_id
from schemas.records import Alert, Execution, ExecutionKind, Opportunity, Order, Ticket, TicketLeg, TicketState
from schemas.units import FILL_PER_QUANTITY, ONE, QUANTITY_SCALE, format_quantity

ATTEMPT: Final = 0
"""Each leg gets one order; a second attempt would need a new decision."""

SENT: Final[ExecutionKind] = "acknowledged"
"""The state of a leg whose order is on its way: the record has no word of its own for it."""

SHOWN: Final = 3
"""So many legs, and so many reasons, are named in one line of text; of more it says how many."""

PENDING_LEG: Final = frozenset[ExecutionKind]({SENT, "unknown"})
UNFINISHED: Final = frozenset[TicketState]({"working", "unknown"})
_FINAL_ANSWERS: Final = frozenset[ExecutionKind]({"filled", "cancelled", "rejected"})


class BadOpportunity(ValueError):
    """An opportunity that cannot be turned into orders; the message says why."""


class BadExecution(ValueError):
    """An execution that does not fit the order it answers; the message says why."""


def is_pending(leg: TicketLeg) -> bool:
    """Whether the leg's order may still fill."""
    return leg.order_state in PENDING_LEG


def is_finished(ticket: Ticket) -> bool:
    """Whether every leg of the ticket has its final answer, or none was ever sent."""
    return ticket.state not in UNFINISHED


def check_opportunity(opportunity: Opportunity) -> None:
    """Raise BadOpportunity when no orders can be made of it."""
    if opportunity.quantity <= 0 or not opportunity.legs:
        what = f"{opportunity.quantity} contracts of {len(opportunity.legs)} legs"
        raise BadOpportunity(f"opportunity {opportunity.opportunity_id}: {what}")
    for leg in opportunity.legs:
        if not 0 < leg.limit_price < ONE:
            what = f"limit price {leg.limit_price} of {leg.market}"
            raise BadOpportunity(f"opportunity {opportunity.opportunity_id}: {what}")
    if len({(leg.venue, leg.market) for leg in opportunity.legs}) < len(opportunity.legs):
        raise BadOpportunity(f"opportunity {opportunity.opportunity_id}: two legs of one market")


def open_ticket(opportunity: Opportunity, now_ns: int) -> Ticket:
    """The first revision of the ticket that takes an opportunity; raises BadOpportunity.

    `expected_net` is what `realised_net` becomes when every leg fills as in the detector's walk: payout - costs - fees.
    What the detector charges beyond them (gas, basis, risk, time) no venue's answer says anything of.
    """
    check_opportunity(opportunity)
    identity = ticket_id(opportunity.opportunity_id)
    legs = tuple(
        TicketLeg(
            venue=leg.venue,
            market=leg.market,
            outcome=leg.outcome,
            limit_price=leg.limit_price,
            quantity=opportunity.quantity,
            order_id=order_id(identity, index, ATTEMPT),
            order_state=SENT,
            reason="",
            fill_quantity=0,
            cost=0,
            fee=0,
        )
        for index, leg in enumerate(opportunity.legs)
    )
    return Ticket(
        ticket_id=identity,
        revision=1,
        state="working",
        reason="",
        opportunity_id=opportunity.opportunity_id,
        group=opportunity.group,
        basket=opportunity.basket,
        quantity=opportunity.quantity,
        payout=opportunity.payout,
        expected_net=opportunity.gross - opportunity.fees,
        realised_net=0,
        legs=legs,
        opened_ns=now_ns,
        updated_ns=now_ns,
    )


def refuse(ticket: Ticket, reason: str) -> Ticket:
    """The same ticket as a record of why it was not worked: its orders are never sent."""
    legs = tuple(
        msgspec.structs.replace(leg, order_id="", order_state="cancelled", reason="never sent") for leg in ticket.legs
    )
    return msgspec.structs.replace(ticket, state="refused", reason=reason, legs=legs)


def orders(ticket: Ticket) -> list[Order]:
    """The orders of every leg without a final answer; all legs at once for a new ticket."""
    if is_finished(ticket):
        return []
    return [
        Order(
            order_id=leg.order_id,
            ticket_id=ticket.ticket_id,
            leg=index,
            attempt=ATTEMPT,
            action="place",
            venue=leg.venue,
            market=leg.market,
            outcome=leg.outcome,
            side="buy",
            quantity=leg.quantity,
            limit_price=leg.limit_price,
            time_in_force="immediate_or_cancel",
            created_ns=ticket.opened_ns,
        )
        for index, leg in enumerate(ticket.legs)
        if is_pending(leg)
    ]


def answer(ticket: Ticket, execution: Execution, now_ns: int) -> Ticket:
    """The ticket after a venue's answer; the same object when the answer says nothing new.

    An immediate-or-cancel order has one final answer: filled (in part too, the rest is cancelled), cancelled or
    rejected. The same answer again changes nothing; a different second one raises BadExecution.
    """
    leg = _leg_of(ticket, execution)
    if execution.kind == "acknowledged":
        return ticket
    if execution.kind == "unknown":
        return mark_unknown(ticket, execution.reason or f"{leg.venue} does not know", now_ns, {execution.leg})
    _check_answer(leg, execution)
    if not is_pending(leg):
        if _answered(leg, execution) == leg:
            return ticket
        raise BadExecution(f"order {leg.order_id} was answered {leg.order_state} and now {execution.kind}, differently")
    legs = _replaced(ticket.legs, execution.leg, _answered(leg, execution))
    changed = msgspec.structs.replace(ticket, revision=ticket.revision + 1, legs=legs, updated_ns=now_ns)
    return changed if any(map(is_pending, legs)) else _finish(changed)


def mark_unknown(ticket: Ticket, reason: str, now_ns: int, legs_asked: Container[int] | None = None) -> Ticket:
    """The ticket with its unanswered legs (all, or those asked) unknown; the same object when that is known already."""
    legs = tuple(
        msgspec.structs.replace(leg, order_state="unknown", reason=reason)
        if leg.order_state == SENT and (legs_asked is None or index in legs_asked)
        else leg
        for index, leg in enumerate(ticket.legs)
    )
    if legs == ticket.legs:
        return ticket
    return msgspec.structs.replace(
        ticket, revision=ticket.revision + 1, state="unknown", reason=reason, legs=legs, updated_ns=now_ns
    )


def alert_for(ticket: Ticket, now_ns: int) -> Alert | None:
    """What a person should know about a ticket's new state: unknown or unbalanced; None otherwise."""
    titles = {"unknown": "An order is unanswered", "unbalanced": "A ticket filled unevenly"}
    if ticket.state not in titles:
        return None
    return Alert(
        alert_id=f"{ticket.state}.{ticket.ticket_id}",
        source="executor",
        severity="critical",
        title=titles[ticket.state],
        text=f"ticket {ticket.ticket_id} for {_claims(ticket)} in group {ticket.group}: {ticket.reason}",
        time_ns=now_ns,
    )


def guaranteed_payout(payout: int, quantity: int, fills: Sequence[int]) -> int:
    """The least that uneven fills of a basket pay in any possible outcome (money, rounded down).

    `quantity` contracts of every claim pay at least `payout` (money); `fills` are what is held of each (1e-6 contract).
    Where j claims are not held, they may be among the true ones: what is held then pays j dollars a contract less. So
    legs that are all held alike pay their share of `payout`, and a surplus only what the legs that lag leave of it.
    """
    held, paid = 0, 0
    for missing, fill in enumerate(sorted(fills)):
        share = payout - missing * quantity * ONE
        if share <= 0:
            break
        paid += share * (fill - held)
        held = fill
    return paid // (quantity * FILL_PER_QUANTITY)


def _leg_of(ticket: Ticket, execution: Execution) -> TicketLeg:
    who = f"execution {execution.execution_id}"
    if not 0 <= execution.leg < len(ticket.legs):
        raise BadExecution(f"{who}: ticket {ticket.ticket_id} has no leg {execution.leg}")
    leg = ticket.legs[execution.leg]
    if execution.order_id != leg.order_id:
        raise BadExecution(f"{who}: order {execution.order_id} is not that of leg {execution.leg}")
    claim = (execution.venue, execution.market, execution.outcome, execution.side)
    if claim != (leg.venue, leg.market, leg.outcome, "buy"):
        raise BadExecution(f"{who}: {' '.join(claim)} is not what order {leg.order_id} asked for")
    return leg


def _check_answer(leg: TicketLeg, execution: Execution) -> None:
    who, filled = f"execution {execution.execution_id}", execution.fill_quantity
    if execution.kind not in _FINAL_ANSWERS:
        raise BadExecution(f"{who}: {execution.kind} is no answer to an immediate-or-cancel order")
    if not 0 <= filled <= leg.quantity * FILL_PER_QUANTITY:
        raise BadExecution(f"{who}: filled {_format_fill(filled)} of {format_quantity(leg.quantity)}")
    if (execution.kind == "filled") != (filled > 0):
        raise BadExecution(f"{who}: {execution.kind} with {_format_fill(filled)} filled")
    if not 0 <= execution.cost * FILL_PER_QUANTITY <= filled * leg.limit_price or execution.fee < 0:
        raise BadExecution(f"{who}: cost {execution.cost} or fee {execution.fee} does not fit what was filled")


def _answered(leg: TicketLeg, execution: Execution) -> TicketLeg:
    return msgspec.structs.replace(
        leg,
        order_state=execution.kind,
        reason=execution.reason,
        fill_quantity=execution.fill_quantity,
        cost=execution.cost,
        fee=execution.fee,
    )


def _replaced(legs: tuple[TicketLeg, ...], index: int, leg: TicketLeg) -> tuple[TicketLeg, ...]:
    return (*legs[:index], leg, *legs[index + 1 :])


def _finish(ticket: Ticket) -> Ticket:
    """Final state and realised net of a ticket whose legs all have their answers.

    What was bought counts as the least that it pays (`guaranteed_payout`), the worse case. Nothing is unwound by itself
    in this form.
    """
    fills = [leg.fill_quantity for leg in ticket.legs]
    paid = sum(leg.cost + leg.fee for leg in ticket.legs)
    state, reason = _outcome(ticket, fills)
    realised_net = guaranteed_payout(ticket.payout, ticket.quantity, fills) - paid
    return msgspec.structs.replace(ticket, state=state, reason=reason, realised_net=realised_net)


def _outcome(ticket: Ticket, fills: list[int]) -> tuple[TicketState, str]:
    why = _reasons(ticket)
    if min(fills) != max(fills):
        uneven = f"filled {_uneven(fills)} of {format_quantity(ticket.quantity)}"
        return "unbalanced", f"{uneven}: {why}" if why else uneven
    if fills[0] == ticket.quantity * FILL_PER_QUANTITY:
        return "filled", why
    if fills[0] > 0:
        return "partial", why
    rejected = all(leg.order_state == "rejected" for leg in ticket.legs)
    return ("rejected" if rejected else "cancelled"), why


def _reasons(ticket: Ticket) -> str:
    """What the venues said, each once."""
    reasons = list(dict.fromkeys(leg.reason for leg in ticket.legs if leg.reason))
    more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return "; ".join(reasons[:SHOWN] + more)


def _claims(ticket: Ticket) -> str:
    """The ticket's claims in words."""
    claims = [f"{leg.outcome.upper()} {leg.venue} {leg.market}" for leg in ticket.legs[:SHOWN]]
    more = [f"{len(ticket.legs) - SHOWN} more"] if len(ticket.legs) > SHOWN else []
    return " + ".join(claims + more)


def _uneven(fills: list[int]) -> str:
    """Shown to 1e-6 contract: format_quantity has two decimals, a venue's fill may have six."""
    if len(fills) <= SHOWN:
        return " and ".join(map(_format_fill, fills))
    return f"from {_format_fill(min(fills))} to {_format_fill(max(fills))} on {len(fills)} legs"


def _format_fill(fill_quantity: int) -> str:
    scale = QUANTITY_SCALE * FILL_PER_QUANTITY
    return f"{fill_quantity // scale}.{fill_quantity % scale:06d}"
