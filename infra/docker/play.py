"""``python -m infra.docker.play --tape FOLDER --venue URL``: start the compose file's tape, and show what follows.

The simulated venues hold their tape until every process has reported and follows the markets of the tape's groups.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from infra.group_file import GroupFileError, read_groups
from infra.local.stack import not_reported
from infra.observe import Observer
from infra.view import View
from runtime.health import on_stop_signal
from runtime.settings import KafkaSettings, SettingsError, load
from schemas.records import Group

READY_WITHIN_S = 180.0
LEAD_NS = 500_000_000
"""All venues are told to begin this much later, so that they begin together."""
REFRESH_S = 0.2
ALREADY_PLAYING = 409


class PlayFailed(RuntimeError):
    """The tape could not be started; the message says what was missing."""


def wait_until_reported(
    observer: Observer, groups: Sequence[Group], stopped: threading.Event, within_s: float = READY_WITHIN_S
) -> None:
    """Return when nothing is missing any more, or on a stop; PlayFailed names what did not come in time."""
    deadline = time.monotonic() + within_s
    while (missing := not_reported(observer.seen, groups)) and not stopped.is_set():
        if time.monotonic() > deadline:
            raise PlayFailed(f"not ready within {within_s:.0f} s: {'; '.join(missing)}")
        stopped.wait(REFRESH_S)


def start_tapes(client: httpx.Client, venues: Sequence[str]) -> None:
    """Tell every venue to begin at the same moment; one that plays already is left alone.

    Raises PlayFailed when one does not answer or refuses.
    """
    at_ns = time.time_ns() + LEAD_NS
    for venue in venues:
        try:
            answer = client.post(f"{venue}/_simulator/start", json={"at_ns": at_ns})
        except httpx.HTTPError as error:
            raise PlayFailed(f"{venue} does not answer: {error}") from error
        if answer.status_code != ALREADY_PLAYING and answer.is_error:
            raise PlayFailed(f"{venue} does not start its tape: {answer.status_code} {answer.text}")


def play(observer: Observer, tape: Path, venues: Sequence[str], stopped: threading.Event) -> None:
    """Wait until the road is open, start the tape, and print opportunities and tickets until stopped."""
    view = View()
    groups = read_groups(tape / "groups.yaml")
    view.say(f"waiting until every process has reported and follows the markets of {len(groups)} groups")
    wait_until_reported(observer, groups, stopped)
    if not stopped.is_set():
        with httpx.Client(timeout=5, trust_env=False) as client:
            start_tapes(client, venues)
        view.say("the tape plays")
    while not stopped.is_set():
        view.refresh(observer.seen, {}, {})
        stopped.wait(REFRESH_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play until SIGTERM or SIGINT: 0; 1 when the road did not open; 2 when a setting or the tape is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.docker.play", description="Start a tape, and show it.")
    parser.add_argument("--tape", type=Path, required=True, help="the folder with the tape's groups.yaml")
    parser.add_argument("--venue", action="append", required=True, metavar="URL", help="of a simulator; repeatable")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    on_stop_signal(stopped.set)
    try:
        observer = Observer(load(KafkaSettings).kafka_us, since_ns=time.time_ns())
        observer.start()
        try:
            play(observer, options.tape, options.venue, stopped)
        finally:
            observer.stop()
    except (SettingsError, GroupFileError, OSError) as error:
        print(f"play: {error}", file=sys.stderr)
        return 2
    except PlayFailed as error:
        print(f"play: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
