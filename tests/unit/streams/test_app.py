"""Events are acknowledged in order, and not before everything emitted for them is delivered."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streams.app import OrderedAcks, Token


class Event:
    """Stands for a Faust event: remembers that it was acknowledged."""

    def __init__(self, number: int, order: list[int]) -> None:
        self.number = number
        self._order = order

    def ack(self) -> None:
        self._order.append(self.number)


@given(st.lists(st.integers(0, 3), max_size=12), st.randoms(use_true_random=False))
def test_acknowledged_in_order_and_only_when_delivered(expected: list[int], random: object) -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        tokens: list[Token] = []
        for number, count in enumerate(expected):
            token = acks.add(Event(number, acknowledged))
            token.expect(count)
            token.seal()
            tokens.append(token)
        deliveries = [number for number, count in enumerate(expected) for _ in range(count)]
        random.shuffle(deliveries)  # type: ignore[attr-defined]
        left = list(expected)
        for number in deliveries:
            tokens[number].done_one()
            left[number] -= 1
            await asyncio.sleep(0)
            finished = next((index for index, count in enumerate(left) if count), len(left))
            assert acknowledged == list(range(finished))
        await asyncio.sleep(0)
        assert acknowledged == list(range(len(expected)))
        assert len(acks) == 0

    asyncio.run(run())


def test_an_unsealed_event_waits() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(0, acknowledged))
        token.expect()
        token.done_one()
        await asyncio.sleep(0)
        assert acknowledged == []
        token.seal()
        await asyncio.sleep(0)
        assert acknowledged == [0]

    asyncio.run(run())


def test_deliveries_from_another_thread_wake_the_loop() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(7, acknowledged))
        token.expect()
        token.seal()
        await asyncio.to_thread(token.done_one)
        await asyncio.sleep(0)
        assert acknowledged == [7]

    asyncio.run(run())


def test_forgotten_events_are_never_acknowledged() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(0, acknowledged))
        token.expect()
        token.seal()
        acks.forget()
        token.done_one()
        await asyncio.sleep(0)
        assert acknowledged == []

    asyncio.run(run())
