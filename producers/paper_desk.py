"""The desk of a paper gateway: orders wait out the latency, each is answered once, offsets become committable in order.

Pure: no clock, no Kafka.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from producers.paper import PaperMatcher
from schemas.records import Execution, Order

CAPACITY: Final = 1000
"""Orders that may wait at once. At this bound the gateway reads no further order: they wait in their topic."""

PATIENCE_NS: Final = 3_000_000_000
"""How long an order waits for a book or metadata not known yet: grouped markets' books are republished every 2 s."""


class Address(NamedTuple):
    """Where an order stands in its topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An execution to be published, and the order record that it answers."""

    execution: Execution
    address: Address


@dataclass(frozen=True, slots=True)
class _Waiting:
    order: Order
    address: Address
    due_ns: int
    give_up_ns: int


class PaperDesk:
    """Orders in, answers out. An order id is answered once in the life of the execution topic, not of the process."""

    def __init__(self, matcher: PaperMatcher, latency_ns: int, patience_ns: int = PATIENCE_NS) -> None:
        self._matcher = matcher
        self._latency_ns = latency_ns
        self._patience_ns = max(patience_ns, latency_ns)
        self._answered: set[str] = set()
        self._waiting: list[_Waiting] = []

    def restore(self, executions: Iterable[Execution]) -> None:
        """Learn which orders are answered, and what they took if that was in another life."""
        unknown = [execution for execution in executions if execution.order_id not in self._answered]
        self._matcher.restore({execution.execution_id: execution for execution in unknown}.values())
        self._answered.update(execution.order_id for execution in unknown)

    def accept(self, order: Order, address: Address, now_ns: int) -> bool:
        """Queue an order that arrived now; False when it is answered or queued already and nothing will follow."""
        if order.order_id in self._answered or any(one.order.order_id == order.order_id for one in self._waiting):
            return False
        self._waiting.append(_Waiting(order, address, now_ns + self._latency_ns, now_ns + self._patience_ns))
        return True

    def due(self, now_ns: int) -> list[Answer]:
        """Answer every order whose latency has passed, in the order of arrival; those without a book wait longer."""
        answers, still = [], []
        for one in self._waiting:
            missing = self._matcher.missing(one.order.market) != ""
            if now_ns < (one.give_up_ns if missing else one.due_ns):
                still.append(one)
                continue
            self._answered.add(one.order.order_id)
            answers.append(Answer(self._matcher.answer(one.order, now_ns), one.address))
        self._waiting = still
        return answers

    def next_due_ns(self) -> int | None:
        """When the next order may be answered; None when none waits."""
        return min((one.due_ns for one in self._waiting), default=None)

    def clear(self) -> None:
        """Forget the orders that wait: their partition went elsewhere, and they come again there."""
        self._waiting = []

    @property
    def full(self) -> bool:
        """Whether no further order may be accepted for now."""
        return len(self._waiting) >= CAPACITY

    def __len__(self) -> int:
        return len(self._waiting)


class OffsetLedger:
    """Which offset may be committed: the first that is not done, per partition, whatever finishes first."""

    def __init__(self) -> None:
        self._pending: dict[int, dict[int, bool]] = {}

    def begin(self, address: Address) -> None:
        """A record was read; records begin in the order of their offsets."""
        self._pending.setdefault(address.partition, {})[address.offset] = False

    def done(self, address: Address) -> None:
        """The record's effect is durable."""
        pending = self._pending.get(address.partition, {})
        if address.offset in pending:
            pending[address.offset] = True

    def committable(self) -> list[Address]:
        """Per partition that advanced, the offset to commit (the next one to read)."""
        advanced = []
        for partition, pending in self._pending.items():
            last = None
            for offset, is_done in list(pending.items()):
                if not is_done:
                    break
                last = offset
                del pending[offset]
            if last is not None:
                advanced.append(Address(partition, last + 1))
        return advanced

    def clear(self) -> None:
        """Forget everything: the partitions were revoked."""
        self._pending = {}
