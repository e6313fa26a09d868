"""Group files: what a person writes, checked line by line, and the `group` topic they end up on.

A group file is a YAML list of `{group, relation, members: [{venue, market}], evidence?}`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import yaml

from runtime.kafka import Publisher, read_whole
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Group, GroupStatus, Member, Relation, RelationKind, Venue
from streams.core.groups import MAXIMUM_MARKETS, GroupError, check_group

_GROUP_KEYS: Final = {"group", "relation", "members", "evidence"}
_MEMBER_KEYS: Final = {"venue", "market"}
_LINE: Final = "\0line"


class GroupFileError(ValueError):
    """A group file is wrong; the message names the file, the line and what is wrong there."""


class _LineLoader(yaml.SafeLoader):
    """A safe loader that remembers the line of every mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        mapping[_LINE] = node.start_mark.line + 1
        return mapping


def read_groups(path: Path, *, status: GroupStatus = "proposed", updated_by: str = "file") -> list[Group]:
    """Read and check a group file; raises GroupFileError at the first thing that is wrong."""
    try:
        document = yaml.load(path.read_text(), Loader=_LineLoader)  # noqa: S506 - a SafeLoader with line numbers
    except OSError as error:
        raise GroupFileError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GroupFileError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, list):
        raise GroupFileError(f"{path}: expected a list of groups, found {type(document).__name__}")
    groups = [_group(item, path, status, updated_by) for item in document]
    _refuse_repeats(document, groups, path)
    return groups


def _group(item: Any, path: Path, status: GroupStatus, updated_by: str) -> Group:
    where = _where(item, path, "a group", _GROUP_KEYS)
    name = _text(item, "group", where)
    where = f"{where} (group {name})"
    kind = _text(item, "relation", where)
    if kind not in get_args(RelationKind):
        raise GroupFileError(f"{where}: relation was {kind!r}: expected one of {', '.join(get_args(RelationKind))}")
    members = item.get("members")
    if not isinstance(members, list) or len(members) < 2:
        raise GroupFileError(f"{where}: members must be a list of at least two markets")
    if len(members) > MAXIMUM_MARKETS:
        raise GroupFileError(f"{where}: {len(members)} members, the limit is {MAXIMUM_MARKETS}")
    parsed = tuple(_member(member, path) for member in members)
    for index, member in enumerate(parsed):
        if member in parsed[:index]:
            raise GroupFileError(f"{where}: {member.venue} {member.market} stands in it twice")
    evidence = item.get("evidence", "")
    group = Group(
        group=name,
        members=parsed,
        relations=(Relation(kind=kind, members=tuple(range(len(parsed)))),),  # type: ignore[arg-type]
        status=status,
        evidence=evidence if isinstance(evidence, str) else msgspec.json.encode(_plain(evidence)).decode(),
        rules_fingerprint="",
        updated_by=updated_by,
        updated_ns=time.time_ns(),
    )
    try:
        return check_group(group)
    except GroupError as error:
        raise GroupFileError(f"{where}: {error}") from error


def _member(item: Any, path: Path) -> Member:
    where = _where(item, path, "a member", _MEMBER_KEYS)
    venue = _text(item, "venue", where)
    if venue not in get_args(Venue):
        raise GroupFileError(f"{where}: venue was {venue!r}: expected one of {', '.join(get_args(Venue))}")
    return Member(venue=venue, market=_text(item, "market", where))  # type: ignore[arg-type]


def _where(item: Any, path: Path, what: str, keys: set[str]) -> str:
    if not isinstance(item, dict):
        raise GroupFileError(f"{path}: {what} must be a mapping, found {item!r}")
    where = f"{path}:{item[_LINE]}"
    for key in item:
        if key != _LINE and key not in keys:
            raise GroupFileError(f"{where}: unknown key {key!r}: {what} has {', '.join(sorted(keys))}")
    return where


def _text(item: dict[str, Any], key: str, where: str) -> str:
    value = item.get(key)
    if value is None:
        raise GroupFileError(f"{where}: {key} is missing")
    if not isinstance(value, str) or not value.strip():
        raise GroupFileError(f"{where}: {key} was {value!r}: expected text (quote it)")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if key != _LINE}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _refuse_repeats(document: list[Any], groups: list[Group], path: Path) -> None:
    names: dict[str, int] = {}
    homes: dict[Member, str] = {}
    for item, group in zip(document, groups, strict=True):
        line = item[_LINE]
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


def published_groups(bootstrap: str) -> dict[str, Group]:
    """The newest record of every group on the us cluster."""
    groups: dict[str, Group] = {}
    for message in read_whole(bootstrap, ["group"]):
        name = (message.key() or b"").decode(errors="replace")
        value = message.value()
        if value is None:
            groups.pop(name, None)
            continue
        try:
            groups[name] = decode_record(value, Group)
        except DecodeError:
            continue
    return groups


def refuse_taken_markets(groups: Iterable[Group], published: Mapping[str, Group]) -> None:
    """Raise GroupFileError when a market of `groups` stands in another published group that is not blocked."""
    homes = {
        member: group.group for group in published.values() if group.status != "blocked" for member in group.members
    }
    for group in groups:
        for member in group.members:
            home = homes.get(member, group.group)
            if home != group.group and group.status != "blocked":
                raise GroupFileError(
                    f"group {group.group}: {member.venue} {member.market} is already in the published group {home};"
                    f" block that one first: a market belongs to at most one group"
                )


def publish_groups(bootstrap: str, groups: Sequence[Group]) -> int:
    """Publish groups and wait until they are acknowledged; returns how many.

    Raises GroupFileError, and publishes nothing, when a market stands in another published group.
    """
    refuse_taken_markets(groups, published_groups(bootstrap))
    publisher = Publisher(bootstrap, "dutchbook-groups")
    count = 0
    for group in groups:
        publisher.publish("group", encode(group), key=group.group.encode())
        count += 1
    publisher.close()
    return count


def set_status(bootstrap: str, names: list[str], status: GroupStatus) -> list[Group]:
    """Approve or block groups by name, all of them when no name is given; raises GroupFileError for an unknown one."""
    known = published_groups(bootstrap)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise GroupFileError(f"no such group: {', '.join(unknown)}")
    chosen = [known[name] for name in (names or sorted(known))]
    changed = [
        msgspec.structs.replace(group, status=status, updated_by="command line", updated_ns=time.time_ns())
        for group in chosen
        if group.status != status
    ]
    publish_groups(bootstrap, changed)
    return changed
