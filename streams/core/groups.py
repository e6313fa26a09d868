"""What makes a group usable in form. A group that fails is refused whole, with the reason.

Whether its relations can hold together is found in `streams.core.outcomes`.
"""

from collections.abc import Iterable
from typing import Final, get_args

from schemas.records import Group, GroupStatus, Relation, RelationKind, VoidRule
from schemas.units import RATE_SCALE

MAXIMUM_MARKETS: Final = 64


class GroupError(ValueError):
    """A group that cannot be used; the message names the group and what is wrong with it.

    `relations` are the indexes of the relations that clash, ascending; empty where the relations are not to blame.
    """

    def __init__(self, message: str, relations: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.relations = tuple(sorted(set(relations)))


def check_group(group: Group) -> Group:
    """Return the group, or raise GroupError.

    Promised after it: a name; 1 to 64 members, each once, whose names hold neither "/" nor "|" (they separate the
    parts of a basket's id); relations of known kinds between different members that exist; probabilities in 0..1.
    """
    if not group.group:
        raise GroupError("a group has no name")
    where = f"group {group.group!r}"
    if group.status not in get_args(GroupStatus):
        raise GroupError(f"{where}: status {group.status!r} is unknown")
    if not 1 <= len(group.members) <= MAXIMUM_MARKETS:
        raise GroupError(f"{where}: {len(group.members)} markets, allowed are 1 to {MAXIMUM_MARKETS}")
    seen = set()
    for member in group.members:
        if not member.market or "/" in member.market or "|" in member.market:
            raise GroupError(f"{where}: market name {member.market!r} is empty or holds '/' or '|'")
        if (member.venue, member.market) in seen:
            raise GroupError(f"{where}: {member.venue} {member.market} is a member twice")
        seen.add((member.venue, member.market))
    for number, relation in enumerate(group.relations):
        _check_relation(f"{where}: relation {number} ({relation.kind})", number, relation, len(group.members))
    _check_risk(where, group)
    return group


def _check_relation(where: str, number: int, relation: Relation, members: int) -> None:
    def refuse(what: str) -> GroupError:
        return GroupError(f"{where}: {what}", (number,))

    if relation.kind not in get_args(RelationKind):
        raise refuse("this kind is unknown")
    for index in relation.members:
        if not 0 <= index < members:
            raise refuse(f"names member {index}, the group has {members}")
    if len(set(relation.members)) != len(relation.members):
        raise refuse("names a member twice")
    if relation.kind == "complement" and len(relation.members) != 2:
        raise refuse(f"is between 2 members, not {len(relation.members)}")
    if len(relation.members) < 2:
        raise refuse(f"needs at least 2 members, not {len(relation.members)}")


def _check_risk(where: str, group: Group) -> None:
    for name in ("void_ppm", "mismatch_ppm"):
        value = getattr(group.risk, name)
        if not -1 <= value <= RATE_SCALE:
            raise GroupError(f"{where}: {name} {value} is no probability in millionths")
    for venue, rule in group.risk.void_rules.items():
        if rule not in get_args(VoidRule):
            raise GroupError(f"{where}: void rule {rule!r} of {venue} is unknown")
