"""The detector's journal as a value: what one partition consumed, in order, in runs of consecutive records."""

from array import array
from sys import byteorder

from schemas.records import Journal, JournalItem


class JournalRun:
    """Collects items of one partition's epoch until `take` turns them into a Journal record."""

    def __init__(self, partition: int, epoch: int) -> None:
        self.partition = partition
        self.epoch = epoch
        self._position = 0
        self._closed = 0
        self._items: list[JournalItem] = []
        self._topic = ""
        self._first = 0
        self._stamps = array("q")

    def __len__(self) -> int:
        return len(self._items) + len(self._stamps)

    @property
    def position(self) -> int:
        """Entries of the epoch so far: the position of the next one."""
        return self._position + self._closed + len(self._stamps)

    def input(self, topic: str, offset: int, received_ns: int) -> None:
        """One record of a book topic was taken in at `received_ns`."""
        if not self._stamps or topic != self._topic or offset != self._first + len(self._stamps):
            self._close_run()
            self._topic, self._first = topic, offset
        self._stamps.append(received_ns)

    def reference(self, topic: str, offset: int) -> None:
        """One record of a reference topic was taken in."""
        self._append("reference", topic, 0, offset, b"", "")

    def assign(self, detail: str) -> None:
        """The partition was assigned; see `JournalItem` for what `detail` carries."""
        self._append("assign", "", self.partition, 0, b"", detail)

    def revoke(self) -> None:
        """The partition was taken away."""
        self._append("revoke", "", self.partition, 0, b"", "")

    def skip_to(self, position: int) -> None:
        """Go on at a later position, as a replay that leaves entries out does; what was collected must be taken before.

        Raises ValueError when it is not, or when the position is behind.
        """
        if len(self) or position < self._position:
            raise ValueError(
                f"a journal at {self.position} with {len(self)} untaken entries cannot go on at {position}"
            )
        self._position = position

    def take(self) -> Journal | None:
        """The record of everything since the last call, or None when there was nothing."""
        self._close_run()
        if not self._items:
            return None
        items = tuple(self._items)
        record = Journal(partition=self.partition, epoch=self.epoch, position=self._position, items=items)
        self._position += self._closed
        self._closed = 0
        self._items.clear()
        return record

    def _append(self, kind: str, topic: str, partition: int, offset: int, stamps: bytes, detail: str) -> None:
        self._close_run()
        self._closed += 1
        self._items.append(
            JournalItem(
                kind=kind,  # type: ignore[arg-type]
                topic=topic,
                partition=partition,
                offset=offset,
                count=1,
                stamps=stamps,
                detail=detail,
            )
        )

    def _close_run(self) -> None:
        if not self._stamps:
            return
        count = len(self._stamps)
        if byteorder == "big":
            self._stamps.byteswap()
        item = JournalItem(
            kind="input",
            topic=self._topic,
            partition=self.partition,
            offset=self._first,
            count=count,
            stamps=self._stamps.tobytes(),
            detail="",
        )
        self._items.append(item)
        self._closed += count
        self._stamps = array("q")


def unpack_stamps(item: JournalItem) -> list[int]:
    """The stamps of an input item, one per record."""
    stamps = array("q", item.stamps)
    if byteorder == "big":
        stamps.byteswap()
    return stamps.tolist()
