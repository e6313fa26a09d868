"""What may stand in a command to the Kalshi simulator's websocket, and the error codes of everything else.

Source: the venue's websocket description (AsyncAPI, "Error Codes Reference"); 6, 16 and 17 are retired, 18 (command
timeout) and 23 (match ids) have no cause here.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from infra.simulator.kalshi.channels import CHANNELS, COMMUNICATIONS, TICKER
from infra.simulator.kalshi.publisher import Subscription

LARGEST_SHARD_FACTOR = 100


class CommandError(Exception):
    """A refused command: the venue's error code, its text, and the subscription and market it concerns."""

    def __init__(self, code: int, text: str, subscription: Subscription | None = None, ticker: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.subscription = subscription
        self.ticker = ticker


def decode(text: str | bytes) -> dict[str, Any]:
    """A command as an object."""
    try:
        body = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CommandError(1, "Unable to process message") from error
    if not isinstance(body, dict):
        raise CommandError(1, "Unable to process message")
    return body


def identifier_of(body: dict[str, Any]) -> int:
    """A command's id; 0, which is none, for what is no positive 64-bit integer."""
    given = body.get("id", 0)
    return given if type(given) is int and 0 < given < 2**63 else 0


def params_of(body: Any) -> dict[str, Any]:
    """A command's parameters."""
    if not isinstance(body, dict):
        raise CommandError(2, "Params required")
    return body


def channels_of(params: dict[str, Any], *, known: bool) -> list[str]:
    """The channels of a subscribe command; ``known`` says whether the connection is an account's."""
    channels = params.get("channels")
    if not isinstance(channels, list) or not channels:
        raise CommandError(3, "Channels required")
    for channel in channels:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise CommandError(8, "Unknown channel name")
        if CHANNELS[channel].private and not known:
            raise CommandError(9, "Authentication required")
    if COMMUNICATIONS in channels:
        check_shards(params)
    return list(dict.fromkeys(channels))


def check_shards(params: dict[str, Any]) -> None:
    """The fan-out parameters of the communications channel."""
    factor, key = params.get("shard_factor"), params.get("shard_key")
    if factor is None:
        if key is not None:
            raise CommandError(20, "shard_factor is required when shard_key is set")
        return
    if not isinstance(factor, int) or factor <= 0:
        raise CommandError(19, "shard_factor must be > 0")
    if factor > LARGEST_SHARD_FACTOR:
        raise CommandError(22, f"shard_factor must be <= {LARGEST_SHARD_FACTOR}")
    if not isinstance(key if key is not None else 0, int) or not 0 <= (key or 0) < factor:
        raise CommandError(21, "shard_key must be >= 0 and < shard_factor")


def flag(params: dict[str, Any], name: str, default: bool) -> bool:
    """A boolean parameter."""
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise CommandError(11, f"Invalid parameter: {name}")
    return value


def tickers_of(
    params: dict[str, Any], channels: Iterable[str], ids: dict[str, str], subscription: Subscription | None = None
) -> list[str]:
    """The markets that a command names, each once; by id only for the ticker channel.

    Args:
        ids: the tickers of the markets by their ids.
    """
    names = [
        name for name in ("market_ticker", "market_tickers", "market_id", "market_ids") if params.get(name) is not None
    ]
    if len(names) > 1:
        raise CommandError(11, f"Invalid parameter: {names[0]} and {names[1]} are exclusive", subscription)
    if not names:
        return []
    value = params[names[0]]
    listed = value if names[0].endswith("s") else [value]
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise CommandError(11, f"Invalid parameter: {names[0]}", subscription)
    if names[0].startswith("market_id"):
        if any(channel != TICKER for channel in channels):
            raise CommandError(11, f"Invalid parameter: {names[0]}", subscription)
        listed = [ids.get(each, each) for each in listed]
    return list(dict.fromkeys(listed))


def references_of(params: dict[str, Any], action: str, subscription: Subscription) -> list[str]:
    """The indices or underlyings of an action on a reference price channel."""
    indices = action.endswith("_indices")
    name, code = ("index_ids", 24) if indices else ("underlying_tickers", 28)
    listed = params.get(name)
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) for each in listed):
        text = "Index IDs required" if indices else "Underlying tickers required"
        raise CommandError(code, text, subscription)
    return listed
