"""Newest-wins conflation: what a queue does when its consumer is behind and only the latest value matters."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class NewestWins(Generic[K, V]):
    """Values waiting by key, at most one a key, in the order in which their keys first waited."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: K) -> bool:
        return key in self._waiting

    def put(self, key: K, value: V) -> bool:
        """Let a value wait; True when it took the place of an older one."""
        replaced = key in self._waiting
        self._waiting[key] = value
        return replaced

    def drain(self) -> list[V]:
        """Take everything."""
        values = list(self._waiting.values())
        self._waiting.clear()
        return values
