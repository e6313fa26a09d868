"""Group records back to a group file: `infra.group_file` reads the same groups from it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import yaml

from schemas.records import Group, SettlementRisk
from schemas.units import RATE_SCALE, UnitError, parse_rate

WIDTH: Final = 120
PROBABILITIES: Final = ("void_probability", "mismatch_probability")


def write_groups(groups: Iterable[Group]) -> str:
    """The text of a group file. Status, author and time are not the file's: whoever reads it says them."""
    listed = [_group(group) for group in groups]
    return yaml.safe_dump(listed, sort_keys=False, width=WIDTH, allow_unicode=True)


def _group(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {
        "group": group.group,
        "members": [{"venue": member.venue, "market": member.market} for member in group.members],
    }
    everyone = tuple(range(len(group.members)))
    if all(relation.members == everyone for relation in group.relations):
        kinds = [relation.kind for relation in group.relations]
        found["relation"] = kinds[0] if len(kinds) == 1 else kinds
    else:  # by position: a market's name may stand for two members
        found["relations"] = [{"relation": one.kind, "members": list(one.members)} for one in group.relations]
    if evidence := _evidence(group):
        found["evidence"] = evidence
    if group.rules_fingerprint:
        found["rules_fingerprint"] = group.rules_fingerprint
    return found


def _evidence(group: Group) -> Any:
    """Evidence as it was written: a record keeps a mapping as JSON, and what it says of settlement beside it."""
    written, risk = _mapping(group.evidence), _said(group.risk)
    if written is not None and _said(_risk_of(written)) == risk:
        return written
    if not risk:
        return group.evidence
    return (written if written is not None else {"text": group.evidence} if group.evidence else {}) | risk


def _mapping(evidence: str) -> dict[str, Any] | None:
    """The mapping whose JSON a record's evidence is; None when it was written as text."""
    try:
        found = msgspec.json.decode(evidence)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) and msgspec.json.encode(found).decode() == evidence else None


def _said(risk: SettlementRisk) -> dict[str, Any]:
    """What is said of settlement, under the keys of a group file."""
    told = zip(PROBABILITIES, (risk.void_ppm, risk.mismatch_ppm), strict=True)
    found: dict[str, Any] = {name: ppm / RATE_SCALE for name, ppm in told if ppm >= 0}
    if risk.void_rules:
        found["void"] = dict(risk.void_rules)
    return found


def _risk_of(evidence: Mapping[str, Any]) -> SettlementRisk:
    """What a group file with this evidence would say of settlement; something else where it would be refused."""
    try:
        void, mismatch = (parse_rate(evidence[name]) if name in evidence else -1 for name in PROBABILITIES)
    except UnitError:
        return SettlementRisk(void_ppm=RATE_SCALE + 1)
    rules = evidence.get("void", {})
    return SettlementRisk(void_ppm=void, mismatch_ppm=mismatch, void_rules=rules if isinstance(rules, dict) else {})
