"""`dutchbook status`: the stack that runs on this machine, read from its data folder and its topics."""

import shlex
import time
from pathlib import Path

import psutil

from infra.local.datadir import read_run
from infra.local.drain import lags
from infra.local.pipeline import Addresses, simulator_environment
from infra.local.stack import KEY_NAME, addresses_of
from infra.observe import Observer
from infra.view import opportunity_line, status_line, ticket_line
from schemas.records import Region

CLOCK_SLACK_S = 1.0
"""The kernel's and our reading of the time differ by this much at most."""


class NoStack(RuntimeError):
    """No stack runs where one was looked for."""


def find_data_dir(wanted: Path | None, base: Path = Path("data")) -> Path:
    """The data folder asked for, or that of the stack started last; raises NoStack."""
    if wanted is not None:
        if not running(wanted):
            raise NoStack(f"no stack runs in {wanted}")
        return wanted.absolute()
    candidates = [folder for folder in (*base.glob("runs/*"), base / "live", base) if running(folder)]
    if not candidates:
        raise NoStack("no stack runs here: start one with `dutchbook up`, or name its folder with --data-dir")
    return max(candidates, key=lambda folder: float(read_run(folder).get("started_at", 0))).absolute()


def running(folder: Path) -> bool:
    """Whether the process that wrote the run record is alive, and no later one with its number."""
    run = read_run(folder)
    pid, started_at = run.get("supervisor_pid"), run.get("started_at")
    if not isinstance(pid, int) or not isinstance(started_at, int | float):
        return False
    try:
        return bool(psutil.Process(pid).create_time() <= started_at + CLOCK_SLACK_S)
    except psutil.NoSuchProcess:
        return False


def running_addresses(data_dir: Path | None) -> Addresses:
    """Where the running stack listens."""
    folder = find_data_dir(data_dir)
    return addresses_of(folder, read_run(folder)["ports"])


def running_bootstrap(region: Region, data_dir: Path | None) -> str:
    """A cluster's address in the running stack."""
    addresses = running_addresses(data_dir)
    return addresses.kafka_us if region == "us" else addresses.kafka_eu


def running_environment(folder: Path) -> dict[str, str]:
    """The settings that a process needs to take part in the running stack, the simulated venues included."""
    run = read_run(folder)
    environment = addresses_of(folder, run["ports"]).environment(folder)
    if "venue-kalshi" in run["children"]:
        ports = (run["ports"]["venue-kalshi"], run["ports"]["venue-polymarket"])
        environment |= simulator_environment(*ports, (folder / KEY_NAME).with_suffix(".pem"))
    return environment


def show(data_dir: Path | None, *, environment: bool) -> int:
    """Print the state of the running stack; with `environment`, its settings as shell exports instead."""
    folder = find_data_dir(data_dir)
    if environment:
        for name, value in running_environment(folder).items():
            print(f"export {name}={shlex.quote(value)}")
        return 0
    addresses = running_addresses(folder)
    run = read_run(folder)
    print(f"stack in {folder}, up for {time.time() - float(run['started_at']):.0f} s")
    for name, child in run["children"].items():
        print(f"  {name:20} {child['state']:12} pid {child['pid'] or '-'}  restarts {child['restarts']}")
    observer = Observer(addresses.kafka_us, since_ns=int(run["started_at"] * 1e9))
    observer.start()
    observer.catch_up()
    observer.stop()
    for opportunity in observer.seen.last_opportunities:
        print(f"  opportunity  {opportunity_line(opportunity)}")
    for ticket in list(observer.seen.tickets.values())[-8:]:
        print(f"  ticket       {ticket_line(ticket)}")
    print(status_line(observer.seen, lags(addresses)))
    return 0
