"""Terraform's tables say what the code does: processes, commands, settings, topics, groups; the environments agree."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.drain import GROUPS
from infra.local.pipeline import pipeline
from runtime.settings import KalshiSettings
from schemas.records import Region
from schemas.topics import (
    HOME,
    MAXIMUM_RECORD_BYTES,
    REGIONS,
    TOPICS,
    creations,
    dead_letter_name,
    local_name,
    venue_topic,
)
from sinks.influx import InfluxTask
from sinks.postgres import PostgresTask
from streams.detector_edge import ANALYSIS_TOPIC, BOOK_TOPICS, JOURNAL_TOPIC, MARKET_TOPICS, OPPORTUNITY_TOPIC
from streams.executor_edge import CONTROL_TOPICS, EVENT_TOPICS, GROUP_TOPIC, TICKET_TOPIC

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / "infra" / "terraform"
TABLE: dict[str, Any] = json.loads((HERE / "processes.json").read_text())
SIGNS = ("heartbeat", "metric")
"""What every process writes."""


def dead(*origins: str) -> set[str]:
    return {dead_letter_name(origin) for origin in origins}


def expected() -> dict[str, tuple[set[str], set[str]]]:
    """What each process reads and writes, by the constants of its own code."""
    both: dict[str, tuple[set[str], set[str]]] = {
        "detector": (
            {*BOOK_TOPICS, GROUP_TOPIC, *MARKET_TOPICS, OPPORTUNITY_TOPIC},
            {
                OPPORTUNITY_TOPIC,
                ANALYSIS_TOPIC,
                JOURNAL_TOPIC,
                *SIGNS,
                *dead(*BOOK_TOPICS, GROUP_TOPIC, *MARKET_TOPICS),
            },
        ),
        "executor": (
            {*EVENT_TOPICS, GROUP_TOPIC, *CONTROL_TOPICS, TICKET_TOPIC},
            {TICKET_TOPIC, "alert", *SIGNS, *(f"order.{venue}" for venue in HOME)}
            | dead(*EVENT_TOPICS, GROUP_TOPIC, *CONTROL_TOPICS),
        ),
        "sink-influx": (set(InfluxTask.topics), {*SIGNS, *dead(*InfluxTask.topics)}),
        "sink-postgres": (set(PostgresTask.topics), {*SIGNS, *dead(*PostgresTask.topics)}),
    }
    for venue, here in HOME.items():
        book, market, execution = (venue_topic(kind, venue, here) for kind in ("book", "market", "execution"))
        order = local_name(f"order.{venue}", "us", here)
        both[f"producer-{venue}"] = (
            {local_name("group", "us", here), book},
            {f"raw.{venue}", f"trade.{venue}", book, market, *SIGNS, *dead(book)},
        )
        both[f"gateway-{venue}"] = ({order, execution, book, market}, {execution, *SIGNS, *dead(order, book, market)})
    return both


def test_every_process_that_runs_on_one_machine_is_deployed_and_no_other() -> None:
    local = {spec.name: spec for spec in pipeline({})}
    assert set(TABLE) == set(local)
    for name, process in TABLE.items():
        _python, _m, *words = local[name].argv
        words = words if words[0] == "faust" else ["python", "-m", *words]
        assert [word.replace("warn", "info") for word in words] == process["command"], name
        assert local[name].env["DUTCHBOOK_REGION"] == process["region"], name
        assert local[name].argv[0] == sys.executable


@pytest.mark.parametrize("name", TABLE)
def test_a_process_may_read_and_write_what_its_code_does(name: str) -> None:
    read, written = expected()[name]
    assert set(TABLE[name]["kafka"]["read"]) == read
    assert set(TABLE[name]["kafka"]["write"]) == written


@pytest.mark.parametrize("name", TABLE)
def test_the_topics_of_a_process_are_made_in_its_region(name: str) -> None:
    process = TABLE[name]
    made = {creation.name for creation in creations(process["region"])}
    named = process["kafka"]["read"] + process["kafka"]["write"]
    assert set(named) <= made
    for rights in process["kafka"].values():
        assert len(rights) == len(set(rights)), "named twice"
    assert not [topic for topic in process["kafka"]["write"] if topic.startswith(("us.", "eu."))], (
        "only mirrors write these"
    )


def test_every_topic_is_written_by_somebody() -> None:
    written = {(process["region"], topic) for process in TABLE.values() for topic in process["kafka"]["write"]}
    by_hand = {("us", "group"), ("us", "control"), ("eu", "control"), ("eu", "alert")}
    homes = {(home, topic.name) for topic in TOPICS.values() for home in topic.homes}
    assert homes - written == by_hand


def test_consumer_groups_that_commit_are_the_pipelines() -> None:
    for region in REGIONS:
        allowed = {
            group: name
            for name, process in TABLE.items()
            for group in process["kafka"]["groups"]
            if region == process["region"]
        }
        for group, topics in GROUPS[region].items():
            assert set(topics) <= set(TABLE[allowed[group]]["kafka"]["read"])


def consumers_in(*places: str) -> Iterator[str]:
    """The group of every call `consumer(bootstrap, group)` in these places, as a pattern, where it is spelt out."""
    for place in places:
        for file in [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("consumer") and len(call.args) > 1:
                    yield from pattern_of(call.args[1])


def pattern_of(group: ast.expr) -> Iterator[str]:
    if isinstance(group, ast.Constant) and isinstance(group.value, str):
        yield re.escape(group.value)
    elif isinstance(group, ast.JoinedStr):
        parts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+" for p in group.values)
        yield "".join(parts)


def test_every_consumer_group_of_the_code_is_allowed_to_somebody() -> None:
    allowed = [group for process in TABLE.values() for group in process["kafka"]["groups"]]
    found = set(consumers_in("runtime", "producers", "streams/app.py", "streams/reference.py", "sinks"))
    found -= {r"dutchbook\-range\-.+"}  # only the command line reads ranges
    assert len(found) >= 6
    for pattern in found:
        assert any(re.fullmatch(pattern, group) for group in allowed), pattern


def test_only_kalshis_producer_is_given_a_key_and_by_settings_that_exist() -> None:
    keys = {name: process["key"] for name, process in TABLE.items() if process["key"]}
    assert list(keys) == ["producer-kalshi"]
    for setting in keys["producer-kalshi"]:
        assert setting.removeprefix("DUTCHBOOK_").lower() in KalshiSettings.model_fields


def test_jurisdictions_of_the_table() -> None:
    for name, process in TABLE.items():
        venue = process["venue"]
        assert (venue is not None) == name.startswith(("producer-", "gateway-"))
        if venue is not None:
            assert name.endswith(venue)
            region: Region = HOME[venue]
            assert process["region"] == region
        assert process["internet"] == name.startswith("producer-")
        assert process["one_of_a_kind"] == name.startswith("producer-")


def test_brokers_take_records_as_large_as_the_programs_send() -> None:
    for environment in ("staging", "production"):
        said = re.search(
            r"maximum_record_bytes = (\d+)$", (HERE / "envs" / environment / "main.tf").read_text(), re.MULTILINE
        )
        assert said is not None
        assert int(said[1]) == MAXIMUM_RECORD_BYTES


@pytest.mark.parametrize(
    "name", ["main.tf", "outputs.tf", "providers.tf", "variables.tf", "versions.tf", "terraform.tfvars.example"]
)
def test_environments_are_wired_alike(name: str) -> None:
    one, other = ((HERE / "envs" / environment / name).read_text() for environment in ("staging", "production"))
    assert one == other


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_every_process_has_a_size(environment: str) -> None:
    settings = (HERE / "envs" / environment / "settings.tf").read_text()
    sizes = settings[settings.index("sizes = {") :]
    assert set(re.findall(r"^    ([a-z-]+) += \{ cpu", sizes, re.MULTILINE)) == set(TABLE)


MODULES = sorted(file.parent for file in (HERE / "modules").rglob("versions.tf"))


def test_all_modules_are_there() -> None:
    names = {module.relative_to(HERE / "modules").as_posix() for module in MODULES}
    assert names == {
        "mirroring", "msk", "network", "observability", "secrets", "services", "services/process", "stores",
    }  # fmt: skip
    for module in MODULES:
        assert {file.name for file in module.glob("*.tf")} == {"main.tf", "outputs.tf", "variables.tf", "versions.tf"}


@pytest.mark.parametrize("folder", [*MODULES, *sorted((HERE / "envs").iterdir())], ids=lambda folder: folder.name)
def test_every_variable_and_output_says_what_it_is(folder: Path) -> None:
    for name in ("variables.tf", "outputs.tf"):
        blocks = re.split(r"^(?=(?:variable|output) \")", (folder / name).read_text(), flags=re.MULTILINE)[1:]
        assert blocks
        for block in blocks:
            assert re.search(r"^  description += (\"[A-Z].{5,}\"|<<-E)$", block, re.MULTILINE), block.splitlines()[0]
            assert name == "outputs.tf" or re.search(r"^  type +=", block, re.MULTILINE), block.splitlines()[0]
        assert "type = any" not in (folder / name).read_text()


@pytest.mark.parametrize("folder", [*MODULES, *sorted((HERE / "envs").iterdir())], ids=lambda folder: folder.name)
def test_the_provider_is_pinned(folder: Path) -> None:
    assert '"~> 5.100.0"' in (folder / "versions.tf").read_text()
