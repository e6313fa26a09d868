"""The set-up's parts: locks, checks, cache, errors. Downloads are replaced; nothing here touches the network."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import bootstrap, install, obtain_influxd
from infra.local.obtain import LOCKS, PartFailed, exclusive, prepare_cache
from infra.local.obtain_kafka import ATTEMPTS, Jar, obtain_kafka, obtain_msk, read_lock
from infra.local.parts import PartMissing, Parts, cache_folder, find_parts, write_parts

CONTENTS = {"a-1.jar": b"first", "b-2.jar": b"second", "c-3.jar": b"third"}


def quiet(line: str) -> None:
    """Nobody listens."""


def lock_of(folder: Path, contents: dict[str, bytes]) -> Path:
    lines = ["# a comment\n"]
    for name, content in contents.items():
        artifact, _, version = name.removesuffix(".jar").partition("-")
        lines.append(f"org.example:{artifact}:{version} {hashlib.sha256(content).hexdigest()}\n")
    file = folder / "kafka.txt"
    file.write_text("".join(lines))
    return file


class Repository:
    """Serves jars and counts; a name in `broken` fails that many times, one in `false` has other content."""

    def __init__(self, broken: dict[str, int] | None = None, false: tuple[str, ...] = ()) -> None:
        self.broken = broken or {}
        self.false = false
        self.asked: list[str] = []

    def __call__(self, jar: Jar, folder: Path) -> Path:
        self.asked.append(jar.file_name)
        if self.broken.get(jar.file_name, 0) > 0:
            self.broken[jar.file_name] -= 1
            raise ConnectionError("connection reset")
        folder.mkdir(parents=True)
        file = folder / jar.file_name
        file.write_bytes(b"other" if jar.file_name in self.false else CONTENTS[jar.file_name])
        return file


def test_the_shipped_lock_names_kafka_and_what_it_needs() -> None:
    jars = {(jar.artifact, jar.version) for jar in read_lock(LOCKS / "kafka.txt")}
    for artifact in ("kafka-clients", "kafka-tools", "kafka_2.13", "connect-mirror", "connect-runtime"):
        assert (artifact, "4.3.0") in jars


def test_the_shipped_lock_for_msk_is_one_jar_with_everything_in_it() -> None:
    (jar,) = read_lock(LOCKS / "msk.txt")
    assert (jar.group, jar.artifact, jar.classifier) == ("software.amazon.msk", "aws-msk-iam-auth", "all")
    assert jar.file_name == f"aws-msk-iam-auth-{jar.version}-all.jar"


def test_each_lock_has_a_folder_of_its_own(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, CONTENTS)
    kafka, msk = (obtain(tmp_path, quiet, lock, Repository()) for obtain in (obtain_kafka, obtain_msk))
    assert kafka.parent.name.startswith("kafka-4.3.0-")
    assert msk.parent.name.startswith("msk-")
    assert {file.name for file in msk.iterdir()} == set(CONTENTS)


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "java.txt", "go.txt"])
def test_python_locks_pin_and_hash_everything_and_name_no_index(name: str) -> None:
    text = (LOCKS / name).read_text()
    entries = text.replace("\\\n", " ").splitlines()
    packages = [line for line in entries if line and not line.startswith("#")]
    assert packages
    assert all("==" in line and "--hash=sha256:" in line for line in packages)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    "line",
    [
        "org.example:a:1",
        "org.example:a " + "0" * 64,
        "org.example:a:1 " + "0" * 63,
        "org.example:a:1 " + "X" * 64,
        "org.example:a:1:all:extra " + "0" * 64,
    ],
)
def test_a_lock_line_that_is_no_entry_is_an_error_and_never_skipped(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "kafka.txt"
    lock.write_text(f"org.example:b:1 {'0' * 64}\n{line}\n")
    with pytest.raises(PartFailed, match="line 2"):
        read_lock(lock)


def test_an_empty_lock_is_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "kafka.txt"
    lock.write_text("# nothing\n")
    with pytest.raises(PartFailed, match="empty"):
        read_lock(lock)


def test_exactly_the_locked_jars_are_in_the_folder_and_strays_are_removed(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, CONTENTS)
    libs = obtain_kafka(tmp_path, quiet, lock, Repository())
    (libs / "stray-9.jar").write_bytes(b"stray")
    (libs.parent / "jars-killed").mkdir()
    again = Repository()
    assert obtain_kafka(tmp_path, quiet, lock, again) == libs
    assert {file.name: file.read_bytes() for file in libs.iterdir()} == CONTENTS
    assert again.asked == []
    assert list(libs.parent.iterdir()) == [libs]


def test_a_damaged_jar_is_fetched_again_and_the_others_are_kept(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, CONTENTS)
    libs = obtain_kafka(tmp_path, quiet, lock, Repository())
    (libs / "b-2.jar").write_bytes(b"sec")
    again = Repository()
    obtain_kafka(tmp_path, quiet, lock, again)
    assert again.asked == ["b-2.jar"]
    assert (libs / "b-2.jar").read_bytes() == b"second"


def test_a_failed_download_names_the_jar_and_the_second_run_continues(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, CONTENTS)
    with pytest.raises(PartFailed, match=r"b-2\.jar could not be downloaded: connection reset") as failure:
        obtain_kafka(tmp_path, quiet, lock, Repository(broken={"b-2.jar": ATTEMPTS}))
    assert "run it again" in failure.value.advice
    again = Repository()
    obtain_kafka(tmp_path, quiet, lock, again)
    assert again.asked == ["b-2.jar"]


def test_a_passing_fault_is_tried_again(tmp_path: Path) -> None:
    repository = Repository(broken={"a-1.jar": ATTEMPTS - 1})
    libs = obtain_kafka(tmp_path, quiet, lock_of(tmp_path, CONTENTS), repository)
    assert (libs / "a-1.jar").read_bytes() == b"first"


def test_a_jar_with_another_hash_is_refused_by_name_and_never_placed(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, CONTENTS)
    with pytest.raises(PartFailed, match=r"c-3\.jar has SHA-256 [0-9a-f]{64} but [0-9a-f]{64} is locked") as failure:
        obtain_kafka(tmp_path, quiet, lock, Repository(false=("c-3.jar",)))
    assert "do not use it" in failure.value.advice
    assert not list(tmp_path.rglob("c-3.jar"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PartFailed, match=f"cache folder {tmp_path}/file/cache cannot be written") as failure:
        prepare_cache(tmp_path / "file" / "cache")
    assert "DUTCHBOOK_CACHE" in failure.value.advice


def test_a_full_disk_in_one_part_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(say: object) -> Path:
        raise OSError(28, "No space left on device", str(tmp_path / "jar"))

    found, failed = install.obtain_all({"full": full, "fine": lambda say: tmp_path}, install.Progress())
    assert found == {"fine": tmp_path}
    assert str(failed["full"]) == f"{tmp_path / 'jar'}: No space left on device"
    assert "FAILED" in capsys.readouterr().out


def test_too_little_space_for_the_build_is_said_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obtain_influxd, "BUILD_SPACE_BYTES", 10**18)
    with pytest.raises(PartFailed, match=r"MB free; building InfluxDB needs"):
        obtain_influxd.build(tmp_path / "influxd", tmp_path / "work", quiet)


def program(file: Path, answer: str, code: int = 0) -> Path:
    file.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        ("InfluxDB v1.8.10 (git: 1.8 688e697c51fd5353725da078555adbeff0363d01)", True),
        ("InfluxDB 1.8.10 (git: unknown unknown)", True),
        ("InfluxDB v1.6.7 (git: unknown)", False),
        ("InfluxDB v1.12.4 (git: unknown)", False),
        ("InfluxDB v2.9.1 (git: 21.8.1)", False),
    ],
)
def test_only_an_influxd_of_the_right_series_is_used(tmp_path: Path, answer: str, usable: bool) -> None:
    assert obtain_influxd.is_usable(program(tmp_path / "influxd", answer)) is usable


@pytest.mark.parametrize(
    ("answer", "code", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 0, 17),
        ('java version "1.8.0_401"', 0, 1),
        ('openjdk version "25" 2025-09-16', 0, 25),
        ('openjdk version "21.0.1"', 1, 0),
    ],
)
def test_java_versions(tmp_path: Path, answer: str, code: int, major: int) -> None:
    assert install.java_version(program(tmp_path / "java", answer, code)) == major


def test_java_home_comes_first_and_an_old_java_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in (("home/bin", "11.0.1"), ("path", "21.0.1")):
        (tmp_path / folder).mkdir(parents=True)
        program(tmp_path / folder / "java", f'openjdk version "{version}"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}/usr/bin:/bin")
    assert install.obtain_java(quiet) == tmp_path / "path" / "java"
    program(tmp_path / "home/bin/java", 'openjdk version "17.0.1"')
    assert install.obtain_java(quiet) == tmp_path / "home/bin/java"


def test_parts_survive_being_written_and_read(tmp_path: Path) -> None:
    parts = Parts(*(tmp_path / name for name in ("java", "libs", "influxd", "bin")))
    for path in (parts.java, parts.kafka_libs, parts.influxd, parts.postgres_bin):
        path.touch()
    write_parts(parts, tmp_path / "parts.json")
    assert find_parts(tmp_path / "parts.json") == parts
    parts.influxd.unlink()
    with pytest.raises(PartMissing, match=r"influxd is no longer at .*make setup"):
        find_parts(tmp_path / "parts.json")


@pytest.mark.parametrize("content", [None, "", "[]", '{"java": 1}', '{"java": "/x"}'])
def test_a_missing_or_damaged_record_of_parts_says_make_setup(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "parts.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PartMissing, match="make setup"):
        find_parts(file)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("DUTCHBOOK_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/somebody/.cache/dutchbook")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/dutchbook")
    monkeypatch.setenv("DUTCHBOOK_CACHE", "/own")
    assert cache_folder() == Path("/own")


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from infra.local.obtain import exclusive\n"
        "with exclusive(Path(sys.argv[1]), lambda line: print(line, flush=True)): print('in', flush=True)"
    )
    with exclusive(tmp_path / "lock", quiet):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "lock")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=bootstrap.ROOT,
        )
        assert other.stdout is not None
        assert "waiting" in other.stdout.readline()
    assert other.communicate(timeout=30)[0] == "in\n"


class TestStamp:
    """What `make setup` takes as done."""

    @pytest.fixture
    def clone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        venv = tmp_path / ".venv"
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "dutchbook").touch()
        locks = tmp_path / "locks"
        locks.mkdir()
        for name in ("runtime.txt", "dev.txt", "kafka.txt", "java.txt", "go.txt"):
            (locks / name).write_text(name)
        (tmp_path / "pyproject.toml").write_text("[project]")
        for name, value in {
            "ROOT": tmp_path,
            "VENV": venv,
            "LOCKS": locks,
            "STAMP": venv / "setup.json",
            "PARTS": venv / "parts.json",
        }.items():
            monkeypatch.setattr(bootstrap, name, value)
        bootstrap.record(**bootstrap.wanted_state(dev=False))
        bootstrap.PARTS.write_text(json.dumps({"java": str(venv / "bin" / "dutchbook")}))
        return tmp_path

    def test_done_is_done(self, clone: Path) -> None:
        assert bootstrap.is_done(bootstrap.wanted_state(dev=False))

    def test_the_test_tools_are_a_step_of_their_own(self, clone: Path) -> None:
        assert not bootstrap.is_done(bootstrap.wanted_state(dev=True))
        bootstrap.record(dev=bootstrap.wanted_state(dev=True)["dev"])
        assert bootstrap.is_done(bootstrap.wanted_state(dev=True))

    @pytest.mark.parametrize("changed", ["locks/runtime.txt", "locks/kafka.txt", "locks/go.txt", "pyproject.toml"])
    def test_a_changed_input_is_work(self, clone: Path, changed: str) -> None:
        (clone / changed).write_text("changed")
        assert not bootstrap.is_done(bootstrap.wanted_state(dev=False))

    def test_a_missing_lock_is_named(self, clone: Path) -> None:
        (clone / "locks" / "runtime.txt").unlink()
        with pytest.raises(bootstrap.SetupFailed, match=r"runtime\.txt is missing"):
            bootstrap.wanted_state(dev=False)

    def test_a_vanished_part_is_work(self, clone: Path) -> None:
        bootstrap.PARTS.write_text(json.dumps({"java": str(clone / "gone")}))
        assert not bootstrap.is_done(bootstrap.wanted_state(dev=False))

    @pytest.mark.parametrize("damage", ["", "{", "[1]", "null"])
    def test_a_damaged_stamp_is_work_and_no_crash(self, clone: Path, damage: str) -> None:
        bootstrap.STAMP.write_text(damage)
        assert not bootstrap.is_done(bootstrap.wanted_state(dev=False))


def test_an_old_python_without_a_newer_one_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (99, 0))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(bootstrap.SetupFailed, match=r"Python 99\.0 or newer is needed.*PYTHON="):
        bootstrap.check_python()
