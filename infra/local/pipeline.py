"""Every process of the pipeline as the supervisor is to keep it: its command, its settings, nothing else."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.child import ChildSpec
from schemas.records import Region

PRIVATE: Final = ("KALSHI", "POLYMARKET", "INFLUX", "POSTGRES")
"""Settings of one venue or store begin with its name and go to its own processes only."""

SOURCES: Final = (
    "producer.kalshi",
    "producer.polymarket",
    "gateway.kalshi",
    "gateway.polymarket",
    "detector",
    "executor",
    "sink.influx",
    "sink.postgres",
)
"""The names under which the processes report their metrics, in the order of the road."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens: `host:port` for Kafka, URLs for the rest."""

    kafka_us: str
    kafka_eu: str
    influx_url: str
    postgres_dsn: str

    def environment(self, data_dir: Path) -> dict[str, str]:
        """The settings that every process of this stack shares."""
        return {
            "DUTCHBOOK_KAFKA_US": self.kafka_us,
            "DUTCHBOOK_KAFKA_EU": self.kafka_eu,
            "DUTCHBOOK_INFLUX_URL": self.influx_url,
            "DUTCHBOOK_POSTGRES_DSN": self.postgres_dsn,
            "DUTCHBOOK_DATA_DIR": str(data_dir),
        }


@dataclass(frozen=True, slots=True)
class Playback:
    """A tape to be played: its folder, `speed` as given on the command line, the simulators' ports, Kalshi's keys."""

    tape: Path
    speed: str
    kalshi_port: int
    polymarket_port: int
    kalshi_public_key: Path
    kalshi_private_key: Path

    def environment(self) -> dict[str, str]:
        """The settings that point the producers at the simulators."""
        return simulator_environment(self.kalshi_port, self.polymarket_port, self.kalshi_private_key)


def simulator_environment(kalshi_port: int, polymarket_port: int, kalshi_private_key: Path) -> dict[str, str]:
    """The settings that point the producers at simulators on these ports of 127.0.0.1."""
    kalshi, polymarket = f"127.0.0.1:{kalshi_port}", f"127.0.0.1:{polymarket_port}"
    return {
        "DUTCHBOOK_KALSHI_REST_URL": f"http://{kalshi}/trade-api/v2",
        "DUTCHBOOK_KALSHI_WS_URL": f"ws://{kalshi}/trade-api/ws/v2",
        "DUTCHBOOK_KALSHI_KEY_ID": "simulator",
        "DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE": str(kalshi_private_key),
        "DUTCHBOOK_POLYMARKET_CLOB_URL": f"http://{polymarket}",
        "DUTCHBOOK_POLYMARKET_GAMMA_URL": f"http://{polymarket}",
        "DUTCHBOOK_POLYMARKET_WS_URL": f"ws://{polymarket}/ws/market",
    }


def simulators(playback: Playback) -> list[ChildSpec]:
    """The two venues, holding their tape until they are told to start."""
    common = ("--tape", str(playback.tape), "--speed", playback.speed, "--hold")
    kalshi = ("--port", str(playback.kalshi_port), "--kalshi-public-key", str(playback.kalshi_public_key))
    polymarket = ("--port", str(playback.polymarket_port))
    return [
        _venue("venue-kalshi", (*_python("infra.simulator", "kalshi"), *common, *kalshi)),
        _venue("venue-polymarket", (*_python("infra.simulator", "polymarket"), *common, *polymarket)),
    ]


def _venue(name: str, argv: tuple[str, ...]) -> ChildSpec:
    """A simulator that dies takes its place in the tape with it, so it is not started again: the stack fails."""
    return ChildSpec(name=name, argv=argv, restart_limit=0)


def pipeline(environment: Mapping[str, str]) -> list[ChildSpec]:
    """Every process of the pipeline, in the order of the road."""
    processes: list[tuple[str, tuple[str, ...], Region, str]] = [
        ("producer-kalshi", _python("producers.kalshi"), "us", "KALSHI"),
        ("producer-polymarket", _python("producers.polymarket"), "eu", "POLYMARKET"),
        ("gateway-kalshi", _python("producers.kalshi.gateway"), "us", "KALSHI"),
        ("gateway-polymarket", _python("producers.polymarket.gateway"), "eu", "POLYMARKET"),
        ("detector", faust_worker("streams.detector"), "us", ""),
        ("executor", faust_worker("streams.executor"), "us", ""),
        ("sink-influx", _python("sinks", "influx"), "us", "INFLUX"),
        ("sink-postgres", _python("sinks", "postgres"), "us", "POSTGRES"),
    ]
    return [
        ChildSpec(name=name, argv=argv, env=_only(environment, own) | {"DUTCHBOOK_REGION": region})
        for name, argv, region, own in processes
    ]


def _only(environment: Mapping[str, str], own: str) -> dict[str, str]:
    """The settings that all share, and of the venues' and stores' only those of `own`: keys stay where they belong."""
    kept = {f"DUTCHBOOK_{name}_" for name in PRIVATE if name != own}
    return {name: value for name, value in environment.items() if not name.startswith(tuple(kept))}


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def faust_worker(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "faust", "-A", module, "-L", "uvloop", "worker", "-l", "warn", "--without-web")
