"""Raw records one by one: what a rebuilder makes of them, and what it says of records that no producer writes."""

from typing import Any

import pytest

from infra.rebuild import Entry, Rebuilder, RebuildError, as_line, rebuild
from producers.transcript import Follow, Followed, Opened, encode_mark
from tests.unit.infra.simulator.tapes import delta, snapshot
from tests.unit.kafka_fakes import FakeMessage
from tests.unit.producers.support import make_market
from tests.unit.sinks.make import book

DEPTH = 32
MARKET = make_market("kalshi", "A-1")
BEGINNING = (
    Entry("kalshi-p-0", 0, 5, "mark", encode_mark(Follow((Followed(MARKET, "g"),)))),
    Entry("kalshi-p-0", 1, 6, "mark", encode_mark(Opened())),
)


def ws(number: int, text: str, connection: str = "kalshi-p-0") -> Entry:
    return Entry(connection, number, 10 + number, "ws", text.encode())


def test_a_snapshot_and_a_delta() -> None:
    rebuilder = Rebuilder("kalshi", DEPTH)
    entries = [
        *BEGINNING,
        ws(2, snapshot(1, yes=[["0.4000", "10.00"]], no=[["0.5500", "7.00"]])),
        ws(3, delta(2, "0.3900", "5.00")),
        ws(4, "no JSON"),
    ]
    first, second, third = rebuild(entries, rebuilder)
    assert (first.sides(), first.state, first.group) == (([(4000, 1000)], [(4500, 700)]), "live", "g")
    assert (second.sides()[0], second.connection, second.frame) == ([(4000, 1000), (3900, 500)], "kalshi-p-0", 3)
    assert (third.state, third.reason, third.sides()) == ("recovering", "malformed frame", second.sides())
    assert rebuilder.broken == 1


def test_no_more_levels_than_were_asked_for() -> None:
    levels = [[f"0.{price}00", "1.00"] for price in (40, 39, 38)]
    (said,) = rebuild([*BEGINNING, ws(2, snapshot(1, yes=levels))], Rebuilder("kalshi", 2))
    assert said.sides() == ([(4000, 100), (3900, 100)], [])


def test_connections_of_another_process_know_nothing_of_this_one() -> None:
    """The first word on a market is its first whole book; the process that said it goes on from there."""
    other = [replace_connection(entry, "kalshi-q-0") for entry in BEGINNING]
    whole = snapshot(1, yes=[["0.4000", "10.00"]])
    same = [replace_connection(entry, "kalshi-p-1") for entry in BEGINNING]
    rebuilder = Rebuilder("kalshi", DEPTH)
    said = list(
        rebuild(
            [
                *BEGINNING,
                ws(2, whole),
                *other,
                ws(2, whole, "kalshi-q-0"),
                *same,
                ws(2, snapshot(1, yes=[["0.4100", "1.00"]]), "kalshi-p-1"),
            ],
            rebuilder,
        )
    )
    assert [(one.connection, one.sequence) for one in said] == [
        ("kalshi-p-0", 1), ("kalshi-q-0", 1), ("kalshi-p-1", 2),
    ]  # fmt: skip


def replace_connection(entry: Entry, connection: str) -> Entry:
    return Entry(connection, entry.frame, entry.received_ns, entry.kind, entry.data)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry("kalshi-p-0", 2, 7, "hearsay", b""), "kalshi-p-0, record 2: kind 'hearsay' is none of a producer's"),
        (Entry("kalshi-p-0", 2, 7, "mark", b'{"mark":"guess"}'), "kalshi-p-0, record 2: not a mark: "),
        (Entry("kalshi-p-0", 2, 7, "mark", b"\xff"), "kalshi-p-0, record 2: not a mark: "),
        (Entry("kalshi-x-0", 0, 7, "mark", b"{}"), "kalshi-x-0, record 0: not a mark: "),
        (
            Entry("kalshi-x-0", 0, 7, "mark", encode_mark(Opened("pigeon"))),
            "kalshi-x-0, record 0: kalshi has no connections of the kind 'pigeon'",
        ),
    ],
)
def test_what_no_producer_writes_is_named(entry: Entry, said: str) -> None:
    with pytest.raises(RebuildError, match=said):
        list(rebuild([*BEGINNING, entry], Rebuilder("kalshi", DEPTH)))


class Message(FakeMessage):
    def __init__(self, **headers: bytes) -> None:
        super().__init__("raw.kalshi", b"frame", key=b"kalshi-p-0", partition=3, offset=77)
        self._headers = list(headers.items())

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers


def test_a_raw_record_is_read() -> None:
    message: Any = Message(
        frame=b"9", received_ns=b"20", kind=b"rest", url=b"/books?x=1", asked=b"8", call_start_ns=b"15"
    )
    entry = Entry.read(message)
    assert entry == Entry("kalshi-p-0", 9, 20, "rest", b"frame", "/books?x=1", 8, 15)
    assert (entry.receipt.call_start_ns, entry.receipt.response_ns) == (15, 20)
    plain: Any = Message(frame=b"0", received_ns=b"20", kind=b"ws")
    assert Entry.read(plain).receipt.call_start_ns == 20


@pytest.mark.parametrize(
    "headers",
    [{}, {"frame": b"x", "received_ns": b"1", "kind": b"ws"}, {"frame": b"1", "kind": b"ws"}],
    ids=["no headers", "no number", "no time"],
)
def test_a_raw_record_of_another_writer_is_named(headers: dict[str, bytes]) -> None:
    message: Any = Message(**headers)
    with pytest.raises(RebuildError, match="raw.kalshi, partition 3, offset 77: not a record of a producer"):
        Entry.read(message)


def test_a_line_says_a_book_in_integers() -> None:
    assert as_line(book(3, reason=""), connection="c") == (
        b'{"venue":"kalshi","market":"KXTEST-1","epoch":7,"sequence":3,"state":"live","reason":"",'
        b'"bids":[[4200,1050],[4100,7]],"asks":[[4301,200]],"frame":3,"connection":"c"}\n'
    )
