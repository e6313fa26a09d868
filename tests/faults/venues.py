"""Both venue simulators and both producers as real processes on a real broker, and what can be seen of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.groups import publish_groups
from infra.local.child import ChildSpec
from infra.local.pipeline import Addresses, pipeline, simulator_environment
from infra.local.stack import make_key
from runtime.kafka import Publisher, create_topics
from schemas.codec import encode
from schemas.records import Book, Group, Member, Relation, Venue
from schemas.topics import REGIONS, creations, local_name
from tests.faults.seen import VENUES, Canonical, Listener, Simulator, sides_of
from tests.fidelity.harness import small_tape
from tests.integration.command import ROOT, until

RATE: Final = 40.0
"""Actions of each exchange's traffic a second, over all markets."""

STATES: Final = {"open": "live", "halted": "halted", "closed": "closed"}
"""What is published of a market, by what it is at its venue."""

SETTINGS: Final = {"DUTCHBOOK_DEAD_LETTER_RATIO": "1", "DUTCHBOOK_DEAD_LETTER_RUN": "1000000"}
"""A producer gives up when most of what it reads is noise; here the noise is ours."""


def _difference(book: Book, true: Canonical) -> str:
    """Where a book is not the venue's."""
    sides = ("bids", "asks")
    apart = [
        f"{name} {sorted(set(said) - set(right))} instead of {sorted(set(right) - set(said))}"
        for name, said, right in zip(sides, sides_of(book), true.sides, strict=True)
        if said != right
    ]
    return f"{true.state} at the venue; " + (", ".join(apart) or "equal ladders")


@dataclass
class Venues:
    """Everything that runs, and what to compare."""

    bootstrap: str
    started_ns: int
    simulators: dict[Venue, Simulator]
    producers: dict[Venue, subprocess.Popen[bytes]]
    listener: Listener
    grouped: frozenset[str]
    logs: Path
    stopped: dict[Venue, int] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """What tells the command line where the broker is."""
        return {f"DUTCHBOOK_KAFKA_{region.upper()}": self.bootstrap for region in REGIONS}

    def trade(self, rate: float = RATE) -> None:
        """Both exchanges' traffic."""
        for simulator in self.simulators.values():
            simulator.trade(rate)

    def live_and_wrong(self, venue: Venue) -> list[str]:
        """Markets whose published book is live and not the venue's, while the venue is at rest."""
        return [
            f"{market}: live, {_difference(book, true)}"
            for market, book, true in self._compared(venue)
            if book.state == "live" and (true.state != "open" or sides_of(book) != true.sides)
        ]

    def unequal(self, venue: Venue) -> list[str]:
        """Markets whose published book or state is not the venue's, while the venue is at rest."""
        return [
            f"{market}: {book.state} ({book.reason}), {_difference(book, true)}"
            for market, book, true in self._compared(venue)
            if book.state != STATES[true.state] or (book.state == "live" and sides_of(book) != true.sides)
        ]

    def _compared(self, venue: Venue) -> Iterator[tuple[str, Book, Canonical]]:
        for market, true in self.simulators[venue].books().items():
            if market in self.grouped:
                yield market, self.listener.newest[market], true

    def still_run(self) -> None:
        """Fail when a producer has ended."""
        for venue, process in self.producers.items():
            assert process.poll() is None, f"producer.{venue} ended: {self.log(venue)[-2000:]}"

    def log(self, venue: Venue) -> str:
        """What a producer said."""
        return (self.logs / f"producer-{venue}.log").read_text()

    def stop_producers(self) -> dict[Venue, int]:
        """End the producers, once; returns their exit codes."""
        if not self.stopped:
            for process in self.producers.values():
                process.terminate()
            self.stopped = {venue: process.wait(30) for venue, process in self.producers.items()}
        return self.stopped


@contextmanager
def venues(bootstrap: str, folder: Path) -> Iterator[Venues]:
    """Everything up, all grouped books live and right."""
    tape, started_ns = small_tape(folder / "tape").folder, time.time_ns()
    for region in REGIONS:
        create_topics(bootstrap, creations(region))
    private, public = make_key(folder / "key")
    with ExitStack() as stack:
        simulators: dict[Venue, Simulator] = {}
        for venue in VENUES:
            more = ("--kalshi-public-key", str(public)) if venue == "kalshi" else ()
            simulators[venue] = Simulator(venue, stack.enter_context(_simulating(venue, tape, folder, more)))
            stack.callback(simulators[venue].close)
        groups = _groups(simulators)
        _publish(bootstrap, groups)
        listener = Listener(bootstrap)
        stack.callback(listener.close)
        ports = [simulators[venue].port for venue in VENUES]
        environment = Addresses(bootstrap, bootstrap, "", "").environment(folder) | SETTINGS
        environment |= simulator_environment(ports[0], ports[1], private)
        specs = {spec.name: spec for spec in pipeline(environment)}
        producers = {venue: stack.enter_context(_running(specs[f"producer-{venue}"], folder)) for venue in VENUES}
        grouped = frozenset(member.market for group in groups for member in group.members)
        up = Venues(bootstrap, started_ns, simulators, producers, listener, grouped, folder)
        until(lambda: up.grouped <= up.listener.newest.keys(), "every grouped market has a book", 60)
        yield up


@contextmanager
def _simulating(venue: Venue, tape: Path, folder: Path, more: tuple[str, ...]) -> Iterator[int]:
    """A simulator; its port."""
    command = (
        sys.executable, "-m", "infra.simulator", venue, "--tape", str(tape), "--exchange", "--seed", "4",
        "--rate", str(RATE), *more,
    )  # fmt: skip
    said = folder / f"venue-{venue}.log"
    with _running(ChildSpec(f"venue-{venue}", command), folder):
        until(lambda: b"\n" in said.read_bytes(), f"the simulator of {venue} listens", 30)
        yield int(said.read_text().splitlines()[0].rpartition(":")[2])


@contextmanager
def _running(spec: ChildSpec, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{spec.name}.log").open("wb") as log:
        process = subprocess.Popen(
            spec.argv, cwd=ROOT, env=os.environ | spec.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _groups(simulators: Mapping[Venue, Simulator]) -> list[Group]:
    """Every market in a group: those of both venues in pairs, what is left over of one venue together.

    Markets in no group are proved less often, so they would have bounds of their own.
    """
    members = {
        venue: [Member(venue=venue, market=market) for market in sorted(simulators[venue].books())] for venue in VENUES
    }
    pairs = list(zip(*members.values(), strict=False))
    left_over = tuple(member for listed in members.values() for member in listed[len(pairs) :])
    return [
        Group(
            group=f"group-{number}",
            members=together,
            relations=(Relation(kind="same", members=tuple(range(len(together)))),),
            status="approved",
            evidence="made up",
            rules_fingerprint="",
            updated_by="test",
            updated_ns=time.time_ns(),
        )
        for number, together in enumerate([*pairs, left_over])
        if together
    ]


def _publish(bootstrap: str, groups: list[Group]) -> None:
    """Publish the groups where they are at home, and where MirrorMaker would put them."""
    publish_groups(bootstrap, groups)
    publisher = Publisher(bootstrap, "dutchbook-test")
    for group in groups:
        publisher.publish(local_name("group", "us", "eu"), encode(group), key=group.group.encode())
    publisher.close()


def wait(condition: Callable[[], bool], until_s: float, every_s: float = 0.05) -> bool:
    """Wait until something is so or a moment of the monotonic clock has come; returns whether it is."""
    while not condition():
        if time.monotonic() >= until_s:
            return False
        time.sleep(every_s)
    return True
