"""Ours beside its peers, in one run and on the same tapes: `make bench-peers` or `python -m bench.peers`.

The peers' runners are not part of this project. They are looked for in the folder that DUTCHBOOK_PEERS names, else in
`shared/peers` beside this clone, and run as they are: their `run_all.sh` makes what they need below `data/peers` and
starts a broker of their own. Ours runs right after theirs, each time, so that a machine's mood hits both.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import detector, machine, peer_tape
from bench.detector import Load
from bench.figures import Figure, gather, table
from bench.peer_core import CoreRun
from bench.peer_replay import differences
from bench.stack import BenchFailed, Ground, ground, watched
from infra.local.datadir import DataDirUnusable
from infra.local.parts import PartMissing, Parts, find_parts
from infra.local.ports import PortInUse
from infra.local.services import kafka
from infra.local.supervise import ChildFailed, StopRequested
from runtime.kafka import DeliveryFailed, KafkaUnavailable

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = ROOT / "data" / "peers"
RUN_ALL: Final = "run_all.sh"
LIMIT_S: Final = 3000
KAFKA_PEERS: Final = ("confluent", "quix-dict", "faust-dict")
MEMORY_PEERS: Final = ("nautilus-engine-50",)
CHECKS_PEERS: Final = ("pmxt",)
USER_ERRORS: Final = (
    BenchFailed, PartMissing, PortInUse, DataDirUnusable, ChildFailed, KafkaUnavailable, DeliveryFailed,
)  # fmt: skip

Say = Callable[[str], None]


@dataclass
class Found:
    """What the repeats gave, by section and name: rates, and microseconds of processor time a thing."""

    rates: dict[tuple[str, str], list[dict[str, float]]] = field(default_factory=dict)

    def add(self, section: str, unit: str, name: str, value: float) -> None:
        """One repeat's value."""
        self.rates.setdefault((section, unit), []).append({name: value})

    def figures(self) -> list[Figure]:
        """All of them, in the order in which they first came."""
        return [figure for (section, unit), runs in self.rates.items() for figure in gather(section, unit, runs)]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured and every answer was right, 1 when something failed, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        peers = find_peers(os.environ)
        parts = find_parts()
        print("\n".join(machine.lines(machine.describe(parts))), flush=True)
        figures = measure(parts, peers, options.repeats, lambda line: print(f"          {line}", flush=True))
    except (StopRequested, KeyboardInterrupt):
        print("stopped: nothing is left running", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{options.repeats} repeats, each peer and ours in turn; every answer was checked\n")
    print(table(figures))
    if options.json is not None:
        options.json.write_text(json.dumps([figure.record() for figure in figures], indent=2) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m bench.peers", description="Measure ours beside its peers.")
    top.add_argument("--repeats", type=int, default=3, metavar="N", help="how often each is measured (3)")
    top.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE too")
    return top


def find_peers(environment: Mapping[str, str]) -> Path:
    """The folder of the peers' runners; raises BenchFailed when there is none."""
    named = environment.get("DUTCHBOOK_PEERS", "")
    folder = Path(named) if named else ROOT.parent / "shared" / "peers"
    if not (folder / RUN_ALL).is_file():
        where = f"DUTCHBOOK_PEERS: {folder}" if named else f"{folder} (or set DUTCHBOOK_PEERS)"
        raise BenchFailed(f"the peers' runners are not here: no {RUN_ALL} in {where}")
    return folder


def measure(parts: Parts, peers: Path, repeats: int, say: Say) -> list[Figure]:
    """Everything, in turns."""
    found = Found()
    DATA.mkdir(parents=True, exist_ok=True)
    run_peers(peers, ("decode",), found, say)  # makes environments and tapes, and wakes the machine up
    found.rates.clear()
    tape = peer_tape.read_tape(DATA / "tape-kafka")
    books = list(peer_tape.books_of(tape, time.time_ns()))
    loads = layouts(books)
    for _ in range(repeats):
        run_peers(peers, (*KAFKA_PEERS, *MEMORY_PEERS, *CHECKS_PEERS), found, say)
        asyncio.run(run_detector(parts, tape, loads, found, say))
        run_core(found, say)
    return found.figures()


# -- theirs ------------------------------------------------------------------------------------------------------


def run_peers(peers: Path, names: Sequence[str], found: Found, say: Say) -> None:
    """Once each, by their own script; raises BenchFailed when one gives no result or a wrong answer."""
    results = DATA / "results-beside-ours.json"
    results.unlink(missing_ok=True)
    options = ("--repeat", "1", "--only", ",".join(names), "--modes", "throughput,-", "--results", str(results))
    environment = os.environ | {"PEERS_DATA": str(DATA), "PYTHON": sys.executable}
    with (DATA / "run_all.log").open("ab") as log:
        child = subprocess.Popen(["bash", str(peers / RUN_ALL), *options], env=environment, stdout=log, stderr=log)
        try:
            code = child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise BenchFailed(f"the peers did not end within {LIMIT_S} s: see {log.name}") from None
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait(60)
    if code or not results.is_file():
        raise BenchFailed(f"the peers failed with code {code}: see {DATA / 'run_all.log'}")
    for run in json.loads(results.read_text())["runs"]:
        take_peer(run, found, say)


def take_peer(run: Mapping[str, Any], found: Found, say: Say) -> None:
    """One result of a peer."""
    if "error" in run or not run["answers_ok"]:
        raise BenchFailed(f"{run['id']}: {run.get('error', 'its answers are wrong')}")
    name = f"{run['peer']} {run['version']}: {run['work']}"
    section = SECTIONS.get(run["id"], "in memory, decode and compare")
    found.add(section, "1/s", name, run["events_per_s"])
    if run["id"] in KAFKA_PEERS:
        found.add(PROCESSOR, "us/book", name, 1e6 * run["cpu_s"] / run["events"])
    say(f"{name}: {run['events_per_s']:,.0f}/s")


THROUGH_KAFKA: Final = "100,000 books through Kafka, decoded and compared"
PROCESSOR: Final = "- processor time of the process (the peers' with their start-up)"
IN_MEMORY: Final = "300,000 events in memory, 100 books"
CHECKS: Final = "checks of one basket, or walks of one book"
SECTIONS: Final = (
    dict.fromkeys(KAFKA_PEERS, THROUGH_KAFKA)
    | dict.fromkeys(MEMORY_PEERS, IN_MEMORY)
    | dict.fromkeys(CHECKS_PEERS, CHECKS)
)


# -- ours --------------------------------------------------------------------------------------------------------


def layouts(books: list[Any]) -> list[Load]:
    """The tape's books as our publishers lay them when frames wait, and one a record."""
    records = peer_tape.together(books)
    return [
        Load(f"{len(books) / len(records):.1f} books a record", records, len(books)),
        Load("1 book a record", peer_tape.alone(books), len(books)),
    ]


async def run_detector(parts: Parts, tape: peer_tape.Tape, loads: Sequence[Load], found: Found, say: Say) -> None:
    """The Faust worker on a broker of its own, fresh for each load after one that does not count."""
    async with ground(parts) as here:
        await here.supervisor.start(kafka("us", parts, here.folder, here.ports, full_compiler=True))
        await watched(here.supervisor, _run_detector(here, tape, loads, found, say))


async def _run_detector(here: Ground, tape: peer_tape.Tape, loads: Sequence[Load], found: Found, say: Say) -> None:
    groups, markets = peer_tape.references(tape)
    await asyncio.to_thread(detector.prepare, here, groups, markets)
    await detector.run(here, Load("warm-up", loads[0].records[:2000], 0), "ours-warm-up")
    for number, load in enumerate(loads):
        run = await detector.run(here, load, f"ours-{number}")
        wrong = await asyncio.to_thread(differences, here.addresses.kafka_us, load, run)
        if wrong:
            raise BenchFailed(f"{load.name}: {wrong} of {run.opportunity_events} events are not what the core says")
        name = f"ours: Faust detector worker, {load.name}"
        found.add(THROUGH_KAFKA, "1/s", name, run.books_per_s)
        found.add(PROCESSOR, "us/book", name, 1e6 * run.detector_cores / run.books_per_s)
        say(f"{name}: {run.books_per_s:,.0f}/s")


def run_core(found: Found, say: Say) -> None:
    """The core alone, in a process of its own."""
    file = DATA / "ours-core.json"
    subprocess.run([sys.executable, "-m", "bench.peer_core", DATA / "tape", file], cwd=ROOT, check=True)
    runs = msgspec.json.decode(file.read_bytes(), type=dict[str, CoreRun])
    for what, text in (("books", "core alone, books made before"), ("ladders", "core, ladders kept up and packed")):
        run = runs[what]
        if run.wrong:
            raise BenchFailed(f"our core is wrong about {run.wrong} of {run.events} events")
        found.add(IN_MEMORY, "1/s", f"ours: {text}", run.events / run.seconds)
        say(f"ours, {text}: {run.events / run.seconds:,.0f}/s, {run.found:,} crossed")
    found.add(CHECKS, "1/s", "ours: baskets looked at", runs["books"].basket_checks / runs["books"].seconds)


if __name__ == "__main__":
    sys.exit(main())
