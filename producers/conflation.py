"""Newest-wins conflation: what a queue does when its consumer is behind and only the latest value matters."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Waiting(Generic[K, V]):
    """Values waiting in order: all of them while the consumer keeps up, the newest of each key while it is behind."""

    __slots__ = ("_places", "_values")

    def __init__(self) -> None:
        self._values: list[V] = []
        self._places: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: V) -> None:
        """Let a value wait behind all others."""
        self._places[key] = len(self._values)
        self._values.append(value)

    def conflate(self, key: K, value: V) -> bool:
        """Let a value wait in the place of the key's newest; True when there was one, which is gone now."""
        place = self._places.get(key)
        if place is None:
            self.put(key, value)
            return False
        self._values[place] = value
        return True

    def drain(self) -> list[V]:
        """Take everything."""
        values, self._values = self._values, []
        self._places.clear()
        return values
