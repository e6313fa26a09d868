"""Where the records are that a journal names: in the live topics, or in those of a run, found by their headers."""

from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import Message

from runtime.kafka import read_whole
from schemas.runs import INPUTS, run_topic
from streams.replay.entry import Entry, NotReplayed, Replayed
from streams.replay.reading import Evicted, Inputs, Unreadable, place_of

REFERENCES: Final = tuple(origin for origin in INPUTS if origin == "group" or ".market." in f".{origin}")
BOOKS: Final = tuple(origin for origin in INPUTS if ".book." in f".{origin}")
CONTROLS: Final = tuple(origin for origin in INPUTS if origin.endswith("control"))


class LiveRecords:
    """The records of the live topics, at the very addresses."""

    def __init__(self, bootstrap: str) -> None:
        self._inputs = Inputs(bootstrap, BOOKS)
        self._references = {
            (message.topic(), message.offset()): message for message in read_whole(bootstrap, REFERENCES)
        }

    def prepare(self, partition: int, first: Mapping[str, int]) -> None:
        """Begin to fetch a partition's books, from the first offset of each topic on."""
        for topic, offset in first.items():
            self._inputs.prepare(topic, partition, offset)

    def input(self, entry: Entry) -> bytes:
        """The value of a record of books; raises Evicted."""
        return self.input_record(entry).value() or b""

    def input_record(self, entry: Entry) -> Message:
        """A record of books; raises Evicted."""
        return self._inputs.at(entry.topic, entry.source_partition, entry.offset)

    def reference(self, entry: Entry) -> tuple[str, bytes | None]:
        """Key and value of a reference record; raises Evicted."""
        message = self.reference_record(entry)
        return _key(message), message.value()

    def reference_record(self, entry: Entry) -> Message:
        """A reference record; raises Evicted."""
        found = self._references.get((entry.topic, entry.offset))
        if found is None:
            raise Evicted(f"{entry.topic}, offset {entry.offset}: no longer in the topic: it was compacted away")
        return found

    def groups(self) -> set[str]:
        """Every group that the topic knows, also those that were removed."""
        return {_key(message) for (topic, _), message in self._references.items() if topic == "group"}

    def close(self) -> None:
        """Let go of all connections."""
        self._inputs.close()


class RunRecords:
    """The records of a run's topics, found by what their headers say. Entries must come in the run's own order."""

    def __init__(self, bootstrap: str, run: str) -> None:
        self._run = run
        self._inputs = Inputs(bootstrap, [run_topic(run, name) for name in BOOKS])
        self._next: dict[tuple[str, int], int] = {}
        self._references = dict(self._read(read_whole(bootstrap, [run_topic(run, name) for name in REFERENCES])))

    @staticmethod
    def _read(messages: Iterable[Message]) -> Iterable[tuple[tuple[int, int, int], Message]]:
        for message in messages:
            entry = _replayed(message).entry
            yield (entry.partition, entry.epoch, entry.position), message

    def prepare(self, partition: int, first: Mapping[str, int]) -> None:
        """Begin to fetch a partition's books, from their beginning on."""
        for topic in first:
            self._inputs.prepare(run_topic(self._run, topic), partition, 0)

    def input(self, entry: Entry) -> bytes:
        """The value of a record of books; raises Evicted."""
        place = (entry.topic, entry.partition)
        wanted = (entry.epoch, entry.position)
        while True:
            offset = self._next.get(place, 0)
            message = self._inputs.at(run_topic(self._run, entry.topic), entry.partition, offset)
            there = _replayed(message).entry
            if (there.epoch, there.position) > wanted:
                raise Evicted(f"run {self._run} has no record for {entry.topic}, offset {entry.offset}")
            self._next[place] = offset + 1
            if (there.epoch, there.position) == wanted:
                return message.value() or b""

    def reference(self, entry: Entry) -> tuple[str, bytes | None]:
        """Key and value of a reference record; raises Evicted."""
        message = self._references.get((entry.partition, entry.epoch, entry.position))
        if message is None:
            raise Evicted(f"run {self._run} has no record for {entry.topic}, offset {entry.offset}")
        return _key(message), message.value()

    def close(self) -> None:
        """Let go of all connections."""
        self._inputs.close()


def _key(message: Message) -> str:
    return (message.key() or b"").decode(errors="replace")


def _replayed(message: Message) -> Replayed:
    try:
        return Replayed.read(message.headers() or (), "input")
    except NotReplayed as error:
        raise Unreadable(f"{place_of(message)}: {error}") from error
