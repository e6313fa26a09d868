"""`dutchbook explain`: one opportunity with the books that it was decided on, as text or as one JSON object."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from infra.explain.facts import LEVELS
from runtime import logs
from schemas.records import Region

if TYPE_CHECKING:
    from infra.explain.check import Check
    from infra.explain.facts import Facts

SHORTEST: Final = 8
"""Digits of an id that are asked for at least."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("opportunity", metavar="OPPORTUNITY", help=f"its id, or its first {SHORTEST} digits or more")
    verb.add_argument("--revision", type=_number, metavar="N", help="this event (default: its life, and the opening)")
    verb.add_argument("--run", dest="run_name", default="", metavar="NAME", help="as that replay decided it")
    verb.add_argument("--depth", type=_number, default=LEVELS, metavar="N", help=f"levels a side (default: {LEVELS})")
    verb.add_argument("--json", action="store_true", help="one JSON object instead of text")
    verb.add_argument("--data-dir", type=Path, help="of the stack to read from")


def run(options: argparse.Namespace, bootstrap: Callable[[Region, Path | None], str]) -> int:
    """Carry the verb out; returns the exit code: 1 when a number does not follow from the books.

    Raises ExplainError, after everything else was told, when a leg's book could not be read.
    """
    # What it takes is imported here: every other verb starts without it.
    from infra.explain.check import check
    from infra.explain.kafka import ExplainError, Topics

    logs.configure("dutchbook", logging.ERROR)
    if len(options.opportunity) < SHORTEST:
        raise ExplainError(f"{options.opportunity!r} is too short: give an id, or at least its first {SHORTEST} digits")
    with Topics(bootstrap("us", options.data_dir), options.run_name) as topics:
        facts = topics.facts(topics.life(options.opportunity.lower()), options.revision)
    verdict = check(facts)
    _show(facts, verdict, options)
    problems = [f"leg {leg.number}: {leg.problem}" for leg in facts.legs if leg.problem]
    if problems:
        raise ExplainError("; ".join(problems))
    return 1 if verdict.differences else 0


def _show(facts: "Facts", verdict: "Check", options: argparse.Namespace) -> None:
    from infra.explain.json import as_object
    from infra.explain.text import lines

    if options.json:
        sys.stdout.write(msgspec.json.encode(as_object(facts, verdict)).decode() + "\n")
    else:
        bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
        for line in lines(facts, verdict, options.depth):
            heading = bool(line) and not line.startswith(" ")
            sys.stdout.write((f"{bold[0]}{line}{bold[1]}" if heading else line) + "\n")
    sys.stdout.flush()


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)
