"""What InfluxDB keeps of a record: measurement, tags, fields, time. Pure: nothing here knows the client.

A point is identified by measurement, tags and time, so all three are functions of the record's content: a redelivery
writes the same point again. The two stamps of this process (`virginia_received_ns`, `data_server_stored_ns`), and with
them `pipeline_latency_us`, are those of the last write.
"""

from typing import Final
from zlib import crc32

import msgspec

from schemas.records import Book, Opportunity
from schemas.trail import pipeline_latency_us
from sinks.line_protocol import contracts, dollars, integer, string, tag_set
from sinks.task import SinkRecord

SPREAD_NS: Final = 1_000_000
"""Opportunities are spread over a millisecond after their time; see `opportunity_line`."""

_TIME_MAXIMUM: Final = 2**63 - 2
"""InfluxDB keeps the last nanosecond of the range for itself (InfluxDB reference, "Timestamp")."""

_json = msgspec.json.Encoder()


class BookPoint(msgspec.Struct, frozen=True, gc=False):
    """A book's line without its end: the store's stamp, the latency and the time are added when it is sent."""

    head: str
    api_call_start_ns: int
    time_ns: int

    def line(self, stored_ns: int) -> str:
        """The whole line, as sent at `stored_ns`."""
        latency_us = pipeline_latency_us(self.api_call_start_ns, stored_ns)
        return f"{self.head},data_server_stored_ns={stored_ns}i,pipeline_latency_us={latency_us}i {self.time_ns}"


def book_point(book: Book, received_ns: int) -> BookPoint:
    """Measurement `book`: the whole ladder and the whole trail; raises ValueError when no point can be made of it.

    Tags venue, market, group (left out when empty). Time is `processing_complete_ns`, strictly increasing per market,
    so that one (market, epoch, sequence) is one point. Prices are float dollars and sizes float contracts, absent for
    an empty side; `bids` and `asks` are JSON [[price, size], …] in integer units, best first.
    """
    bids, asks = book.sides()
    time_ns = _checked_time(book.processing_complete_ns, "processing_complete_ns")
    tags = tag_set(("group", book.group), ("market", book.market), ("venue", book.venue))
    tops = ""
    if bids:
        tops = f",best_bid={dollars(bids[0][0])},bid_size={contracts(bids[0][1])}"
    if asks:
        tops += f",best_ask={dollars(asks[0][0])},ask_size={contracts(asks[0][1])}"
    head = (
        f"book{tags} epoch={book.epoch}i,sequence={book.sequence}i"
        f",state={string(book.state)},reason={string(book.reason)}{tops}"
        f",bid_count={book.bid_count}i,ask_count={book.ask_count}i"
        f',bids="{_json.encode(bids).decode()}",asks="{_json.encode(asks).decode()}"'
        f",exchange_ns={book.exchange_ns}i,api_call_start_ns={book.api_call_start_ns}i"
        f",api_response_ns={book.api_response_ns}i,processing_complete_ns={book.processing_complete_ns}i"
        f",virginia_received_ns={received_ns}i,confirmed_ns={book.confirmed_ns}i"
    )
    return BookPoint(head, book.api_call_start_ns, time_ns)


def opportunity_line(opportunity: Opportunity, record: SinkRecord) -> str:
    """Measurement `opportunity`; raises ValueError when no point can be made of it.

    Tags group, event, basket. The detector's time can stand still, and two events with equal tags and time would be
    one point; so the point's time is `time_ns` plus (CRC-32 of the id + revision) modulo a millisecond, and `time_ns`
    itself is a field. Revisions of one id can never meet; two ids of one basket meet with a chance of one in a million
    if they fall in the same millisecond. Postgres holds every (id, revision) without exception.

    Fields are the way from gross to net, what it was worth (peak, capital, yearly return) and how long it has survived.
    `detection_latency_us` is there when the record says when it was produced and a book caused it.
    """
    slot = (crc32(opportunity.opportunity_id.encode()) + opportunity.revision) % SPREAD_NS
    time_ns = _checked_time(opportunity.time_ns + slot, "time_ns")
    tags = tag_set(("basket", opportunity.basket), ("event", opportunity.event), ("group", opportunity.group))
    fields = [
        f"opportunity_id={string(opportunity.opportunity_id)}",
        f"reason={string(opportunity.reason)}",
        *(f"{name}={integer(getattr(opportunity, name))}" for name in _OPPORTUNITY_INTEGERS),
    ]
    latency_us = _detection_latency_us(opportunity, record)
    if latency_us is not None:
        fields.append(f"detection_latency_us={integer(latency_us)}")
    return f"opportunity{tags} {','.join(fields)} {time_ns}"


_OPPORTUNITY_INTEGERS: Final = (
    "revision",
    "quantity",
    "payout",
    "gross",
    "fees",
    "net",
    "peak_net",
    "time_ns",
    "cause_api_response_ns",
    "depth_cost",
    "gas",
    "basis",
    "settlement_risk",
    "time_value",
    "capital",
    "annualised_ppm",
    "survived_ns",
)


def _detection_latency_us(opportunity: Opportunity, record: SinkRecord) -> int | None:
    """From the frame that caused the opportunity to the moment at which it was produced (header `produced_ns`)."""
    header = record.header("produced_ns")
    if header is None or not opportunity.cause_api_response_ns:
        return None
    if not header.isdigit() or len(header) > 19:
        raise ValueError(f"header produced_ns was {header!r}: expected decimal nanoseconds")
    return (int(header) - opportunity.cause_api_response_ns) // 1000


def _checked_time(time_ns: int, name: str) -> int:
    if not 0 < time_ns <= _TIME_MAXIMUM:
        raise ValueError(f"{name} was {time_ns}: no time for a point")
    return time_ns
