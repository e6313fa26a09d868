"""What makes a group usable. A group that fails is refused whole, with the reason."""

from typing import Final, get_args

from schemas.records import Group, GroupStatus, Relation, RelationKind

MAXIMUM_MARKETS: Final = 64

_EXACT: Final[dict[RelationKind, int]] = {"complement": 2, "implies": 2}
_LEAST: Final[dict[RelationKind, int]] = {"same": 2, "exclusive": 2, "exhaustive": 1}


class GroupError(ValueError):
    """A group that cannot be used; the message names the group and what is wrong with it."""


def check_group(group: Group) -> Group:
    """Return the group, or raise GroupError.

    Promised after it: a name; 1 to 64 members, each once, whose names hold neither "/" nor "|" (they separate the
    parts of a basket's id); relations of known kinds between different members that exist.
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
        _check_relation(f"{where}: relation {number} ({relation.kind})", relation, len(group.members))
    return group


def _check_relation(where: str, relation: Relation, members: int) -> None:
    if relation.kind not in get_args(RelationKind):
        raise GroupError(f"{where}: this kind is unknown")
    for index in relation.members:
        if not 0 <= index < members:
            raise GroupError(f"{where}: names member {index}, the group has {members}")
    if len(set(relation.members)) != len(relation.members):
        raise GroupError(f"{where}: names a member twice")
    exact = _EXACT.get(relation.kind)
    if exact is not None and len(relation.members) != exact:
        raise GroupError(f"{where}: is between {exact} members, not {len(relation.members)}")
    if len(relation.members) < _LEAST.get(relation.kind, 0):
        raise GroupError(f"{where}: needs at least {_LEAST[relation.kind]} members, not {len(relation.members)}")
