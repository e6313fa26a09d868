"""Which reference records matter to which partition, and in what order a partition learns of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from schemas.records import Group, Market, Venue

MarketKey = tuple[Venue, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """A record of a reference topic with its address; `record` is None for a tombstone of the group `key`."""

    topic: str
    offset: int
    key: str
    record: Group | Market | None


class References:
    """The newest group and market records. A group matters to its own partition, a market to its group's."""

    def __init__(self, partition_of: Callable[[str], int]) -> None:
        self._partition_of = partition_of
        self._groups: dict[str, Reference] = {}
        self._markets: dict[MarketKey, Reference] = {}
        self._group_of: dict[MarketKey, str] = {}

    def take(self, reference: Reference) -> list[tuple[int, Reference]]:
        """Take in one record and return what each partition must be told now, in order."""
        if isinstance(reference.record, Market):
            return self._take_market(reference, reference.record)
        return self._take_group(reference)

    def for_partition(self, partition: int) -> Iterator[Reference]:
        """Everything a partition must know when it begins: its groups and their markets."""
        for key, group in self._groups.items():
            if self._partition_of(key) == partition:
                yield group
                yield from self._markets_of(group)

    def _take_market(self, reference: Reference, market: Market) -> list[tuple[int, Reference]]:
        key = (market.venue, market.market)
        self._markets[key] = reference
        group = self._group_of.get(key)
        return [] if group is None else [(self._partition_of(group), reference)]

    def _take_group(self, reference: Reference) -> list[tuple[int, Reference]]:
        partition = self._partition_of(reference.key)
        self._forget_members(reference.key)
        if not isinstance(reference.record, Group):
            self._groups.pop(reference.key, None)
            return [(partition, reference)]
        self._groups[reference.key] = reference
        for member in reference.record.members:
            self._group_of[member.venue, member.market] = reference.key
        return [(partition, reference)] + [(partition, market) for market in self._markets_of(reference)]

    def _forget_members(self, group: str) -> None:
        before = self._groups.get(group)
        if before is not None and isinstance(before.record, Group):
            for member in before.record.members:
                if self._group_of.get((member.venue, member.market)) == group:
                    del self._group_of[member.venue, member.market]

    def _markets_of(self, group: Reference) -> Iterator[Reference]:
        if isinstance(group.record, Group):
            for member in group.record.members:
                market = self._markets.get((member.venue, member.market))
                if market is not None:
                    yield market
