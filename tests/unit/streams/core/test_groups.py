import msgspec
import pytest

from schemas.records import Group, SettlementRisk
from streams.core.groups import MAXIMUM_MARKETS, GroupError, check_group
from tests.unit.streams.core.build import group

A = ("kalshi", "A")
B = ("polymarket", "B")
C = ("kalshi", "C")
MANY = [("kalshi", f"M{number}") for number in range(MAXIMUM_MARKETS + 1)]


def judged(**risk: object) -> Group:
    return msgspec.structs.replace(group("g", A, B), risk=SettlementRisk(**risk))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (group("", A, B), "^a group has no name$"),  # type: ignore[arg-type]
        (group("g", relations=()), "group 'g': 0 markets, allowed are 1 to 64"),
        (group("g", *MANY, relations=()), "group 'g': 65 markets"),  # type: ignore[arg-type]
        (group("g", A, A), "group 'g': kalshi A is a member twice"),  # type: ignore[arg-type]
        (group("g", ("kalshi", "a/b")), "market name 'a/b'"),
        (group("g", ("kalshi", "a|b")), r"market name 'a\|b'"),
        (group("g", ("kalshi", "")), "market name ''"),
        (group("g", A, B, relations=(("same", (0, 2)),)), "relation 0 .same.: names member 2, the group has 2"),  # type: ignore[arg-type]
        (group("g", A, B, relations=(("same", (0, -1)),)), "names member -1"),  # type: ignore[arg-type]
        (group("g", A, B, relations=(("same", (0, 0)),)), ": names a member twice$"),  # type: ignore[arg-type]
        (group("g", A, B, relations=(("same", (0,)),)), "needs at least 2 members, not 1"),  # type: ignore[arg-type]
        (group("g", A, relations=(("implies", (0,)),)), "relation 0 .implies.: needs at least 2 members, not 1"),  # type: ignore[arg-type]
        (group("g", A, relations=(("exhaustive", ()),)), "needs at least 2 members, not 0"),  # type: ignore[arg-type]
        (group("g", A, B, C, relations=(("complement", (0, 1, 2)),)), "is between 2 members, not 3"),  # type: ignore[arg-type]
        (group("g", A, relations=(("complement", (0,)),)), "is between 2 members, not 1"),  # type: ignore[arg-type]
        (judged(void_ppm=1_000_001), "^group 'g': void_ppm 1000001 is no probability"),
        (judged(mismatch_ppm=-2), "mismatch_ppm -2 is no probability"),
        (judged(void_rules={"kalshi": "all"}), "void rule 'all' of kalshi is unknown"),
        (group("g", A, B, relations=(("equal", (0, 1)),)), ": this kind is unknown$"),  # type: ignore[arg-type]
        (group("g", A, B, status="maybe"), "status 'maybe' is unknown"),  # type: ignore[arg-type]
    ],
)
def test_refused_with_the_reason(bad: Group, complaint: str) -> None:
    with pytest.raises(GroupError, match=complaint):
        check_group(bad)


def test_the_second_relation_is_named() -> None:
    bad = group("g", A, B, relations=(("same", (0, 1)), ("exclusive", (0,))))  # type: ignore[arg-type]
    with pytest.raises(GroupError, match=r"relation 1 \(exclusive\)") as caught:
        check_group(bad)
    assert caught.value.relations == (1,)


def test_good_groups_pass_unchanged() -> None:
    kinds = ("same", "complement", "implies", "exclusive", "exhaustive")
    good = group("g", A, B, relations=tuple((kind, (0, 1)) for kind in kinds))  # type: ignore[arg-type,misc]
    assert check_group(good) is good
    full = group("g", *MANY[:MAXIMUM_MARKETS])  # type: ignore[arg-type]
    assert check_group(full) is full
    assert check_group(msgspec.structs.replace(good, status="blocked")).status == "blocked"
    for ppm in (-1, 0, 1_000_000):
        assert check_group(judged(void_ppm=ppm, mismatch_ppm=ppm)).risk.void_ppm == ppm
    for rule in ("half", "last_price", "refund", "nothing"):
        assert check_group(judged(void_rules={"kalshi": rule})).risk.void_rules == {"kalshi": rule}
