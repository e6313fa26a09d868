"""Two tellings of one stretch held against each other: a run and what was live, or two runs, in journal order.

Only what both had the inputs for is compared: the entries that each journal names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runtime.settings import DetectorSettings
from streams.replay.differences import FieldDifference, differing_fields
from streams.replay.journal import Epoch
from streams.replay.reading import Known


@dataclass(frozen=True, slots=True)
class Telling:
    """What one detector consumed (the epochs of each partition) and said (in the order of its topic)."""

    name: str
    epochs: Mapping[int, Sequence[Epoch]]
    known: Sequence[Known]


@dataclass(frozen=True, slots=True)
class Contrast:
    """One place where two tellings differ. `only` names the telling that alone has the event, empty: both have one."""

    only: str
    opportunity_id: str
    revision: int
    event: str
    partition: int
    epoch: int
    position: int
    fields: tuple[FieldDifference, ...] = ()


@dataclass(slots=True)
class Comparison:
    """What comparing came to: events that are equal, and where they differ, in journal order."""

    equal: int = 0
    contrasts: list[Contrast] = field(default_factory=list)
    settings: list[FieldDifference] = field(default_factory=list)
    partitions: int = 0


Place = tuple[int, int, int]
"""Partition, epoch, position."""


def compare(one: Telling, other: Telling, groups: Iterable[str] = ()) -> Comparison:
    """Hold `other` against `one`, of these groups only where any are named."""
    chosen = frozenset(groups)
    found = Comparison(partitions=len(set(one.epochs) & set(other.epochs)))
    found.settings = _settings(one, other)
    shared = _shared(one, other)
    left, right = (_placed(telling, shared, chosen) for telling in (one, other))
    for place in sorted(set(left) | set(right)):
        _hold(found, place, left.get(place, ()), right.get(place, ()), (one.name, other.name))
    return found


def _shared(one: Telling, other: Telling) -> dict[tuple[int, int], tuple[int, int]]:
    """The first and last position that both have, of each partition and epoch that both have."""
    spans = [
        {(number, epoch.epoch): _span(epoch) for number, epochs in telling.epochs.items() for epoch in epochs}
        for telling in (one, other)
    ]
    return {
        key: (max(spans[0][key][0], spans[1][key][0]), min(spans[0][key][1], spans[1][key][1]))
        for key in spans[0].keys() & spans[1].keys()
    }


def _span(epoch: Epoch) -> tuple[int, int]:
    first = epoch.items[0][0] if epoch.items else epoch.end
    return first, epoch.end - 1


def _placed(
    telling: Telling, shared: Mapping[tuple[int, int], tuple[int, int]], groups: frozenset[str]
) -> dict[Place, list[Known]]:
    found: dict[Place, list[Known]] = {}
    for one in telling.known:
        record = one.record
        span = shared.get((record.partition, record.journal_epoch))
        if span is None or not span[0] <= record.journal_position <= span[1]:
            continue
        if not groups or record.group in groups:
            found.setdefault((record.partition, record.journal_epoch, record.journal_position), []).append(one)
    return found


def _hold(
    found: Comparison, place: Place, left: Sequence[Known], right: Sequence[Known], names: tuple[str, str]
) -> None:
    for ours, theirs in zip(left, right, strict=False):
        fields = () if ours.value == theirs.value else tuple(differing_fields(ours.record, theirs.record))
        if fields:
            found.contrasts.append(_contrast("", place, theirs, fields))
        else:
            found.equal += 1
    found.contrasts += [_contrast(names[0], place, one) for one in left[len(right) :]]
    found.contrasts += [_contrast(names[1], place, one) for one in right[len(left) :]]


def _contrast(only: str, place: Place, one: Known, fields: tuple[FieldDifference, ...] = ()) -> Contrast:
    record = one.record
    return Contrast(only, record.opportunity_id, record.revision, record.event, *place, fields)


def _settings(one: Telling, other: Telling) -> list[FieldDifference]:
    """In what the settings of the two differ; of each, those of its last epoch count."""
    newest = [_last_settings(telling) for telling in (one, other)]
    if newest[0] is None or newest[1] is None:
        return []
    return differing_fields(newest[0].model_dump(mode="json"), newest[1].model_dump(mode="json"))


def _last_settings(telling: Telling) -> DetectorSettings | None:
    epochs = [epoch for epochs in telling.epochs.values() for epoch in epochs]
    return max(epochs, key=lambda epoch: epoch.epoch).assigned.settings if epochs else None
