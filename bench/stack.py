"""Running processes for a measurement: supervised, watched, timed, and gone afterwards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from bench.topics import Place
from infra.local.child import ChildSpec
from infra.local.datadir import last_lines
from infra.local.parts import Parts
from infra.local.pipeline import Addresses, pipeline
from infra.local.ports import PortLease
from infra.local.stack import ALL_PORTS, addresses_of, unhealthy
from infra.local.supervise import StopRequested, Supervisor
from runtime.kafka import Publisher

T = TypeVar("T")


class BenchFailed(RuntimeError):
    """A measurement could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a measurement takes place: supervisor, parts, folder, ports and addresses."""

    supervisor: Supervisor
    parts: Parts
    folder: Path
    ports: dict[str, int]
    addresses: Addresses

    def process(self, name: str, called: str, settings: Mapping[str, str]) -> ChildSpec:
        """A process of the pipeline as `dutchbook up` runs it, under a name of its own."""
        environment = self.addresses.environment(self.folder) | dict(settings)
        (spec,) = [spec for spec in pipeline(environment) if spec.name == name]
        return replace(spec, name=called)

    def require_health(self) -> None:
        """Raise BenchFailed when a process died: what was measured then means nothing."""
        problems = [*unhealthy(self.supervisor)]
        for name, record in self.supervisor.records.items():
            if record.restarts:
                problems.append(f"--- end of the log of {name}\n{last_lines(Path(record.log))}")
        if problems:
            raise BenchFailed("\n".join(problems))


@asynccontextmanager
async def ground(parts: Parts) -> AsyncIterator[Ground]:
    """An empty folder, free ports and a supervisor; everything is stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-bench-") as name, PortLease(ALL_PORTS) as lease:
        folder = Path(name)
        folder.chmod(0o755)  # as root, Postgres runs as nobody and must get in
        async with Supervisor(folder, _quiet, lease.ports) as supervisor:
            supervisor.handle_signals()
            yield Ground(supervisor, parts, folder, lease.ports, addresses_of(folder, lease.ports))


def _quiet(_line: str) -> None:
    """Restarts are found by `require_health`, and a failure carries its own log."""


async def watched(supervisor: Supervisor, work: Coroutine[Any, Any, T]) -> T:
    """Await `work` for as long as the children live; raises ChildFailed or StopRequested when that ends first."""
    task = asyncio.ensure_future(work)
    life = asyncio.ensure_future(supervisor.wait())
    try:
        await asyncio.wait({task, life}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            life.result()
            raise StopRequested("a stop was asked for")
        return task.result()
    finally:
        task.cancel()
        life.cancel()
        await asyncio.gather(task, life, return_exceptions=True)


MACHINE: Final = "whole machine, other work included"


def cpu_seconds(supervisor: Supervisor) -> dict[str, float]:
    """Processor time used so far by every child that runs, and by the whole machine."""
    whole = psutil.cpu_times()
    used = {MACHINE: sum(whole) - whole.idle - whole.iowait - whole.guest - whole.guest_nice}
    for name, record in supervisor.records.items():
        if record.pid is not None:
            times = psutil.Process(record.pid).cpu_times()
            used[name] = times.user + times.system
    return used


def cores_used(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Cores each child kept busy between two looks, most first; those that did not live through both are left out."""
    shares = {name: (after[name] - used) / seconds for name, used in before.items() if name in after}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


@contextmanager
def publishing(bootstrap: str) -> Iterator[Publisher]:
    """A publisher whose every record is acknowledged when the block ends."""
    publisher = Publisher(bootstrap, "dutchbook-bench")
    try:
        yield publisher
        publisher.flush(120)
    finally:
        publisher.close()


def produce(bootstrap: str, records: list[tuple[Place, bytes]]) -> None:
    """Put values on given partitions, in order, and wait until all are acknowledged."""
    with publishing(bootstrap) as publisher:
        for (topic, partition), value in records:
            publisher.publish(topic, value, partition=partition)
