"""A group file's mistakes are named with their line."""

from pathlib import Path

import msgspec
import pytest

from infra.groups import GroupFileError, read_groups, refuse_taken_markets
from schemas.records import Member, Relation, SettlementRisk

GOOD = """\
- group: fed-december
  relation: same
  members:
    - {venue: kalshi, market: KXFEDDECISION-25DEC-H0}
    - {venue: polymarket, market: "0xabc"}
  evidence: {rules: read, by: someone, sources: [one, two]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "groups.yaml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    (group,) = read_groups(write(tmp_path, GOOD))
    assert group.group == "fed-december"
    assert group.members == (
        Member(venue="kalshi", market="KXFEDDECISION-25DEC-H0"),
        Member(venue="polymarket", market="0xabc"),
    )
    assert group.relations == (Relation(kind="same", members=(0, 1)),)
    assert group.status == "proposed"
    assert group.evidence == '{"rules":"read","by":"someone","sources":["one","two"]}'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("relation: same", "relation: sane", r"groups.yaml:2 \(group fed-december\): relation was 'sane'"),
        ("relation: same", "relatoin: same", r"groups.yaml:2: unknown key 'relatoin'"),
        ("venue: kalshi", "venue: kalshy", r"groups.yaml:4: venue was 'kalshy'"),
        ("venue: kalshi", "venu: kalshi", r"groups.yaml:4: unknown key 'venu'"),
        ('market: "0xabc"', "market: 12", r"groups.yaml:5: market was 12: expected text"),
        ("- group: fed-december", "- group: ''", r"groups.yaml:1: group was ''"),
        (
            '{venue: polymarket, market: "0xabc"}',
            "{venue: kalshi, market: KXFEDDECISION-25DEC-H0}",
            r"groups.yaml:5 .*kalshi KXFEDDECISION-25DEC-H0 stands in it twice",
        ),
        (GOOD, "group: x", r"expected a list of groups"),
        (GOOD, "- [unclosed", r"not YAML"),
        (GOOD, GOOD + GOOD, r"groups.yaml:7: group fed-december stands already on line 1"),
        (GOOD, GOOD + GOOD.replace("fed-december", "other"), r"groups.yaml:7: .* already in group fed-december"),
        (GOOD, "- just text", r"groups.yaml:1: a group must be a mapping"),
        (GOOD, "", r"expected a list of groups, found nothing"),
        (GOOD, GOOD + "  group: again\n", r"groups.yaml:7: not YAML: key 'group' stands already on line 1"),
        (GOOD, "[" * 2000, r"groups.yaml: nested too deeply"),
        ("relation: same", "relation: []", r"groups.yaml:2 .*relation is an empty list"),
        ("relation: same", "relation: [same, sane]", r"groups.yaml:2 .*relation was 'sane'"),
        ("  relation: same\n", "", r"groups.yaml:1 .*relation is missing: one word over all members, or a list"),
        ("relation: same", "relations: same", r"groups.yaml:2 .*relations must be a list of \{relation, members\}"),
        ("relation: same", "relations: [same]", r"groups.yaml:2 .*a relation must be a mapping, found 'same'"),
        (
            "relation: same",
            "relations: [{relation: same}]",
            r"groups.yaml:2 .*members must be a list of markets of the",
        ),
        ("relation: same", "relations: [{members: [0, 1]}]", r"groups.yaml:2 .*relation is missing"),
        ("  relation: same", "  rules_fingerprint: 7\n  relation: same", r"groups.yaml:2 .*rules_fingerprint was 7"),
        (
            "{rules: read, by: someone, sources: [one, two]}",
            "[one, two]",
            r"groups.yaml:6 .*expected text or a mapping",
        ),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GroupFileError, match=message):
        read_groups(write(tmp_path, GOOD.replace(old, new, 1) if old != GOOD else new))


LADDER = """\
- group: ladder
  members:
    - {venue: kalshi, market: A}
    - {venue: polymarket, market: "0xa"}
    - {venue: kalshi, market: B}
    - {venue: polymarket, market: B}
"""


def test_several_relations_over_all_and_over_some(tmp_path: Path) -> None:
    (group,) = read_groups(write(tmp_path, LADDER + "  relation: [exclusive, exhaustive]\n"))
    everyone = (0, 1, 2, 3)
    assert group.relations == (
        Relation(kind="exclusive", members=everyone),
        Relation(kind="exhaustive", members=everyone),
    )
    some = """\
  relations:
    - {relation: same, members: [A, "0xa"]}
    - relation: implies
      members:
        - A
        - kalshi/B
        - 3
  rules_fingerprint: sha-1
"""
    (group,) = read_groups(write(tmp_path, LADDER + some))
    assert group.relations == (Relation(kind="same", members=(0, 1)), Relation(kind="implies", members=(0, 2, 3)))
    assert group.rules_fingerprint == "sha-1"
    both = "  relations:\n    - {relation: complement, members: [A, kalshi/B]}\n  relation: exhaustive\n"
    (group,) = read_groups(write(tmp_path, LADDER + both))
    assert [relation.kind for relation in group.relations] == ["exhaustive", "complement"], "the one over all is first"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("[A, C]", r"groups.yaml:9 \(group ladder\): 'C' is no member of the group"),
        ("[A, B]", r"groups.yaml:9 .*more than one member is called 'B': write kalshi/B or polymarket/B"),
        ("[A, kalshi/0xa]", r"groups.yaml:9 .*'kalshi/0xa' is no member of the group"),
        ("[A, 4]", r"groups.yaml:9 .*there is no member 4: the group has 4, counted from 0"),
        ("[A, -1]", r"groups.yaml:9 .*there is no member -1"),
        ("[A, true]", r"groups.yaml:9 .*member was True: expected a market, venue/market, or a position from 0"),
        ("[A, 1.0]", r"groups.yaml:9 .*member was 1.0"),
        ("[A, 0]", r"groups.yaml:8 .*names a member twice"),
        ("[A]", r"groups.yaml:8 .*needs at least 2 members, not 1"),
        ("A", r"groups.yaml:8 .*members must be a list of markets of the group"),
    ],
)
def test_members_of_a_relation_that_are_none(tmp_path: Path, named: str, message: str) -> None:
    with pytest.raises(GroupFileError, match=message):
        read_groups(write(tmp_path, f"{LADDER}  relations:\n    - relation: same\n      members: {named}\n"))


def test_relations_that_clash_are_named_with_both_lines(tmp_path: Path) -> None:
    circle = (
        "  relations:\n    - {relation: implies, members: [A, '0xa']}\n    - {relation: implies, members: ['0xa', A]}\n"
    )
    with pytest.raises(GroupFileError, match=r"groups.yaml: lines 8 and 9: group 'ladder': .*back to where they began"):
        read_groups(write(tmp_path, LADDER + circle))
    contrary = "  relation: same\n  relations:\n    - relation: complement\n      members: [0, 2]\n"
    with pytest.raises(GroupFileError, match=r"groups.yaml: lines 7 and 9: "):
        read_groups(write(tmp_path, LADDER + contrary))
    listed = "  relation:\n    - same\n    - exhaustive\n    - exclusive\n"
    with pytest.raises(GroupFileError, match=r"groups.yaml: lines 8 and (9|10): "):
        read_groups(write(tmp_path, LADDER + listed))
    with pytest.raises(GroupFileError, match=r"groups.yaml:7 \(group ladder\): "):
        read_groups(write(tmp_path, LADDER + "  relation: [same, exclusive]\n"))


RISK = """\
  relation: same
  evidence:
    rules: read by two
    void_probability: 0.000125
    mismatch_probability: 1
    void: {kalshi: half, polymarket: refund}
    judged: 2026-11-01
"""


def test_what_the_evidence_says_of_settlement(tmp_path: Path) -> None:
    (group,) = read_groups(write(tmp_path, LADDER + RISK))
    assert group.risk == SettlementRisk(
        void_ppm=125, mismatch_ppm=1_000_000, void_rules={"kalshi": "half", "polymarket": "refund"}
    )
    assert msgspec.json.decode(group.evidence) == {
        "rules": "read by two",
        "void_probability": 0.000125,
        "mismatch_probability": 1,
        "void": {"kalshi": "half", "polymarket": "refund"},
        "judged": "2026-11-01",
    }
    (group,) = read_groups(write(tmp_path, LADDER + "  relation: same\n  evidence: read\n"))
    assert (group.evidence, group.risk) == ("read", SettlementRisk())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "0.000125",
            "0.0000125",
            r"groups.yaml:10 .*void_probability was 1.25e-05: expected a number from 0 to 1 with",
        ),
        ("0.000125", "-0.1", r"groups.yaml:10 .*void_probability was -0.1"),
        ("0.000125", "1.000001", r"groups.yaml:10 .*void_probability was 1.000001"),
        ("0.000125", "'0.5'", r"groups.yaml:10 .*void_probability was '0.5'"),
        ("0.000125", "yes", r"groups.yaml:10 .*void_probability was True"),
        ("0.000125", ".nan", r"groups.yaml:10 .*void_probability was nan"),
        ("0.000125", "", r"groups.yaml:10 .*void_probability was None"),
        (
            "void_probability",
            "void_probabilty",
            r"groups.yaml:10 .*unknown key 'void_probabilty': of settlement, evidence",
        ),
        ("kalshi: half", "kalshy: half", r"groups.yaml:12 .*venue was 'kalshy'"),
        (
            "kalshi: half",
            "kalshi: whole",
            r"groups.yaml:12 .*void of kalshi was 'whole': expected one of half, last_price",
        ),
        (
            "{kalshi: half, polymarket: refund}",
            "half",
            r"groups.yaml:12 .*void was 'half': expected what each venue pays",
        ),
        ("rules: read by two", "rules: *nobody", r"groups.yaml:9: not YAML: found undefined alias"),
    ],
)
def test_evidence_that_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RISK
    with pytest.raises(GroupFileError, match=message):
        read_groups(write(tmp_path, LADDER + RISK.replace(old, new)))


def test_evidence_that_holds_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GroupFileError, match=r"groups.yaml:8: not YAML: "):
        read_groups(write(tmp_path, LADDER + "  relation: same\n  evidence: &self {rules: *self}\n"))


def test_the_example_of_the_reference_is_a_group_file(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "groups.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    fed, president = read_groups(write(tmp_path, example))
    assert [relation.kind for relation in president.relations] == [
        "same",
        "exclusive",
        "exhaustive",
        "implies",
        "implies",
    ]
    assert (fed.risk.void_ppm, president.risk.void_ppm, president.rules_fingerprint) == (-1, 2000, "9f1c07")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GroupFileError, match="nowhere.yaml: No such file"):
        read_groups(tmp_path / "nowhere.yaml")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    members = "".join(f"    - {{venue: kalshi, market: M{number}}}\n" for number in range(65))
    with pytest.raises(GroupFileError, match="65 members, the limit is 64"):
        read_groups(write(tmp_path, f"- group: g\n  relation: same\n  members:\n{members}"))


def test_what_the_detector_would_refuse_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(GroupFileError, match=r"groups.yaml:1 .*holds '/'"):
        read_groups(write(tmp_path, GOOD.replace("KXFEDDECISION-25DEC-H0", "A/B")))
    third = "    - {venue: kalshi, market: X}\n  evidence"
    with pytest.raises(GroupFileError, match="is between 2 members, not 3"):
        read_groups(write(tmp_path, GOOD.replace("same", "complement").replace("  evidence", third)))


def test_a_market_of_another_published_group_is_refused(tmp_path: Path) -> None:
    (mine,) = read_groups(write(tmp_path, GOOD))
    other = msgspec.structs.replace(mine, group="other", status="approved")
    refuse_taken_markets([mine], {"fed-december": mine})
    refuse_taken_markets([mine], {"other": msgspec.structs.replace(other, status="blocked")})
    with pytest.raises(GroupFileError, match="is already in the published group other; block that one first"):
        refuse_taken_markets([mine], {"other": other})
