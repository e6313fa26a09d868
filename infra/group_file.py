"""Group files: what a person writes, checked line by line (docs/groups.md is the reference).

A group file is a YAML list of `{group, members, relation | relations, evidence?, rules_fingerprint?}`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from infra.lined_yaml import Listing, Mapping, YamlError, read_yaml
from schemas.records import Group, GroupStatus, Member, Relation, RelationKind, SettlementRisk, Venue, VoidRule
from schemas.units import RATE_SCALE, UnitError, parse_rate
from streams.core.baskets import compile_group
from streams.core.groups import MAXIMUM_MARKETS, GroupError

_GROUP_KEYS: Final = {"group", "members", "relation", "relations", "evidence", "rules_fingerprint"}
_MEMBER_KEYS: Final = {"venue", "market"}
_RELATION_KEYS: Final = {"relation", "members"}
_RISK_KEYS: Final = {"void_probability", "mismatch_probability", "void"}


class GroupFileError(ValueError):
    """A group file is wrong; the message names the file, the line and what is wrong there."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file a group stands, for errors."""

    path: Path
    line: int
    group: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f" (group {self.group})" if self.group else "")

    def at(self, line: int) -> "_Place":
        """Another line of the same group."""
        return _Place(self.path, line, self.group)


def read_groups(path: Path, *, status: GroupStatus = "proposed", updated_by: str = "file") -> list[Group]:
    """Read and check a group file; raises GroupFileError at the first thing that is wrong."""
    try:
        document = read_yaml(path)
        if not isinstance(document, Listing):
            raise GroupFileError(f"{path}: expected a list of groups, found {_kind(document)}")
        groups = [
            _group(item, _Place(path, line), status, updated_by)
            for item, line in zip(document, document.lines, strict=True)
        ]
    except YamlError as error:
        raise GroupFileError(str(error)) from error
    _refuse_repeats(document, groups, path)
    return groups


def _kind(value: Any) -> str:
    return "nothing" if value is None else "a mapping" if isinstance(value, dict) else repr(value)


def _group(item: Any, place: _Place, status: GroupStatus, updated_by: str) -> Group:
    found = _mapping(item, place, "a group", _GROUP_KEYS)
    place = _Place(place.path, found.line, _text(found, "group", place))
    members = _members(found, place)
    relations = [*_short(found, place, len(members)), *_long(found, place, members)]
    if not relations:
        raise GroupFileError(f"{place}: relation is missing: one word over all members, or a list of relations")
    evidence, risk = _evidence(found, place)
    group = Group(
        group=place.group,
        members=members,
        relations=tuple(relation for relation, _ in relations),
        status=status,
        evidence=evidence,
        rules_fingerprint=_text(found, "rules_fingerprint", place) if "rules_fingerprint" in found else "",
        updated_by=updated_by,
        updated_ns=time.time_ns(),
        risk=risk,
    )
    try:
        compile_group(group)
    except GroupError as error:
        lines = sorted({relations[index][1] for index in error.relations})
        raise GroupFileError(f"{_lines(place, lines)}: {error}") from error
    return group


def _lines(place: _Place, lines: list[int]) -> str:
    """Where relations clash."""
    if len(lines) < 2:
        return str(place.at(lines[0]) if lines else place)
    return f"{place.path}: lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"


# Members and relations


def _members(group: Mapping, place: _Place) -> tuple[Member, ...]:
    listed = group.get("members")
    if not isinstance(listed, Listing) or not listed:
        raise GroupFileError(f"{place}: members must be a list of markets")
    if len(listed) > MAXIMUM_MARKETS:
        raise GroupFileError(f"{place}: {len(listed)} members, the limit is {MAXIMUM_MARKETS}")
    found: list[Member] = []
    for item, line in zip(listed, listed.lines, strict=True):
        here = _Place(place.path, line)
        member = _mapping(item, here, "a member", _MEMBER_KEYS)
        venue: Venue = _word(_text(member, "venue", here), "venue", get_args(Venue), here)
        found.append(Member(venue=venue, market=_text(member, "market", here)))
        if found[-1] in found[:-1]:
            raise GroupFileError(f"{place.at(line)}: {venue} {found[-1].market} stands in it twice")
    return tuple(found)


def _short(group: Mapping, place: _Place, members: int) -> list[tuple[Relation, int]]:
    """The relations that the key `relation` says of all members, each with its line."""
    if "relation" not in group:
        return []
    said, line = group["relation"], group.lines["relation"]
    words = [(said, line)]
    if isinstance(said, Listing):
        if not said:
            raise GroupFileError(f"{place.at(line)}: relation is an empty list")
        words = list(zip(said, said.lines, strict=True))
    everyone = tuple(range(members))
    return [(Relation(kind=_relation_word(word, place.at(at)), members=everyone), at) for word, at in words]


def _long(group: Mapping, place: _Place, members: tuple[Member, ...]) -> list[tuple[Relation, int]]:
    """The relations that the key `relations` lists, each with its line."""
    if "relations" not in group:
        return []
    listed = group["relations"]
    if not isinstance(listed, Listing) or not listed:
        raise GroupFileError(f"{place.at(group.lines['relations'])}: relations must be a list of {{relation, members}}")
    found = []
    for item, line in zip(listed, listed.lines, strict=True):
        here = place.at(line)
        relation = _mapping(item, here, "a relation", _RELATION_KEYS)
        kind = _relation_word(relation.get("relation"), here)
        named = relation.get("members")
        if not isinstance(named, Listing):
            raise GroupFileError(f"{here}: members must be a list of markets of the group")
        positions = [_position(one, members, place.at(at)) for one, at in zip(named, named.lines, strict=True)]
        found.append((Relation(kind=kind, members=tuple(positions)), line))
    return found


def _relation_word(value: Any, place: _Place) -> RelationKind:
    if value is None:
        raise GroupFileError(f"{place}: relation is missing")
    kind: RelationKind = _word(value, "relation", get_args(RelationKind), place)
    return kind


def _position(named: Any, members: tuple[Member, ...], place: _Place) -> int:
    """Which member is meant by a market's name, `venue/market` or a position counted from 0."""
    if isinstance(named, int) and not isinstance(named, bool):
        if 0 <= named < len(members):
            return named
        hint = f"the group has {len(members)}, counted from 0 (quote a market's name that is a number)"
        raise GroupFileError(f"{place}: there is no member {named}: {hint}")
    if not isinstance(named, str):
        raise GroupFileError(f"{place}: member was {named!r}: expected a market, venue/market, or a position from 0")
    found = [index for index, one in enumerate(members) if named in (one.market, f"{one.venue}/{one.market}")]
    if not found:
        raise GroupFileError(f"{place}: {named!r} is no member of the group")
    if len(found) > 1:
        both = " or ".join(f"{members[index].venue}/{named}" for index in found)
        raise GroupFileError(f"{place}: more than one member is called {named!r}: write {both}")
    return found[0]


# Evidence


def _evidence(group: Mapping, place: _Place) -> tuple[str, SettlementRisk]:
    """The evidence as text, a mapping as JSON; and what it says of settlement."""
    value = group.get("evidence")
    if value is None:
        return "", SettlementRisk()
    if isinstance(value, str):
        return value, SettlementRisk()
    if not isinstance(value, Mapping):
        raise GroupFileError(f"{place.at(group.lines['evidence'])}: evidence was {value!r}: expected text or a mapping")
    for key in value:
        risky = isinstance(key, str) and (key.startswith(("void", "mismatch")) or key.endswith("probability"))
        if risky and key not in _RISK_KEYS:
            known = ", ".join(sorted(_RISK_KEYS))
            raise GroupFileError(
                f"{place.at(value.lines[key])}: unknown key {key!r}: of settlement, evidence has {known}"
            )
    risk = SettlementRisk(
        void_ppm=_probability(value, "void_probability", place),
        mismatch_ppm=_probability(value, "mismatch_probability", place),
        void_rules=_void_rules(value, place),
    )
    try:
        return msgspec.json.encode(_plain(value)).decode(), risk
    except (RecursionError, msgspec.MsgspecError, ValueError, OverflowError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise GroupFileError(f"{place.at(group.lines['evidence'])}: evidence cannot be kept: {problem}") from error


def _probability(evidence: Mapping, key: str, place: _Place) -> int:
    """A number from 0 to 1 in millionths, -1 where there is none."""
    if key not in evidence:
        return -1
    value, place = evidence[key], place.at(evidence.lines[key])
    expected = f"{place}: {key} was {value!r}: expected a number from 0 to 1 with at most six decimals"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GroupFileError(expected)
    try:
        millionths = parse_rate(value)
    except UnitError as error:
        raise GroupFileError(expected) from error
    if millionths > RATE_SCALE:
        raise GroupFileError(expected)
    return millionths


def _void_rules(evidence: Mapping, place: _Place) -> dict[Venue, VoidRule]:
    if "void" not in evidence:
        return {}
    rules, line = evidence["void"], evidence.lines["void"]
    if not isinstance(rules, Mapping):
        raise GroupFileError(f"{place.at(line)}: void was {rules!r}: expected what each venue pays: {{venue: rule}}")
    found: dict[Venue, VoidRule] = {}
    for key, value in rules.items():
        here = place.at(rules.lines[key])
        venue: Venue = _word(key, "venue", get_args(Venue), here)
        found[venue] = _word(value, f"void of {venue}", get_args(VoidRule), here)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


# Values


def _mapping(item: Any, place: _Place, what: str, keys: set[str]) -> Mapping:
    if not isinstance(item, Mapping):
        raise GroupFileError(f"{place}: {what} must be a mapping, found {item!r}")
    for key in item:
        if key not in keys:
            raise GroupFileError(
                f"{place.at(item.lines[key])}: unknown key {key!r}: {what} has {', '.join(sorted(keys))}"
            )
    return item


def _text(item: Mapping, key: str, place: _Place) -> str:
    value = item.get(key)
    if value is None:
        raise GroupFileError(f"{place}: {key} is missing")
    if not isinstance(value, str) or not value.strip():
        raise GroupFileError(f"{place.at(item.lines[key])}: {key} was {value!r}: expected text (quote it)")
    return value


def _word(value: Any, what: str, words: tuple[Any, ...], place: _Place) -> Any:
    """One of a few words."""
    if not isinstance(value, str) or value not in words:
        raise GroupFileError(f"{place}: {what} was {value!r}: expected one of {', '.join(words)}")
    return value


def _refuse_repeats(document: Listing, groups: list[Group], path: Path) -> None:
    names: dict[str, int] = {}
    homes: dict[Member, str] = {}
    for item, group in zip(document, groups, strict=True):
        line = item.line
        if group.group in names:
            raise GroupFileError(f"{path}:{line}: group {group.group} stands already on line {names[group.group]}")
        names[group.group] = line
        for member in group.members:
            if member in homes:
                raise GroupFileError(
                    f"{path}:{line}: {member.venue} {member.market} is already in group {homes[member]};"
                    " a market belongs to at most one group"
                )
            homes[member] = group.group
