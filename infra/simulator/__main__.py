"""``python -m infra.simulator VENUE --tape FOLDER [--exchange --seed N --rate R]``: one simulator as a process."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from infra.simulator.playback import parse_rate
from infra.simulator.server import HOST, Options, Simulator, serve
from infra.simulator.tape import VENUES, Tape, TapeError, parse_speed, resolve


def main(arguments: list[str] | None = None) -> int:
    """Run one simulator until SIGINT or SIGTERM. Returns 0, or 2 after saying on stderr what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        tape = Tape.open(resolve(options.tape, Path(options.cache)))
        settings = Options(
            port=options.port,
            speed=parse_speed(options.speed),
            hold=options.hold,
            kalshi_public_key=Path(options.kalshi_public_key) if options.kalshi_public_key else None,
            exchange=options.exchange,
            seed=options.seed,
            rate=parse_rate(options.rate),
            host=options.host,
        )
        asyncio.run(_until_signalled(options.venue, tape, settings))
    except (TapeError, ValueError, OSError) as error:
        print(f"simulator {options.venue}: {error}", file=sys.stderr)
        return 2
    return 0


async def _until_signalled(venue: str, tape: Tape, settings: Options) -> None:
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(serve(venue, tape, settings, _announce))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return


def _announce(simulator: Simulator) -> None:
    print(f"listening on {simulator.host}:{simulator.port}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.simulator", description="Speak a venue's API from a tape.")
    parser.add_argument("venue", choices=VENUES)
    parser.add_argument("--tape", required=True, help="a shipped tape's name, 'generated', or a tape folder")
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (0: any free one)")
    parser.add_argument("--speed", default="1", help="1 is recorded pacing, X is X times, max is as fast as it is read")
    parser.add_argument("--hold", action="store_true", help="wait for POST /_simulator/start")
    parser.add_argument("--cache", default="data/tapes", help="where the generated tape is kept")
    parser.add_argument("--kalshi-public-key", metavar="FILE", help="PEM of the key that Kalshi clients sign with")
    parser.add_argument(
        "--exchange", action="store_true", help="trade: the tape supplies catalogue and groups only, not the frames"
    )
    parser.add_argument("--seed", type=int, default=0, help="what an exchange's traffic and the faults are drawn from")
    parser.add_argument("--rate", default="50", help="actions a second of an exchange's traffic (0: it rests)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
