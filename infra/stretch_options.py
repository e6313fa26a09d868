"""Options that several verbs share: a stretch of time, a run, the stack to read from."""

import argparse
from pathlib import Path

from infra.moments import parse_moment
from schemas.runs import RunNameError, check_run_name


def add_stretch(verb: argparse.ArgumentParser) -> None:
    """`--from` and `--to`, in nanoseconds as `from_ns` and `to_ns`."""
    verb.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="from then on (default: all)")
    verb.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="before then (default: up to now)")


def add_data_dir(verb: argparse.ArgumentParser) -> None:
    """`--data-dir`."""
    verb.add_argument("--data-dir", type=Path, help="of the stack to read from (default: the one started last)")


def moment(text: str) -> int:
    """A time on the command line."""
    try:
        return parse_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run_name(text: str) -> str:
    """The name of a run on the command line."""
    try:
        return check_run_name(text)
    except RunNameError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
