"""The `dutchbook` command line: one verb per task; every wrong input ends with one clear line and exit code 2."""

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException

from runtime import logs
from runtime.kafka import DeliveryFailed, KafkaUnavailable, create_topics
from runtime.settings import KafkaSettings, SettingsError, load
from schemas.records import Region
from schemas.topics import REGIONS, creations

DEFAULT_TAPE = "btc-15m"
EXIT_FAILED = 1
EXIT_USAGE = 2


class UsageError(ValueError):
    """The command line is wrong in a way that argparse does not see."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _user_errors() as error:
        print(f"dutchbook {options.verb}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except _failures() as error:
        print(f"dutchbook {options.verb}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KafkaException as error:
        print(f"dutchbook {options.verb}: Kafka: {error.args[0].str()}", file=sys.stderr)
        return EXIT_USAGE


def _user_errors() -> tuple[type[Exception], ...]:
    from infra.decode import UnknownTopic
    from infra.explain.kafka import ExplainError
    from infra.groups import GroupFileError
    from infra.groups_command import GroupsUsage
    from infra.rebuild import RebuildError
    from infra.rebuild_command import RebuildUsage
    from infra.record.frames import RecordError
    from infra.replay_command import ReplayUsage
    from infra.scan_command import ScanUsage
    from infra.status import NoStack
    from infra.up import USER_ERRORS
    from runtime.ranges import EmptyRange
    from streams.replay.journal import JournalError
    from streams.replay.reading import Evicted, Unreadable
    from streams.replay.runs import RunExists, UnknownRun

    return (
        UsageError,
        SettingsError,
        KafkaUnavailable,
        DeliveryFailed,
        ExplainError,
        UnknownTopic,
        GroupFileError,
        GroupsUsage,
        RebuildUsage,
        RebuildError,
        ScanUsage,
        EmptyRange,
        Evicted,
        JournalError,
        RecordError,
        ReplayUsage,
        RunExists,
        UnknownRun,
        Unreadable,
        NoStack,
        *USER_ERRORS,
    )


def _failures() -> tuple[type[Exception], ...]:
    from infra.up import FAILURES

    return FAILURES


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="dutchbook", description="Real-time arbitrage between Kalshi and Polymarket.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_up(verbs.add_parser("up", help="run the whole stack on this machine"))
    status = verbs.add_parser("status", help="what the running stack is doing")
    status.add_argument("--data-dir", type=Path, help="of the stack (default: the one started last below data/)")
    status.add_argument("--environment", action="store_true", help="print the stack's settings as shell exports")
    status.set_defaults(run=_status)
    _add_topics(verbs.add_parser("topics", help="list or create the topics"))
    _add_mirrormaker(verbs.add_parser("mirrormaker", help="copy what the other region has into this one"))
    _add_groups(verbs.add_parser("groups", help="check, publish and decide on groups of markets"))
    _add_rebuild(verbs.add_parser("rebuild", help="build books again from raw frames, and check the published ones"))
    _add_scan(verbs.add_parser("scan", help="every opportunity on a tape, as JSON lines"))
    _add_command(verbs.add_parser("verify", help="run the core over the journal again, and compare"), "verify_command")
    _add_command(verbs.add_parser("replay", help="a recorded stretch again, under the name of a run"), "replay_command")
    _add_command(verbs.add_parser("explain", help="why an opportunity was what it was"), "explain.command")
    _add_command(verbs.add_parser("record", help="a stretch of what was seen live, as a tape"), "record.command")
    _add_command(verbs.add_parser("runs", help="list, show, compare and remove replays"), "runs_command")
    decode = verbs.add_parser("decode", help="print a topic's records as JSON lines")
    decode.add_argument("topic")
    decode.add_argument("--from-beginning", action="store_true", help="existing records first")
    decode.add_argument("--max", type=_positive, metavar="N", help="end after N records")
    decode.add_argument("--region", choices=REGIONS, help="for a topic that both clusters have (default: us)")
    decode.add_argument("--data-dir", type=Path, help="of the stack to read from")
    decode.set_defaults(run=_decode)
    return top


def _add_up(up: argparse.ArgumentParser) -> None:
    source = up.add_mutually_exclusive_group()
    source.add_argument(
        "--tape", metavar="NAME_OR_FOLDER", default=None, help=f"what to play (default: {DEFAULT_TAPE})"
    )
    source.add_argument("--live", action="store_true", help="paper trading on the venues' live books")
    up.add_argument("--speed", default="1", help="1 is as recorded, X is X times, max is as fast as it is read")
    length = up.add_mutually_exclusive_group()
    length.add_argument("--for", dest="seconds", type=_seconds, metavar="SECONDS", help="end after this time")
    length.add_argument("--until-tape-end", action="store_true", help="end when the tape has been played")
    up.add_argument("--summary", type=Path, metavar="FILE", help="write what was counted as JSON")
    up.add_argument("--data-dir", type=Path, metavar="DIR", help="keep everything here (default: below data/)")
    up.add_argument("--port", action="append", default=[], metavar="SERVICE=PORT", help="configure a port; repeatable")
    up.set_defaults(run=_up)


def _add_rebuild(rebuild: argparse.ArgumentParser) -> None:
    from infra import rebuild_command

    rebuild_command.add_arguments(rebuild)
    rebuild.set_defaults(run=lambda options: rebuild_command.run(options, _bootstrap))


def _add_scan(scan: argparse.ArgumentParser) -> None:
    from infra import scan_command

    scan_command.add_arguments(scan)
    scan.set_defaults(run=scan_command.run)


def _add_command(verb: argparse.ArgumentParser, module: str) -> None:
    """A verb whose command line is a module of its own."""
    command = importlib.import_module(f"infra.{module}")
    command.add_arguments(verb)
    verb.set_defaults(run=lambda options: command.run(options, _bootstrap))


def _add_topics(topics: argparse.ArgumentParser) -> None:
    verbs = topics.add_subparsers(dest="what", required=True)
    listing = verbs.add_parser("list", help="every topic of both clusters")
    listing.add_argument("--json", action="store_true", help="as they are deployed, for Terraform")
    listing.set_defaults(run=_topics_list)
    create = verbs.add_parser("create", help="create what is missing")
    create.add_argument("--region", choices=REGIONS, help="in this cluster only (default: in both)")
    create.add_argument("--replication-factor", type=_positive, default=1)
    create.add_argument("--data-dir", type=Path)
    create.set_defaults(run=_topics_create)


def _add_mirrormaker(mirrormaker: argparse.ArgumentParser) -> None:
    from infra.mirrormaker import command

    command.add_arguments(mirrormaker)
    mirrormaker.set_defaults(run=command.run)


def _add_groups(groups: argparse.ArgumentParser) -> None:
    from infra import groups_command

    groups_command.add_arguments(groups, _bootstrap)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def _ports(pairs: Sequence[str]) -> dict[str, int]:
    from infra.local.stack import ALL_PORTS

    ports: dict[str, int] = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if name not in ALL_PORTS or not number.isdigit():
            raise UsageError(f"--port {pair}: expected SERVICE=PORT with a service of {', '.join(ALL_PORTS)}")
        ports[name] = int(number)
    return ports


def _up(options: argparse.Namespace) -> int:
    from infra.simulator.tape import parse_speed
    from infra.up import UpOptions, up
    from infra.view import View

    try:
        parse_speed(options.speed)
    except ValueError as error:
        raise UsageError(f"--speed: {error}") from error
    if options.live and options.until_tape_end:
        raise UsageError("--until-tape-end needs a tape, and --live has none")
    wanted = UpOptions(
        tape=None if options.live else options.tape or DEFAULT_TAPE,
        live=options.live,
        speed=options.speed,
        seconds=options.seconds,
        until_tape_end=options.until_tape_end,
        summary=options.summary,
        data_dir=options.data_dir,
        ports=_ports(options.port),
    )
    if wanted.summary is not None:
        _check_summary(wanted.summary.absolute())
    logs.configure("dutchbook", logging.ERROR)  # what the clients warn of, the view shows in its own words
    with View() as view:
        return asyncio.run(up(wanted, view))


def _check_summary(file: Path) -> None:
    if not file.parent.is_dir():
        raise UsageError(f"--summary: the folder {file.parent} does not exist")
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"--summary: {file} cannot be written")


def _status(options: argparse.Namespace) -> int:
    from infra.status import show

    return show(options.data_dir, environment=options.environment)


def _bootstrap(region: Region, data_dir: Path | None) -> str:
    """From the environment, else from the stack that runs."""
    from infra.status import running_bootstrap

    if data_dir is None and f"DUTCHBOOK_KAFKA_{region.upper()}" in os.environ:
        return load(KafkaSettings).bootstrap(region)
    return running_bootstrap(region, data_dir)


def _topics_list(options: argparse.Namespace) -> int:
    from infra import topics_list

    if options.json:
        sys.stdout.write(topics_list.document())
        return 0
    for line in topics_list.lines():
        print(line)
    return 0


def _topics_create(options: argparse.Namespace) -> int:
    replicas = options.replication_factor
    for region in REGIONS if options.region is None else (options.region,):
        created = create_topics(
            _bootstrap(region, options.data_dir), creations(region, replicas), replication_factor=replicas
        )
        print(f"{region}: {len(created)} topics created")
    return 0


def _decode(options: argparse.Namespace) -> int:
    from infra.decode import follow, region_of

    bootstrap = _bootstrap(region_of(options.topic, options.region), options.data_dir)
    for line in follow(bootstrap, options.topic, from_beginning=options.from_beginning, maximum=options.max):
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
