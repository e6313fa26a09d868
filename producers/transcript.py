"""What is kept of a connection on `raw.<venue>`: everything said in either direction, and what else changed a book.

The records of one connection, in order, are all that its books depend on: the venue's frames and REST bodies verbatim,
our commands and requests, and marks for what has no frame (the connection was lost, a proof is overdue). A session
that is given them again comes to the same books.

| header | meaning |
| --- | --- |
| `kind` | `ws` frame, `rest` body, `sent` command, `asked` request, `mark` |
| `frame` | the record's number on its connection (the record's key), from 0 |
| `received_ns` | when it was received, sent or noted |
| `url` | rest, asked: the path with its query |
| `asked` | rest: the number of the request that it answers |
| `call_start_ns` | rest: when the request was sent |
"""

from typing import Final, Literal

import msgspec

from schemas.records import Market

Kind = Literal["ws", "rest", "sent", "asked", "mark"]
VENUE_KINDS: Final = frozenset({"ws", "rest"})
"""Kinds whose bytes are the venue's own."""


class Followed(msgspec.Struct, frozen=True):
    """A market to follow: its metadata and its group, which is empty for a market in none."""

    market: Market
    group: str = ""


class _Mark(msgspec.Struct, frozen=True, tag_field="mark"):
    """What changed a book and was no frame."""


class Follow(_Mark, frozen=True, tag="follow"):
    """These markets are followed from now on."""

    followed: tuple[Followed, ...]


class Unfollow(_Mark, frozen=True, tag="unfollow"):
    """A market is followed no more."""

    market: str


class Described(_Mark, frozen=True, tag="described"):
    """A followed market's metadata changed."""

    market: Market


class Moved(_Mark, frozen=True, tag="moved"):
    """A followed market belongs to another group now."""

    market: str
    group: str


class Opened(_Mark, frozen=True, tag="opened"):
    """The connection is up; nothing is subscribed to yet. `way` names the kind of session that hears it."""

    way: str = "websocket"


class Closed(_Mark, frozen=True, tag="closed"):
    """The connection is gone, or was never made."""

    reason: str


class Distrust(_Mark, frozen=True, tag="distrust"):
    """These ladders cannot be trusted until the venue sends them whole again."""

    markets: tuple[str, ...]
    reason: str


class Doubt(_Mark, frozen=True, tag="doubt"):
    """The proof of these ladders is overdue."""

    markets: tuple[str, ...]
    reason: str


class Trust(_Mark, frozen=True, tag="trust"):
    """The proof of these ladders came after all."""

    markets: tuple[str, ...]


class Hold(_Mark, frozen=True, tag="hold"):
    """These markets cannot be traded at the venue, whatever their ladders say."""

    markets: tuple[str, ...]
    state: Literal["halted", "closed"]
    reason: str


class Release(_Mark, frozen=True, tag="release"):
    """These markets can be traded again."""

    markets: tuple[str, ...]


class Unanswered(_Mark, frozen=True, tag="unanswered"):
    """The request that was asked in record `asked` failed."""

    asked: int
    reason: str


Mark = Follow | Unfollow | Described | Moved | Opened | Closed | Distrust | Doubt | Trust | Hold | Release | Unanswered

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Mark] = msgspec.json.Decoder(Mark)


def encode_mark(mark: Mark) -> bytes:
    """A mark as JSON."""
    return _encoder.encode(mark)


def decode_mark(data: bytes) -> Mark:
    """Undo `encode_mark`; raises msgspec.MsgspecError."""
    return _decoder.decode(data)
