"""What the frames of both venues have in common on their way from the raw topic to a tape."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from infra.rebuild import Entry
from producers.session import Session
from schemas.records import Book

REPLIES = "replies to our commands"
REPEATED = "repeated or late frames"
OTHERS = "frames about other markets"
DAMAGED = "frames that could not be understood"
OVERTAKEN = "frames of connections that another had overtaken"
UNCHANGED = "whole books that changed nothing"


class RecordError(ValueError):
    """What was asked for cannot be recorded; the message says why."""


class Frame(NamedTuple):
    """A frame that may go onto the tape: its markets, whether it is one market's whole book, and its text there.

    `write` is called once, and only for a frame that is put onto the tape: it may take the next number.
    """

    markets: tuple[str, ...]
    whole: bool
    write: Callable[[], str]


class Frames(Protocol):
    """Turns a venue's recorded frames into those of a tape; `left_out` counts what is not on it, by reason."""

    left_out: Counter[str]

    def meet(self, session: Session[Any]) -> None:
        """Learn from a session what holds for a whole tape; raises RecordError when not all sessions agree."""

    def read(self, entry: Entry, session: Session[Any]) -> Frame | None:
        """The frame of a `ws` entry, which its session has taken already; None when it is left out."""

    def whole(self, book: Book, session: Session[Any], taped: Session[Any]) -> str:
        """A frame that says a book whole: `session` said it and follows its market, `taped` plays the tape."""
