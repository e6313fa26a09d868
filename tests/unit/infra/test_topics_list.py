"""What Terraform reads of the topics is current, and each cluster's topics can be created alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra import cli
from schemas.records import Region
from schemas.topics import REGIONS, Creation, creations, mirrored_from, other

FILE = Path(__file__).resolve().parents[3] / "infra" / "terraform" / "topics.json"


def test_terraforms_list_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["topics", "list", "--json"]) == 0
    assert capsys.readouterr().out == FILE.read_text(), (
        "run: dutchbook topics list --json > infra/terraform/topics.json"
    )


def test_terraforms_list_says_what_is_created() -> None:
    whole = json.loads(FILE.read_text())
    assert (whole["partitions"], whole["replication_factor"], whole["minimum_in_sync_replicas"]) == (8, 3, 2)
    for region in REGIONS:
        listed = {entry["name"]: entry for entry in whole["regions"][region]}
        assert set(listed) == {creation.name for creation in creations(region)}
        for creation in creations(region, 3):
            assert listed[creation.name]["partitions"] == creation.partitions
            assert listed[creation.name]["configuration"] == creation.configuration
            assert creation.configuration["min.insync.replicas"] == "2"
            assert creation.configuration["max.message.bytes"] == str(8 * 1024 * 1024)
        assert whole["mirrored"][region] == sorted(topic.name for topic in mirrored_from(other(region)))


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, None), (2, "1"), (3, "2"), (5, "4")])
def test_one_replica_may_be_away(replicas: int, in_sync: str | None) -> None:
    assert {creation.configuration.get("min.insync.replicas") for creation in creations("us", replicas)} == {in_sync}


@pytest.mark.parametrize(
    ("arguments", "regions"), [([], ["us", "eu"]), (["--region", "us"], ["us"]), (["--region", "eu"], ["eu"])]
)
def test_topics_are_created_in_the_clusters_asked_for(
    arguments: list[str], regions: list[Region], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, Sequence[Creation], int]] = []

    def create(bootstrap: str, plan: Sequence[Creation], *, replication_factor: int) -> list[str]:
        asked.append((bootstrap, plan, replication_factor))
        return ["made"]

    monkeypatch.setattr(cli, "create_topics", create)
    monkeypatch.setenv("DUTCHBOOK_KAFKA_US", "us:1")
    monkeypatch.setenv("DUTCHBOOK_KAFKA_EU", "eu:1")
    assert cli.main(["topics", "create", *arguments, "--replication-factor", "3"]) == 0
    assert asked == [(f"{region}:1", creations(region, 3), 3) for region in regions]
    assert capsys.readouterr().out == "".join(f"{region}: 1 topics created\n" for region in regions)
