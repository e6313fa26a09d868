"""Ports for services: free ones, configured ones, and two stacks that never meet."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.bootstrap import ROOT
from infra.local.ports import LOWEST_PORT, PortInUse, PortLease, ephemeral_start, is_free


@pytest.fixture
def listening() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_every_service_has_a_free_port_of_its_own_below_the_ephemeral_range(tmp_path: Path) -> None:
    services = [f"service-{number}" for number in range(40)]
    with PortLease(services, folder=tmp_path) as lease:
        assert list(lease.ports) == services
        assert len(set(lease.ports.values())) == len(services)
        assert all(LOWEST_PORT <= port < ephemeral_start() and is_free(port) for port in lease.ports.values())


def test_a_configured_port_is_taken_as_it_is(tmp_path: Path) -> None:
    with PortLease(["a"], folder=tmp_path) as lease:
        wanted = lease.ports["a"]
    with PortLease(["a", "b"], {"b": wanted}, folder=tmp_path) as lease:
        assert lease.ports["b"] == wanted
        assert lease.ports["a"] != wanted


def test_a_configured_port_in_use_is_named_with_its_service(tmp_path: Path, listening: int) -> None:
    with pytest.raises(PortInUse, match=f"influxd: port {listening} on 127.0.0.1 is in use"):
        PortLease(["postgres", "influxd"], {"influxd": listening}, folder=tmp_path)


def test_a_preferred_port_is_taken_when_free_and_another_when_not(tmp_path: Path, listening: int) -> None:
    with PortLease(["a"], folder=tmp_path) as lease:
        free = lease.ports["a"]
    with PortLease(["a", "b", "c"], {}, preferred={"a": listening, "b": free}, folder=tmp_path) as lease:
        assert lease.ports["b"] == free
        assert lease.ports["a"] != listening


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_what_is_no_port_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(PortInUse, match="is not a port"):
        PortLease(["a"], {"a": port}, folder=tmp_path)


def test_the_same_port_for_two_services_is_refused(tmp_path: Path) -> None:
    with PortLease(["a"], folder=tmp_path) as lease:
        port = lease.ports["a"]
    with pytest.raises(PortInUse, match="b: port"):
        PortLease(["a", "b"], {"a": port, "b": port}, folder=tmp_path)


def test_two_stacks_that_draw_the_same_numbers_do_not_meet(tmp_path: Path) -> None:
    services = ["a", "b", "c"]
    with (
        PortLease(services, draw=random.Random(7), folder=tmp_path) as one,
        PortLease(services, draw=random.Random(7), folder=tmp_path) as other,
    ):
        assert not set(one.ports.values()) & set(other.ports.values())


def test_a_port_somebody_listens_on_is_not_drawn(tmp_path: Path, listening: int) -> None:
    class Stubborn(random.Random):
        drawn = 0

        def randrange(self, *bounds: object) -> int:
            self.drawn += 1
            return listening if self.drawn == 1 else super().randrange(LOWEST_PORT, ephemeral_start())

    draw = Stubborn(1)
    with PortLease(["a"], draw=draw, folder=tmp_path) as lease:
        assert lease.ports["a"] != listening
    assert draw.drawn >= 2


def test_a_failed_lease_gives_back_what_it_had_taken(tmp_path: Path, listening: int) -> None:
    with PortLease(["a"], folder=tmp_path) as lease:
        port = lease.ports["a"]
    with pytest.raises(PortInUse):
        PortLease(["a", "b"], {"a": port, "b": listening}, folder=tmp_path)
    with PortLease(["a"], {"a": port}, folder=tmp_path) as lease:
        assert lease.ports["a"] == port


def test_a_killed_process_gives_its_ports_back(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from infra.local.ports import PortLease\n"
        "lease = PortLease(['a'], folder=Path(sys.argv[1])); print(lease.ports['a'], flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(PortInUse):
            PortLease(["a"], {"a": port}, folder=tmp_path)
        holder.kill()
        holder.wait()
    with PortLease(["a"], {"a": port}, folder=tmp_path) as lease:
        assert lease.ports["a"] == port
