"""One partition of the detector: its core and its journal, moved together whoever feeds them.

The live edge, a replay's edge and `verify` all decide through this, so what one of them says to the same inputs in the
same order the others say too, byte for byte.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from runtime.settings import DetectorSettings
from schemas.codec import DecodeError, decode_books
from schemas.fees import FeeError
from schemas.records import Book, Group, Market, Opportunity
from streams.core.detection import Detection, Gates, Source
from streams.core.groups import GroupError
from streams.core.journal import JournalRun
from streams.core.references import Reference

JOURNAL_HEADER: Final = "journal"
"""Of an opportunity: a journal record that was handed to Kafka before it and not yet acknowledged."""
NOT_DECIDING: Final = frozenset({"detector_web_port", "detector_epoch_minutes"})
"""Settings of the detector that no decision depends on."""


@dataclass(slots=True)
class Taken:
    """What one entry of the journal led to; `error` is why some or all of it could not be taken."""

    events: list[Opportunity] = field(default_factory=list)
    books: int = 0
    error: Exception | None = None


class PartitionCore:
    """A partition's `Detection` with the journal of what it was given. `assign` it before anything else."""

    def __init__(self, number: int, gates: Gates) -> None:
        self.number = number
        self.detection = Detection(number, gates)
        self.journal = JournalRun(number, 0)

    def assign(self, epoch: int, earlier: Iterable[Opportunity], detail: str) -> None:
        """Begin a journal epoch with what earlier ones left open; `detail` goes into its assign mark."""
        self.detection.assign(epoch, earlier)
        self.journal = JournalRun(self.number, epoch)
        self.journal.assign(detail)

    def take(self, source: Source, value: bytes, received_ns: int) -> Taken:
        """One record of a book topic; `source.index` is not looked at. Books that the core cannot take are left out."""
        position = self.journal.position
        self.journal.input(source.topic, source.offset, received_ns)
        try:
            books = decode_books(value)
        except DecodeError as error:
            return Taken(error=error)
        taken = Taken(books=len(books))
        on_book: Callable[[Book, Source, int], list[Opportunity]] = self.detection.on_book
        for index, book in enumerate(books):
            try:
                taken.events += on_book(book, Source(source.topic, source.partition, source.offset, index), received_ns)
            except Exception as error:
                taken.error = error
        return self._at(taken, position)

    def tell(self, reference: Reference) -> Taken:
        """A group or a market, new or removed. One that is refused changes nothing."""
        position = self.journal.position
        self.journal.reference(reference.topic, reference.offset)
        record = reference.record
        try:
            if isinstance(record, Group):
                events = self.detection.on_group(record)
            elif isinstance(record, Market):
                events = self.detection.on_market(record)
            else:
                events = self.detection.on_group_removed(reference.key)
        except (GroupError, FeeError) as error:
            return Taken(error=error)
        return self._at(Taken(events), position)

    @staticmethod
    def _at(taken: Taken, position: int) -> Taken:
        if taken.events:
            taken.events = [replace(event, journal_position=position) for event in taken.events]
        return taken


def assign_detail(opportunity_offset: int, settings: DetectorSettings) -> str:
    """What an assign mark says: where the earlier opportunities end, and by what is decided from here on."""
    chosen = {name: value for name, value in settings.model_dump().items() if name not in NOT_DECIDING}
    return json.dumps({"opportunity_offset": opportunity_offset, "settings": chosen}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Assigned:
    """What an assign mark said. `settings` are the detector's own of that epoch; None where they were not kept."""

    opportunity_offset: int
    settings: DetectorSettings | None

    @classmethod
    def read(cls, detail: str) -> "Assigned":
        """Undo `assign_detail`; raises ValueError when it is not one."""
        said: Any = json.loads(detail)
        if not isinstance(said, dict) or "opportunity_offset" not in said:
            raise ValueError(f"no opportunity_offset in {detail!r}")
        settings = said.get("settings")
        chosen = None if settings is None else DetectorSettings.model_construct(**settings)
        return cls(int(said["opportunity_offset"]), chosen)
