"""`dutchbook mirrormaker`: what it configures, what it runs, and how it ends. Java is a script here."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra import cli
from infra.local.parts import PartMissing
from infra.mirrormaker.command import Running, prepare
from infra.mirrormaker.parts import find_java
from schemas.topics import mirrormaker_properties

US = "iam://b-1.x.kafka.us-east-1.amazonaws.com:9098"
EU = "iam://b-1.y.kafka.eu-west-1.amazonaws.com:9098"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *jars: str, java: str = "exit 0") -> Path:
    """Jars and a Java as an image has them; `java` is what its script does."""
    libs, program = folder / "libs", folder / "jre" / "bin" / "java"
    libs.mkdir()
    program.parent.mkdir(parents=True)
    for jar in jars:
        (libs / jar).touch()
    program.write_text(f"#!/bin/sh\n{java}\n")
    program.chmod(0o755)
    monkeypatch.setenv("DUTCHBOOK_KAFKA_LIBS", str(libs))
    monkeypatch.setenv("JAVA_HOME", str(folder / "jre"))
    monkeypatch.setenv("DUTCHBOOK_DATA_DIR", str(folder / "data"))
    return libs


def set_clusters(monkeypatch: pytest.MonkeyPatch, us: str, eu: str) -> None:
    monkeypatch.setenv("DUTCHBOOK_KAFKA_US", us)
    monkeypatch.setenv("DUTCHBOOK_KAFKA_EU", eu)


@pytest.mark.parametrize(
    ("us", "eu", "more", "replicas"),
    [("a:1", "b:1", [], 1), (US, EU, [], 3), ("a:1", EU, [], 3), (US, EU, ["--replication-factor", "2"], 2)],
)
def test_the_configuration_is_printed_and_nothing_runs(
    us: str,
    eu: str,
    more: list[str],
    replicas: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_clusters(monkeypatch, us, eu)
    assert cli.main(["mirrormaker", "--to", "us", "--print", *more]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(mirrormaker_properties(us, eu, replication_factor=replicas))
    assert "plugin.discovery = service_load" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--to"),
        (["--to", "mars"], "invalid choice: 'mars'"),
        (["--to", "us", "--replication-factor", "0"], "invalid choice: 0"),
    ],
)
def test_mistakes(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["mirrormaker", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_wrong_address_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_clusters(monkeypatch, "iam://localhost:9098", "b:1")
    assert cli.main(["mirrormaker", "--to", "us"]) == 2
    assert "dutchbook mirrormaker: DUTCHBOOK_KAFKA_US: " in capsys.readouterr().err


# Its parts


def test_an_image_names_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = install(tmp_path, monkeypatch, "connect-mirror-4.3.0.jar", "aws-msk-iam-auth-2.4.0-all.jar")
    java = find_java(iam=True)
    assert (java.program, java.libs, java.more_libs) == (tmp_path / "jre" / "bin" / "java", libs, ())
    assert java.full_compiler


def test_what_an_image_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = install(tmp_path, monkeypatch)
    with pytest.raises(PartMissing, match="libs has no connect-mirror-"):
        find_java(iam=False)
    (libs / "connect-mirror-4.3.0.jar").touch()
    assert find_java(iam=False).libs == libs
    with pytest.raises(PartMissing, match="libs has no aws-msk-iam-auth-"):
        find_java(iam=True)
    (tmp_path / "jre" / "bin" / "java").unlink()
    with pytest.raises(PartMissing, match=r"there is no Java in JAVA_HOME"):
        find_java(iam=False)


# What is run


def test_what_java_reads_is_its_users_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = install(tmp_path, monkeypatch, "connect-mirror-4.3.0.jar")
    (tmp_path / "data" / "mirrormaker").mkdir(parents=True)
    file = tmp_path / "data" / "mirrormaker" / "mm2-eu.properties"
    file.write_text("an older one, open to all")
    file.chmod(0o644)
    argv = prepare(tmp_path / "data", "clusters = us, eu\n", find_java(iam=False), 700, "eu")
    assert file.read_text() == "clusters = us, eu\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert argv[0] == str(tmp_path / "jre" / "bin" / "java")
    assert "-Xmx700m" in argv
    assert argv[argv.index("-cp") + 1] == f"{libs}/*"
    assert argv[-4:] == ("org.apache.kafka.connect.mirror.MirrorMaker", str(file), "--clusters", "eu")


@pytest.mark.parametrize(("java", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_it_ends_as_java_ends(java: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "connect-mirror-4.3.0.jar", java=java)
    set_clusters(monkeypatch, "127.0.0.1:1", "127.0.0.1:1")
    monkeypatch.setattr("infra.mirrormaker.command.Watch", Unwatched)
    assert cli.main(["mirrormaker", "--to", "us"]) == code


class Unwatched:
    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


def test_a_stop_is_passed_on_and_java_may_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "trap 'echo stopping; exit 143' TERM\necho started\nwhile :; do sleep 0.05; done"
    install(tmp_path, monkeypatch, "connect-mirror-4.3.0.jar", java=script)
    set_clusters(monkeypatch, "127.0.0.1:1", "127.0.0.1:1")
    command = [sys.executable, "-m", "infra.cli", "mirrormaker", "--to", "us"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        assert process.wait(20) == 143


def test_java_does_not_outlive_its_process(tmp_path: Path) -> None:
    with Running(("/bin/sh", "-c", "sleep 60")) as child:
        pid = child._child.pid
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
