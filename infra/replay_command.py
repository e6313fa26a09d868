"""`dutchbook replay`: a recorded stretch again, through the same detector and executor, under the name of a run."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.stretch_options import add_data_dir, add_stretch, run_name
from runtime.settings import KafkaSettings, load
from schemas.records import Region

AT_ONCE: Final = 0.0


class ReplayUsage(ValueError):
    """The command line asks for what cannot be."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    add_stretch(verb)
    verb.add_argument("--groups", default="", metavar="A,B", help="these groups only (default: all)")
    verb.add_argument("--speed", default="1", help="1 is as recorded, X is X times, max is as fast as it is read")
    verb.add_argument("--run", dest="run_name", type=run_name, metavar="NAME", help="its name (default: the time)")
    verb.add_argument("--cold", action="store_true", help="begin without the books from before --from")
    verb.add_argument("--publish-only", action="store_true", help="start no workers: run them by hand")
    add_data_dir(verb)


def run(options: argparse.Namespace, bootstrap: Callable[[Region, Path | None], str]) -> int:
    """Carry the verb out; returns the exit code."""
    from infra.replay import Wish, replay
    from streams.replay.script import Stretch

    if options.from_ns is not None and options.to_ns is not None and options.from_ns >= options.to_ns:
        raise ReplayUsage("--from is not before --to")
    groups = frozenset(name.strip() for name in options.groups.split(",") if name.strip())
    wish = Wish(
        run=options.run_name or time.strftime("%Y%m%d-%H%M%S", time.gmtime()),
        stretch=Stretch(options.from_ns, options.to_ns, groups, options.cold),
        speed=_speed(options.speed),
        speed_text=options.speed,
        publish_only=options.publish_only,
        folder=_folder(options.data_dir),
    )
    return replay(bootstrap("us", options.data_dir), wish, _say)


def _speed(text: str) -> float:
    from infra.simulator.tape import parse_speed

    try:
        return parse_speed(text) or AT_ONCE
    except ValueError as error:
        raise ReplayUsage(f"--speed: {error}") from error


def _folder(data_dir: Path | None) -> Path:
    """Where the workers of runs keep their logs: in the folder of the stack that runs, else in the data folder."""
    from infra.status import NoStack, find_data_dir

    try:
        return find_data_dir(data_dir) / "replays"
    except NoStack:
        if data_dir is not None:
            raise
        return load(KafkaSettings).data_dir.absolute() / "replays"


def _say(words: str) -> None:
    print(words, flush=True)
