"""`dutchbook groups`: check and publish group files, list what is published, approve and block."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from infra.groups import publish_groups, published_groups, read_groups, set_status
from schemas.records import Group, Region, SettlementRisk
from schemas.units import RATE_SCALE, format_price
from streams.core.baskets import Basket, Compiled, compile_group
from streams.core.groups import GroupError

SHOWN: Final = 200
"""Baskets of one group that are listed at most."""

Bootstrap = Callable[[Region, Path | None], str]


class GroupsUsage(ValueError):
    """The command line asks for what cannot be."""


def add_arguments(verb: argparse.ArgumentParser, bootstrap: Bootstrap) -> None:
    """The verbs below `groups`; `bootstrap` finds a region's cluster."""
    verbs = verb.add_subparsers(dest="what", required=True)
    checking = verbs.add_parser("check", help="read a group file and say what is wrong, or what follows from it")
    checking.add_argument("file", type=Path)
    checking.add_argument("--baskets", action="store_true", help="list every group's baskets with what they pay")
    checking.set_defaults(run=_check)
    publishing = verbs.add_parser("publish", help="publish a group file")
    publishing.add_argument("file", type=Path)
    publishing.set_defaults(run=lambda options: _publish(options, bootstrap))
    listing = verbs.add_parser("list", help="the published groups")
    listing.set_defaults(run=lambda options: _list(options, bootstrap))
    for one in (checking, publishing, listing):
        one.add_argument("--data-dir", type=Path)
    for name, status in (("approve", "approved"), ("block", "blocked")):
        deciding = verbs.add_parser(name, help=f"set groups to {status}")
        deciding.add_argument("group", nargs="*", help="names of groups")
        deciding.add_argument("--all", action="store_true", help="every published group")
        deciding.add_argument("--data-dir", type=Path)
        deciding.set_defaults(run=lambda options: _decide(options, bootstrap), status=status)


def _check(options: argparse.Namespace) -> int:
    groups = read_groups(options.file)
    print(f"{options.file}: {len(groups)} groups, {sum(len(group.members) for group in groups)} markets, no mistakes")
    for group in groups:
        for line in described(group, baskets=options.baskets):
            print(line)
    return 0


def described(group: Group, *, baskets: bool = False) -> Iterator[str]:
    """A group in lines: its relations, members, what settlement puts at risk, and what follows; perhaps its baskets."""
    compiled = compile_group(group)
    families = len(compiled.families)
    yield (
        f"{group.group}  {relation_words(group)}: {len(group.members)} markets, {compiled.outcomes:,} possible"
        f" outcomes, {_size(compiled):,} baskets in {families:,} {'family' if families == 1 else 'families'}"
    )
    risk = risk_words(group.risk)
    if risk:
        yield f"  {risk}"
    for number, member in enumerate(group.members):
        yield f"  {number}  {member.venue} {member.market}"
    if baskets:
        yield from (f"  {line}" for line in _listed(compiled))


def _size(compiled: Compiled) -> int:
    """How many baskets there are: exactly, where they are few enough to be counted one by one."""
    try:
        return len(compiled.baskets())
    except GroupError:
        return compiled.size


def _listed(compiled: Compiled) -> Iterator[str]:
    """The baskets in order of their ids where that is possible, else the first ones, family by family."""
    try:
        found = compiled.baskets(SHOWN)
    except GroupError:
        yield f"the first {SHOWN} baskets, family by family:"
        found = _first(compiled)
    yield from (_basket_line(basket) for basket in found)


def _first(compiled: Compiled) -> list[Basket]:
    found: dict[str, Basket] = {}
    for family in compiled.families:
        for basket in compiled.members(family):
            found.setdefault(basket.basket_id, basket)
            if len(found) == SHOWN:
                return list(found.values())
    return list(found.values())


def _basket_line(basket: Basket) -> str:
    claims = " + ".join(f"{claim.outcome.upper()} {claim.venue} {claim.market}" for claim in basket.claims)
    return f"pays {format_price(basket.payout)}  {claims}"


def relation_words(group: Group) -> str:
    """Its relations: the word alone where it is over all markets, else with the positions of those it is over."""
    everyone = tuple(range(len(group.members)))
    words = [
        relation.kind if relation.members == everyone else f"{relation.kind}({', '.join(map(str, relation.members))})"
        for relation in group.relations
    ]
    return " ".join(words)


def risk_words(risk: SettlementRisk) -> str:
    """What the evidence says of settlement; empty where it says nothing."""
    said = [
        f"{what} {ppm / RATE_SCALE:.6f}".rstrip("0").rstrip(".")
        for what, ppm in (("void probability", risk.void_ppm), ("mismatch probability", risk.mismatch_ppm))
        if ppm >= 0
    ]
    said += [f"void on {venue}: {rule.replace('_', ' ')}" for venue, rule in sorted(risk.void_rules.items())]
    return ", ".join(said)


def _publish(options: argparse.Namespace, bootstrap: Bootstrap) -> int:
    count = publish_groups(bootstrap("us", options.data_dir), read_groups(options.file))
    print(f"{count} groups published as proposed: watched, not traded, until `dutchbook groups approve`")
    return 0


def _list(options: argparse.Namespace, bootstrap: Bootstrap) -> int:
    for name, group in sorted(published_groups(bootstrap("us", options.data_dir)).items()):
        members = ", ".join(f"{member.venue} {member.market}" for member in group.members)
        risk = risk_words(group.risk)
        print(f"{group.status:9} {name}  {relation_words(group)}: {members}{f'  [{risk}]' if risk else ''}")
    return 0


def _decide(options: argparse.Namespace, bootstrap: Bootstrap) -> int:
    if bool(options.group) == options.all:
        raise GroupsUsage("name the groups, or say --all")
    changed = set_status(bootstrap("us", options.data_dir), options.group, options.status)
    print(f"{len(changed)} groups are now {options.status}")
    return 0
