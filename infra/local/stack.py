"""The whole stack on one machine: brought up in order, played, drained, counted."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.groups import publish_groups, read_groups
from infra.local.parts import Parts
from infra.local.pipeline import SOURCES, Addresses, Playback, pipeline, simulators
from infra.local.postgres import postgres, postgres_dsn
from infra.local.services import PORT_NAMES, influxd, kafka, mirrormaker
from infra.local.supervise import StopRequested, Supervisor
from infra.observe import Observed, Observer
from runtime.kafka import create_topics, read_whole
from schemas.records import Group, Region, Venue
from schemas.topics import HOME, REGIONS, creations, mirrormaker_properties

VENUE_PORTS: Final = ("venue-kalshi", "venue-polymarket")
ALL_PORTS: Final = (*PORT_NAMES, *VENUE_PORTS)
READY_WITHIN_S: Final = 120.0
KEY_NAME: Final = "kalshi-simulator-key"

Say = Callable[[str], None]


class StackNotReady(RuntimeError):
    """A part did not become ready in time; the message names every one that is missing."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to bring up: a tape (None: the live venues), its speed, and extra settings for the processes."""

    data_dir: Path
    tape: Path | None
    speed: str
    settings: dict[str, str]


def addresses_of(data_dir: Path, ports: dict[str, int]) -> Addresses:
    """Where a stack with these ports listens."""
    return Addresses(
        kafka_us=f"127.0.0.1:{ports['us-kafka']}",
        kafka_eu=f"127.0.0.1:{ports['eu-kafka']}",
        influx_url=f"http://127.0.0.1:{ports['influxd']}",
        postgres_dsn=postgres_dsn(data_dir, ports),
    )


class Stack:
    """One running stack. The supervisor it is given owns the processes; this knows their order and their meaning."""

    def __init__(
        self, supervisor: Supervisor, parts: Parts, options: StackOptions, ports: dict[str, int], say: Say
    ) -> None:
        self._supervisor = supervisor
        self._parts = parts
        self._options = options
        self._ports = ports
        self._say = say
        self.addresses = addresses_of(options.data_dir, ports)
        self.observer = Observer(self.addresses.kafka_us, since_ns=time.time_ns())
        inherited = {name: value for name, value in os.environ.items() if name.startswith("DUTCHBOOK_")}
        self.environment = inherited | self.addresses.environment(options.data_dir) | options.settings
        self.warnings: list[str] = []
        self._playback = self._make_playback() if options.tape is not None else None
        if self._playback is not None:
            self.environment |= self._playback.environment()

    async def start(self) -> None:
        """Bring everything up; returns when every process has reported and every grouped market is followed."""
        began = time.monotonic()
        data_dir, ports, parts = self._options.data_dir, self._ports, self._parts
        self._say("starting two Kafka clusters, InfluxDB and Postgres")
        await self._supervisor.start(
            kafka("us", parts, data_dir, ports),
            kafka("eu", parts, data_dir, ports),
            influxd(parts, data_dir, ports),
            postgres(parts, data_dir, ports, self._say),
        )
        self._say(f"stores ready after {time.monotonic() - began:.1f} s; creating topics, starting MirrorMaker 2")
        await asyncio.to_thread(self._create_topics)
        groups = await asyncio.to_thread(self._publish_groups)
        self.observer.start()
        properties = mirrormaker_properties(self.addresses.kafka_us, self.addresses.kafka_eu)
        specs = pipeline(self.environment)
        if self._playback is not None:
            specs = simulators(self._playback) + specs
        await self._supervisor.start(mirrormaker(properties, parts, data_dir, ports), *specs)
        self._say(f"all processes run after {time.monotonic() - began:.1f} s; waiting until each has reported")
        await self._until_reported(groups)
        self._say(f"the road is open after {time.monotonic() - began:.1f} s")
        await asyncio.to_thread(self._warn_of_unknown_markets, groups)

    async def play(self) -> None:
        """Start the tape at both venues at the same moment; the mirror's latency counts from here, when it is warm."""
        self.observer.seen.mirror_latency_us.clear()
        if self._playback is not None:
            at_ns = time.time_ns() + 300_000_000
            await asyncio.gather(*(self._tell_venue(port, at_ns) for port in self._venue_ports()))

    async def tape_ended(self) -> bool:
        """Whether both venues have played everything."""
        states = [state.get("state") for state in await self.venue_states()]
        return bool(states) and all(state == "ended" for state in states)

    async def venue_states(self) -> list[dict[str, object]]:
        """What each simulator says of itself; one that does not answer says nothing."""
        found: list[dict[str, object]] = []
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for port in self._venue_ports():
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/_simulator/status")
                    found.append(answer.json())
                except (httpx.HTTPError, ValueError):
                    found.append({})
        return found

    def _venue_ports(self) -> tuple[int, ...]:
        return (self._playback.kalshi_port, self._playback.polymarket_port) if self._playback else ()

    async def _tell_venue(self, port: int, at_ns: int) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.post(f"http://127.0.0.1:{port}/_simulator/start", json={"at_ns": at_ns})
            answer.raise_for_status()

    def _make_playback(self) -> Playback:
        assert self._options.tape is not None
        private, public = make_key(self._options.data_dir / KEY_NAME)
        return Playback(
            tape=self._options.tape,
            speed=self._options.speed,
            kalshi_port=self._ports["venue-kalshi"],
            polymarket_port=self._ports["venue-polymarket"],
            kalshi_public_key=public,
            kalshi_private_key=private,
        )

    def _create_topics(self) -> None:
        for region in REGIONS:
            create_topics(self._bootstrap(region), creations(region))

    def _bootstrap(self, region: Region) -> str:
        return self.addresses.kafka_us if region == "us" else self.addresses.kafka_eu

    def _publish_groups(self) -> Sequence[Group]:
        """Publish the tape's groups as approved for paper play, and return them; none without a tape."""
        if self._options.tape is None:
            return ()
        groups = read_groups(self._options.tape / "groups.yaml", status="approved", updated_by="tape")
        publish_groups(self.addresses.kafka_us, groups)
        self._say(f"{len(groups)} groups published")
        return groups

    async def _until_reported(self, groups: Sequence[Group]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while missing := self._missing(groups):
            if time.monotonic() > deadline:
                raise StackNotReady(f"not ready within {READY_WITHIN_S:.0f} s: {'; '.join(missing)}")
            if self._supervisor.stop_requested.is_set():
                raise StopRequested("a stop was asked for")
            await asyncio.sleep(0.05)

    def _missing(self, groups: Sequence[Group]) -> list[str]:
        return not_reported(self.observer.seen, groups)

    def _warn_of_unknown_markets(self, groups: Sequence[Group]) -> None:
        for venue, home in HOME.items():
            if not self.observer.seen.newest("markets_unknown", venue=venue):
                continue
            known = {message.key() for message in read_whole(self._bootstrap(home), [f"market.{venue}"])}
            for market, group in markets_of(groups, venue).items():
                if market.encode() not in known:
                    self.warnings.append(f"{venue} does not know market {market} of group {group}; the others go on")
        for warning in self.warnings:
            self._say(f"warning      {warning}")


def not_reported(seen: Observed, groups: Sequence[Group]) -> list[str]:
    """What is not there yet, in words. A market that its venue does not know is not waited for."""
    reported = {source for source, _ in list(seen.metrics)}
    missing = [f"{source} has not reported" for source in SOURCES if source not in reported]
    for venue in HOME:
        expected = len(markets_of(groups, venue))
        followed, unknown = (int(seen.newest(f"markets_{what}", venue=venue)) for what in ("subscribed", "unknown"))
        if followed + unknown < expected:
            missing.append(f"{venue} follows {followed} of {expected} markets")
    return missing


def markets_of(groups: Sequence[Group], venue: Venue) -> dict[str, str]:
    """A venue's markets in these groups, each with its group."""
    return {member.market: group.group for group in groups for member in group.members if member.venue == venue}


def make_key(stem: Path) -> tuple[Path, Path]:
    """The simulator's own RSA key pair, made once per data folder; returns the private and the public PEM file."""
    private, public = stem.with_suffix(".pem"), stem.with_suffix(".pub.pem")
    if not (private.exists() and public.exists()):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private.parent.mkdir(parents=True, exist_ok=True)
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return private, public


def unhealthy(supervisor: Supervisor) -> Sequence[str]:
    """What did not stay up, in words."""
    return [
        f"{name} died and was started again {record.restarts} times"
        for name, record in supervisor.records.items()
        if record.restarts
    ]
