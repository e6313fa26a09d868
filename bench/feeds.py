"""The producers' own processes at work: a simulated venue plays a tape to them over real sockets.

Each run has a fresh simulator and a fresh producer of one venue; the broker lives through all of them. The tape begins
with the first subscription, so that books are there whenever they are asked for, and outlasts the run.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import msgspec

from bench.figures import Figure, gather
from bench.frames import Load
from bench.stack import BenchFailed, Ground, cores_used, cpu_seconds, publishing
from bench.tape import write_tape
from bench.timed_producer import Moments, Notes
from bench.topics import ends, read_since
from infra.groups import read_groups
from infra.local.child import ChildSpec, attempt
from infra.local.pipeline import Playback, simulators
from infra.local.stack import make_key
from infra.observe import Observer
from infra.summary import percentiles
from schemas.codec import decode_books, encode
from schemas.records import Venue

NAMES: Final[dict[Venue, str]] = {"kalshi": "Kalshi", "polymarket": "Polymarket"}
RATE: Final = 1000
WARM_UP_S: Final = 4
"""Seconds of a run at an even pace that are not counted: first books, first prices."""

MANY: Final = 2000
GROUPED: Final = 100
"""Of the many markets, so many are in groups; the others come from the catalogue."""

READY_WITHIN_S: Final = 60
"""A producer must follow everything within this."""

MIB: Final = 2**20

Say = Callable[[str], None]


async def measure_times(here: Ground, repeats: int, seconds: int, say: Say) -> list[Figure]:
    """From a frame's receipt to Kafka at 1,000 frames a second, a run of so many seconds after the warm-up."""
    load = Load(markets=100, rate=RATE, seconds=READY_WITHIN_S + WARM_UP_S + seconds)
    tape = await asyncio.to_thread(write_tape, here.folder / "tape-paced", load)
    await asyncio.to_thread(_publish_groups, here, tape)
    times: list[dict[str, float]] = [{} for _ in range(repeats)]
    rates: list[dict[str, float]] = [{} for _ in range(repeats)]
    cores: list[dict[str, float]] = [{} for _ in range(repeats)]
    for venue, name in NAMES.items():
        for repeat in range(repeats):
            called, file = f"timed-{venue}-{repeat}", here.folder / f"timed-{venue}-{repeat}.json"
            feed = Feed(here, venue, tape, called, {})
            feed.producer = replace(
                feed.producer, argv=(sys.executable, "-m", "bench.timed_producer", venue, str(file))
            )
            async with feed.following(load.markets):
                await asyncio.sleep(WARM_UP_S)
                begin_ns, before = time.time_ns(), cpu_seconds(here.supervisor)
                await asyncio.sleep(seconds)
                end_ns, after = time.time_ns(), cpu_seconds(here.supervisor)
            notes = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=Notes)
            found, rate = _times(name, notes, begin_ns, end_ns)
            times[repeat] |= found
            rates[repeat][f"{name}, frames that came"] = rate
            cores[repeat][f"- {name}: the producer"] = cores_used(before, after, seconds)[feed.producer.name]
            say(f"{name} at {RATE:,} frames/s: {_short(found)}")
    section = f"frame received to Kafka at {RATE:,} frames/s, {seconds} s"
    return gather(section, "frames/s", rates) + gather(section, "ms", times) + gather(section, "cores", cores)


async def measure_memory(here: Ground, repeats: int, seconds: int, say: Say) -> list[Figure]:
    """Of a producer that follows 2,000 markets, after so many seconds at 1,000 frames a second."""
    load = Load(markets=MANY, rate=RATE, seconds=READY_WITHIN_S + WARM_UP_S + seconds)
    tape = await asyncio.to_thread(write_tape, here.folder / "tape-many", load, grouped=GROUPED)
    await asyncio.to_thread(_publish_groups, here, tape)
    sizes: list[dict[str, float]] = [{} for _ in range(repeats)]
    connections: list[dict[str, float]] = [{} for _ in range(repeats)]
    for venue, name in NAMES.items():
        topic = f"book.{venue}"
        for repeat in range(repeats):
            begin = await asyncio.to_thread(ends, here.addresses.kafka_us, [topic])
            feed = Feed(here, venue, tape, f"many-{venue}-{repeat}", {"DUTCHBOOK_MARKET_BUDGET": str(MANY)})
            async with feed.following(MANY):
                await asyncio.sleep(WARM_UP_S + seconds)
                resident, peak = memory(feed.pid)
            live = await asyncio.to_thread(_live, here.addresses.kafka_us, begin)
            if live < MANY:
                raise BenchFailed(f"{name}: {live} of {MANY} markets had a live book")
            connections[repeat][f"- {name}: connections made"] = feed.log().count("feed connected")
            sizes[repeat] |= {f"{name}, resident": resident / MIB, f"{name}, peak": peak / MIB}
            say(f"{name}, {MANY:,} markets: {resident / MIB:.0f} MiB, at most {peak / MIB:.0f} MiB")
    section = f"memory of a producer that follows {MANY:,} markets at {RATE:,} frames/s"
    return gather(section, "MiB", sizes) + gather(section, "", connections)


class Feed:
    """A simulator of one venue and a producer that follows it, under names of their own."""

    def __init__(self, here: Ground, venue: Venue, tape: Path, called: str, settings: Mapping[str, str]) -> None:
        self._here = here
        private, public = make_key(here.folder / "kalshi-simulator-key")
        playback = Playback(tape, "1", here.ports["venue-kalshi"], here.ports["venue-polymarket"], public, private)
        (spec,) = [spec for spec in simulators(playback) if spec.name == f"venue-{venue}"]
        argv = tuple(argument for argument in spec.argv if argument != "--hold")
        serves = attempt(lambda: _require_answer(here.ports[f"venue-{venue}"]))
        self.simulator = replace(spec, name=f"venue-{called}", argv=argv, ready=serves)
        one_broker = {"DUTCHBOOK_KAFKA_EU": here.addresses.kafka_us}
        environment = playback.environment() | one_broker | dict(settings)
        self.producer: ChildSpec = here.process(f"producer-{venue}", f"producer-{called}", environment)
        self._venue = venue

    @property
    def pid(self) -> int:
        """The producer's process; raises BenchFailed when it is gone."""
        pid = self._here.supervisor.records[self.producer.name].pid
        if pid is None:
            raise BenchFailed(f"{self.producer.name} is gone")
        return pid

    def log(self) -> str:
        """What the producer has logged."""
        return Path(self._here.supervisor.records[self.producer.name].log).read_text()

    @asynccontextmanager
    async def following(self, markets: int) -> AsyncIterator[None]:
        """Both run, and the producer follows all markets; both are gone when the block ends."""
        supervisor = self._here.supervisor
        observer = Observer(self._here.addresses.kafka_us, from_beginning=False, since_ns=time.time_ns())
        observer.start()
        try:
            await supervisor.start(self.simulator)
            await supervisor.start(self.producer)
            deadline = time.monotonic() + READY_WITHIN_S
            while observer.seen.newest("markets_subscribed", venue=self._venue) < markets:
                if time.monotonic() > deadline:
                    raise BenchFailed(f"{self.producer.name} did not follow {markets} markets in {READY_WITHIN_S} s")
                await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(observer.stop)
        yield
        await supervisor.finish(self.producer.name)
        await supervisor.finish(self.simulator.name)
        self._here.require_health()


def _require_answer(port: int) -> None:
    httpx.get(f"http://127.0.0.1:{port}/_simulator/status", timeout=1.0, trust_env=False).raise_for_status()


def memory(pid: int) -> tuple[int, int]:
    """Bytes that are resident now, and that were at most; as Linux counts them (proc_pid_status: VmRSS, VmHWM)."""
    sizes = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            sizes[name] = int(value.removesuffix("kB")) * 1024
    return sizes["VmRSS"], sizes["VmHWM"]


def _publish_groups(here: Ground, tape: Path) -> None:
    """On the one broker that stands for both: under the group topic's name at home, and as the mirror names it."""
    with publishing(here.addresses.kafka_us) as publisher:
        for group in read_groups(tape / "groups.yaml", status="approved", updated_by="bench"):
            for topic in ("group", "us.group"):
                publisher.publish(topic, encode(group), key=group.group.encode())


def _times(name: str, notes: Notes, begin_ns: int, end_ns: int) -> tuple[dict[str, float], float]:
    """Percentiles in ms of what was received in the window, and how many frames a second that were."""
    frames = [moments for moments in notes.frames if begin_ns <= moments.received_ns < end_ns]
    books = [moments for moments in notes.books if begin_ns <= moments.received_ns < end_ns]
    rate = len(frames) * 1e9 / (end_ns - begin_ns)
    if rate < 0.9 * RATE:
        raise BenchFailed(f"{name}: {rate:.0f} frames a second came, not {RATE}")
    found = _percentiles(f"{name}, frame acknowledged", frames, "acknowledged_ns")
    found |= _percentiles(f"{name}, book handed to Kafka", books, "handed_ns")
    return found | _percentiles(f"{name}, book acknowledged", books, "acknowledged_ns"), rate


def _percentiles(title: str, moments: Sequence[Moments], until: str) -> dict[str, float]:
    values = [(getattr(one, until) - one.received_ns) // 1000 for one in moments]
    return {f"{title}, {key}": value for key, value in percentiles(values).items()}


def _short(found: Mapping[str, float]) -> str:
    shown = {title.partition(", ")[2]: value for title, value in found.items() if title.endswith(("p50", "p99"))}
    return ", ".join(f"{title} {value:.2f} ms" for title, value in shown.items())


def _live(bootstrap: str, begin: Mapping[tuple[str, int], int]) -> int:
    """How many markets had a live book since then."""
    messages = read_since(bootstrap, begin)
    return len({book.market for one in messages for book in decode_books(one.value() or b"") if book.state == "live"})
