"""What Polymarket is told, written and read back: the market channel's commands, and the body of `POST /books`."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

PING: Final = "PING"
"""A text frame, not a protocol ping; the venue answers with another one."""

Operation = Literal["subscribe", "unsubscribe"]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first command of a connection has a `type`, every later one an `operation`.

    `custom_feature_enabled` asks for best prices, new and resolved markets. `initial_dump` asks for whole books; it is
    the default of the channel's description, yet one report says that without it some first books do not come.
    """

    assets_ids: tuple[str, ...]
    type: str = ""
    operation: str = ""
    custom_feature_enabled: bool = False
    initial_dump: bool = False

    @property
    def subscribes(self) -> bool:
        """True when the venue answers with whole books."""
        return self.operation == "subscribe" or self.type == "market"


class _Wanted(msgspec.Struct):
    token_id: str


_command = msgspec.json.Decoder(Command)
_wanted = msgspec.json.Decoder(list[_Wanted])


def subscribe(tokens: Iterable[str]) -> str:
    """The first command of a connection."""
    command = Command(assets_ids=tuple(tokens), type="market", custom_feature_enabled=True, initial_dump=True)
    return msgspec.json.encode(command).decode()


def change_subscription(operation: Operation, tokens: Iterable[str]) -> str:
    """A later command of a connection; the first form sent twice is refused (`INVALID OPERATION`)."""
    command = Command(assets_ids=tuple(tokens), operation=operation, custom_feature_enabled=True)
    return msgspec.json.encode(command).decode()


def read(text: str) -> Command | None:
    """A command that was sent; None for a ping. Raises msgspec.MsgspecError."""
    return None if text == PING else _command.decode(text)


def books_request(tokens: Iterable[str]) -> bytes:
    """The body of `POST /books`."""
    return msgspec.json.encode([_Wanted(token) for token in tokens])


def requested(body: bytes | None) -> tuple[str, ...]:
    """The tokens of a `POST /books` that was sent; raises msgspec.MsgspecError."""
    return tuple(one.token_id for one in _wanted.decode(body or b"[]"))
