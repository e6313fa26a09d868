"""Groups of markets: the `group` topic, and the group files that are published on it (`infra.group_file`)."""

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from infra.group_file import GroupFileError, read_groups
from runtime.kafka import Publisher, read_whole
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Group, GroupStatus

__all__ = [
    "GroupFileError",
    "publish_groups",
    "published_groups",
    "read_groups",
    "refuse_taken_markets",
    "set_status",
]


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
