"""`dutchbook mirrormaker --to REGION`: MirrorMaker 2 for what is copied into a region; run it in that region.

Kafka's own advice: the mirror stands beside its target ("consume from remote, produce to local").
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from pydantic import Field

from infra.local.child import LAUNCHER
from infra.local.services import MIRRORMAKER, QUICK_MIRROR, Java, write_log4j
from infra.mirrormaker.parts import find_java
from infra.mirrormaker.passage import Watch
from runtime import logs
from runtime.settings import KafkaSettings, Settings, SettingsError, load
from schemas.records import Region
from schemas.topics import DEPLOYED_REPLICATION_FACTOR, IAM, REGIONS, mirrormaker_properties

STOP_S: Final = 20.0
"""How long Java may take to end before it is killed: a container's engine gives 30 s."""


class MirrorMakerSettings(Settings):
    """How MirrorMaker is run."""

    mirrormaker_heap_mb: int = Field(512, ge=128, description="the most that Java may use for its objects")


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("--to", choices=REGIONS, required=True, help="the region whose cluster is copied into")
    verb.add_argument(
        "--replication-factor",
        type=int,
        choices=range(1, 10),
        metavar="N",
        help="of MirrorMaker's own topics (default: 3 on Amazon MSK, else 1)",
    )
    verb.add_argument("--print", action="store_true", help="print the configuration, and run nothing")


def run(options: argparse.Namespace) -> int:
    """Carry the verb out; returns Java's exit code, 128 and more when a signal ended it."""
    clusters, settings = load(KafkaSettings), load(MirrorMakerSettings)
    iam = any(clusters.bootstrap(region).startswith(IAM) for region in REGIONS)
    replicas = options.replication_factor or (DEPLOYED_REPLICATION_FACTOR if iam else 1)
    properties = mirrormaker_properties(clusters.kafka_us, clusters.kafka_eu, replication_factor=replicas)
    if options.print:
        sys.stdout.write(properties + QUICK_MIRROR)
        return 0
    logs.configure("mirrormaker", logging.INFO)
    java = find_java(iam=iam)
    argv = prepare(clusters.data_dir, properties + QUICK_MIRROR, java, settings.mirrormaker_heap_mb, options.to)
    watch = Watch(clusters, options.to)
    with Running(argv) as mirror:
        watch.start()
        code = mirror.wait()
    watch.stop()
    return code


def prepare(data_dir: Path, properties: str, java: Java, heap_mb: int, target: Region) -> tuple[str, ...]:
    """Write what Java reads, for this user only, and return the command; raises SettingsError."""
    folder = data_dir.absolute() / "mirrormaker"
    file = folder / f"mm2-{target}.properties"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with open(file, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as handle:
            handle.write(properties)
        log4j = write_log4j(folder)
    except OSError as error:
        raise SettingsError(f"DUTCHBOOK_DATA_DIR: {folder} cannot be written: {error.strerror}") from None
    return java.command(heap_mb, log4j, MIRRORMAKER, str(file), "--clusters", target)


class Running:
    """The child while it runs: SIGTERM and SIGINT are passed on to it, and it does not outlive this process.

    To be entered on the main thread, which lives as long as the process: the kernel ties the child to it.
    """

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> "Running":
        command = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "-", "-", *self._argv]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self._asked_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, lambda *_: self._stop())
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def wait(self) -> int:
        """The child's exit code as a shell gives it."""
        while True:
            try:
                code = self._child.wait(STOP_S if self._asked_to_stop else 1.0)
            except subprocess.TimeoutExpired:
                if self._asked_to_stop:
                    self._child.kill()
                continue
            return code if code >= 0 else 128 - code

    def _stop(self) -> None:
        self._asked_to_stop = True
        self._child.terminate()
