"""A group file's mistakes are named with their line."""

from pathlib import Path

import msgspec
import pytest

from infra.groups import GroupFileError, read_groups, refuse_taken_markets
from schemas.records import Member, Relation

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
        ("relation: same", "relation: sane", r"groups.yaml:1 \(group fed-december\): relation was 'sane'"),
        ("relation: same", "relatoin: same", r"groups.yaml:1: unknown key 'relatoin'"),
        ("venue: kalshi", "venue: kalshy", r"groups.yaml:4: venue was 'kalshy'"),
        ("venue: kalshi", "venu: kalshi", r"groups.yaml:4: unknown key 'venu'"),
        ('market: "0xabc"', "market: 12", r"groups.yaml:5: market was 12: expected text"),
        ("- group: fed-december", "- group: ''", r"groups.yaml:1: group was ''"),
        (
            '{venue: polymarket, market: "0xabc"}',
            "{venue: kalshi, market: KXFEDDECISION-25DEC-H0}",
            r"kalshi KXFEDDECISION-25DEC-H0 stands in it twice",
        ),
        (GOOD, "group: x", r"expected a list of groups"),
        (GOOD, "- [unclosed", r"not YAML"),
        (GOOD, GOOD + GOOD, r"groups.yaml:7: group fed-december stands already on line 1"),
        (GOOD, GOOD + GOOD.replace("fed-december", "other"), r"groups.yaml:7: .* already in group fed-december"),
        (GOOD, "- just text", r"a group must be a mapping"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GroupFileError, match=message):
        read_groups(write(tmp_path, GOOD.replace(old, new, 1) if old != GOOD else new))


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
