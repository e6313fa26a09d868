"""Groups written to a file are the same groups when the file is read."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.group_file import read_groups
from infra.group_yaml import write_groups
from schemas.records import Group, Member, Relation, SettlementRisk

K0, K1 = Member(venue="kalshi", market="A-1"), Member(venue="kalshi", market="A-2")
P0, P1 = Member(venue="polymarket", market="0x1"), Member(venue="polymarket", market="A-1")


def make(**more: Any) -> Group:
    fields: dict[str, Any] = {
        "group": "g",
        "members": (K0, P0),
        "relations": (Relation(kind="same", members=(0, 1)),),
        "status": "approved",
        "evidence": "",
        "rules_fingerprint": "",
        "updated_by": "file",
        "updated_ns": 0,
    }
    return Group(**fields | more)


def again(folder: Path, *groups: Group) -> list[Group]:
    """The groups that the file of these says."""
    file = folder / "groups.yaml"
    file.write_text(write_groups(groups), "utf-8")
    return [replace(group, updated_ns=0) for group in read_groups(file, status="approved")]


RISK = '{"rules":"Compared.","void_probability":0.002,"mismatch_probability":0.0005,"void":{"kalshi":"last_price"}}'
GROUPS = [
    make(),
    make(group="2028: yes", rules_fingerprint="0917", evidence="Both resolve: # the same - 'on' 10 December.\nTwice."),
    make(evidence='{"by":"a person","sources":["a",2,null,{"b":1.5}]}'),
    make(evidence='{"not JSON'),
    make(evidence='{ "spaced": 1 }'),
    make(evidence='{"void_probability":0.5}'),
    make(evidence='"text"'),
    make(evidence=RISK, risk=SettlementRisk(void_ppm=2_000, mismatch_ppm=500, void_rules={"kalshi": "last_price"})),
    make(evidence='{"void_probability":1}', risk=SettlementRisk(void_ppm=1_000_000)),
    make(evidence='{"mismatch_probability":1e-6}', risk=SettlementRisk(mismatch_ppm=1)),
    make(members=(K0, P1), relations=(Relation(kind="complement", members=(1, 0)),)),
    make(
        members=(K0, K1, P0, P1),
        relations=(
            Relation(kind="same", members=(0, 2)),
            Relation(kind="implies", members=(1, 0)),
            Relation(kind="exclusive", members=(1, 3)),
        ),
    ),
    make(
        members=(K0, K1, P0),
        relations=(Relation(kind="exclusive", members=(0, 1, 2)), Relation(kind="exhaustive", members=(0, 1, 2))),
    ),
]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_reads_back(group: Group, tmp_path: Path) -> None:
    assert again(tmp_path, group) == [group]


@given(st.text())
def test_any_text_reads_back_as_evidence(tmp_path_factory: pytest.TempPathFactory, evidence: str) -> None:
    group = make(evidence=evidence)
    assert again(tmp_path_factory.mktemp("groups"), group) == [group]


def test_what_is_said_of_settlement_survives_where_the_evidence_does_not_say_it(tmp_path: Path) -> None:
    risk = SettlementRisk(void_ppm=7, void_rules={"polymarket": "half"})
    (text,) = again(tmp_path, make(evidence="Judged.", risk=risk))
    (none,) = again(tmp_path, make(risk=risk))
    (other,) = again(tmp_path, make(evidence='{"by":"me","void_probability":0.5}', risk=risk))
    assert text.risk == none.risk == other.risk == risk
    assert "Judged." in text.evidence
    assert '"by":"me"' in other.evidence


def test_many_groups_in_their_order(tmp_path: Path) -> None:
    groups = [
        make(group="b"),
        make(group="a", members=(K1, P1)),
    ]
    assert again(tmp_path, *groups) == groups


def test_short_words_where_a_relation_is_over_all_members() -> None:
    text = write_groups([make(), make(members=(K0, K1, P0), relations=(Relation(kind="same", members=(0, 2)),))])
    assert "relation: same\n" in text
    assert "- relation: same\n    members:\n    - 0\n    - 2\n" in text
