"""The foreign services on real parts: they come up, mirror, survive kills, and two stacks stand side by side."""

import asyncio
import http.client
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from infra.local.child import ChildSpec
from infra.local.parts import find_parts
from infra.local.ports import PortLease
from infra.local.postgres import postgres, postgres_dsn
from infra.local.services import INFLUX_DATABASE, PORT_NAMES, foreign_services, influxd, kafka
from infra.local.supervise import Supervisor
from schemas.topics import mirrormaker_properties, remote_name

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

TOPIC = "book.polymarket"
PARTITIONS = 8


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user can pass, as a clone outside a closed home would be (pytest's own is closed to others)."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 240))


def bootstrap(ports: dict[str, int], region: str) -> str:
    return f"127.0.0.1:{ports[f'{region}-kafka']}"


def create(address: str, *names: str) -> None:
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    for future in client.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(30)


def produce(address: str, topic: str, values: Sequence[bytes]) -> None:
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "enable.idempotence": True})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=number % PARTITIONS)
    assert producer.flush(60) == 0


def consume(address: str, topic: str, wanted: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(found) < wanted and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        value = message.value() if message and not message.error() else None
        if value is not None:
            found.append(value)
    consumer.close()
    return found


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


def open_ports(ports: dict[str, int], data_dir: Path) -> tuple[ChildSpec, ...]:
    properties = mirrormaker_properties(bootstrap(ports, "us"), bootstrap(ports, "eu"))
    return tuple(foreign_services(find_parts(), data_dir, ports, properties))


def test_both_clusters_mirror_and_a_killed_mirror_and_broker_lose_nothing(open_folder: Path) -> None:
    async def scenario() -> None:
        with PortLease(PORT_NAMES) as lease:
            ports = lease.ports
            us, eu, _, _, mirror = open_ports(ports, open_folder)
            async with Supervisor(open_folder, ports=ports) as supervisor:
                await supervisor.start(us, eu)
                create(bootstrap(ports, "eu"), TOPIC)
                create(bootstrap(ports, "us"), remote_name("eu", TOPIC))
                await supervisor.start(mirror)
                first = [b"%d" % number for number in range(200)]
                await asyncio.to_thread(produce, bootstrap(ports, "eu"), TOPIC, first)
                supervisor.signal("mirrormaker", signal.SIGKILL)
                supervisor.signal("eu-kafka", signal.SIGKILL)
                second = [b"%d" % number for number in range(200, 400)]
                await asyncio.to_thread(produce, bootstrap(ports, "eu"), TOPIC, second)
                mirrored: set[bytes] = set()
                await until(lambda: supervisor.records["mirrormaker"].restarts == 1, "the mirror is started again")
                while mirrored != {*first, *second}:
                    found = await asyncio.to_thread(
                        consume, bootstrap(ports, "us"), remote_name("eu", TOPIC), len(first + second) - len(mirrored)
                    )
                    assert found, f"nothing more arrives, {len(mirrored)} of 400 are there"
                    mirrored.update(found)
                assert {name: record.restarts for name, record in supervisor.records.items()} == {
                    "us-kafka": 0,
                    "eu-kafka": 1,
                    "mirrormaker": 1,
                }

    run(scenario())


def test_a_mirrored_topic_is_not_created_by_asking_for_it(open_folder: Path) -> None:
    async def scenario() -> None:
        with PortLease(PORT_NAMES) as lease:
            async with Supervisor(open_folder) as supervisor:
                await supervisor.start(kafka("us", find_parts(), open_folder, lease.ports))
                client = AdminClient({"bootstrap.servers": bootstrap(lease.ports, "us"), "log_level": 0})
                client.list_topics("typing.error", timeout=10)
                assert "typing.error" not in client.list_topics(timeout=10).topics

    run(scenario())


def stores(data_dir: Path, ports: dict[str, int]) -> tuple[ChildSpec, ChildSpec]:
    return influxd(find_parts(), data_dir, ports), postgres(find_parts(), data_dir, ports)


def influx_answer(ports: dict[str, int], query: str) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", ports["influxd"], timeout=5)) as connection:
        connection.request("GET", f"/query?q={query.replace(' ', '+')}&db={INFLUX_DATABASE}")
        return connection.getresponse().read().decode()


def write_both(data_dir: Path, ports: dict[str, int], word: str) -> None:
    with psycopg.connect(postgres_dsn(data_dir, ports)) as connection:
        connection.execute("create table if not exists words (word text primary key)")
        connection.execute("insert into words values (%s)", (word,))
    with closing(http.client.HTTPConnection("127.0.0.1", ports["influxd"], timeout=5)) as influx:
        influx.request("POST", f"/write?db={INFLUX_DATABASE}", body=f'words word="{word}" 1')
        assert influx.getresponse().status == 204


def assert_both_have(data_dir: Path, ports: dict[str, int], word: str) -> None:
    with psycopg.connect(postgres_dsn(data_dir, ports)) as connection:
        assert connection.execute("select word from words").fetchall() == [(word,)]
    assert f'"{word}"' in influx_answer(ports, "select * from words")


def test_two_stacks_stand_side_by_side_and_keep_their_data_over_kill_and_restart(open_folder: Path) -> None:
    async def scenario() -> None:
        folders = [open_folder / "one", open_folder / "other"]
        with PortLease(PORT_NAMES) as one, PortLease(PORT_NAMES) as other:
            leases = [one, other]
            async with Supervisor(folders[0]) as first, Supervisor(folders[1]) as second:
                for supervisor, folder, lease in zip((first, second), folders, leases, strict=True):
                    await supervisor.start(*stores(folder, lease.ports))
                    write_both(folder, lease.ports, folder.name)
                for name in ("postgres", "influxd"):
                    first.signal(name, signal.SIGKILL)
                await until(
                    lambda: all(r.restarts == 1 and r.state == "ready" for r in first.records.values()), "second life"
                )
                for folder, lease in zip(folders, leases, strict=True):
                    assert_both_have(folder, lease.ports, folder.name)
            async with Supervisor(folders[0]) as again:
                await again.start(*stores(folders[0], one.ports))
                assert_both_have(folders[0], one.ports, "one")

    run(scenario())


def test_postgres_wants_the_password_and_the_record_does_not_have_it(open_folder: Path) -> None:
    async def scenario() -> None:
        with PortLease(PORT_NAMES) as lease:
            async with Supervisor(open_folder) as supervisor:
                await supervisor.start(postgres(find_parts(), open_folder, lease.ports))
                dsn = postgres_dsn(open_folder, lease.ports)
                secret = dsn.split(":")[2].split("@")[0]
                assert len(secret) > 20
                assert secret not in (open_folder / "run.json").read_text()
                assert (open_folder / "postgres.password").stat().st_mode & 0o077 == 0
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    psycopg.connect(dsn.replace(secret, "guess"))

    run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")
def test_root_behind_a_closed_folder_gets_postgres_in_the_temporary_folder(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, temporary = open_folder / "home", open_folder / "tmp"
    home.mkdir(mode=0o700)
    temporary.mkdir(mode=0o755)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    # As if the environment, too, were in a closed home.
    installed = find_parts()
    package = installed.postgres_bin.parent.parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, home / name, symlinks=True)
    closed = home / installed.postgres_bin.relative_to(package.parent)
    parts = replace(installed, postgres_bin=closed)
    said: list[str] = []

    async def scenario() -> None:
        with PortLease(PORT_NAMES) as lease:
            async with Supervisor(home / "data") as supervisor:
                await supervisor.start(postgres(parts, home / "data", lease.ports, said.append))
                with psycopg.connect(postgres_dsn(home / "data", lease.ports)) as connection:
                    assert connection.execute("select 1").fetchone() == (1,)

    run(scenario())
    shutil.rmtree(home / "data")
    run(scenario())  # a new data folder of the same name does not meet the old database and its password
    assert [line.split(";")[0] for line in said[:2]] == [
        f"postgres: nobody cannot reach {home / 'data'}",
        f"postgres: nobody cannot reach {closed}",
    ]
    assert home.stat().st_mode & 0o777 == 0o700
