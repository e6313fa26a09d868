"""The numbers of one Kalshi subscription: what is missing, what came before."""

from enum import Enum
from typing import Final

LATE_WINDOW: Final = 1000
"""A number that is further behind is no late or repeated frame: the numbering began anew without a word."""

FIRST_NUMBERS: Final = (1, 2)
"""A subscription's first number was 1 where it was recorded, and is 2 in the venue's examples."""


class Step(Enum):
    """What a sequence number says."""

    NEXT = "next"
    GAP = "gap"
    DUPLICATE = "duplicate"


class ReplyForm(Enum):
    """What the number of a reply is: its own, that of the message before it, or that of the message after it."""

    OWN = "own"
    REPEATS = "repeats"
    ANNOUNCES = "announces"


class SequenceCheck:
    """Follows the numbers of one subscription on one connection: each is one above the last; the first is free.

    The venue's schema gives `ok`, `unsubscribed` and scoped errors a number, but does not say that they use it up. So
    that is taken for true until a number comes twice in the other way; from then on the other way is held to as
    strictly, or a lost message would hide behind a reply.
    """

    __slots__ = ("_by_reply", "_reopened", "form", "last", "resumed")

    def __init__(self) -> None:
        self.last = 0
        self.form = ReplyForm.OWN
        self.resumed = ""
        self._by_reply = False
        self._reopened = False

    def reopen(self) -> None:
        """The venue said `subscribed` again: the next number goes on or is a first one; `resumed` then says which."""
        self._reopened, self.resumed = True, ""

    def take(self, number: int) -> Step:
        """Judge the number of a message. After a gap the count goes on from the number that showed it."""
        if number == self.last + 1 or not self.last:
            self.last, self._by_reply = number, False
            if self._reopened:
                self._reopened, self.resumed = False, "continues"
            return Step.NEXT
        if number == self.last and self._by_reply:
            self.form, self._by_reply = ReplyForm.ANNOUNCES, False
            return Step.NEXT
        return self._out_of_turn(number)

    def take_reply(self, number: int) -> Step:
        """Judge the number of a reply."""
        if self.form is ReplyForm.ANNOUNCES:
            return self._announced(number)
        if self.form is ReplyForm.OWN:
            if number == self.last + 1 or not self.last:
                self.last, self._by_reply = number, True
                return Step.NEXT
            if number != self.last or self._by_reply:
                return self._out_of_turn(number, reply=True)
            self.form = ReplyForm.REPEATS
        return Step.NEXT if number == self.last else self._out_of_turn(number)

    def _announced(self, number: int) -> Step:
        if number == self.last + 1:
            return Step.NEXT
        step = self._out_of_turn(number)
        if step is Step.GAP:
            self.last = number - 1
        return step

    def _out_of_turn(self, number: int, *, reply: bool = False) -> Step:
        if self._reopened and number in FIRST_NUMBERS:
            self.last, self._by_reply = number, reply
            self._reopened, self.resumed = False, "restarts"
            return Step.NEXT
        if self.last - LATE_WINDOW < number <= self.last:
            return Step.DUPLICATE
        self.last, self._by_reply = number, reply
        return Step.GAP
