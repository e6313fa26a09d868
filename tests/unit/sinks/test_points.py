"""What InfluxDB keeps of books and opportunities."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.points import SPREAD_NS, book_point, opportunity_line
from tests.unit.sinks.make import NOW_NS, book, opportunity, sink_record
from tests.unit.sinks.reader import Point, read_line


def test_a_book_keeps_its_ladder_and_its_whole_trail() -> None:
    line = book_point(book(sequence=9), received_ns=NOW_NS + 5_000).line(stored_ns=NOW_NS + 7_001)
    assert read_line(line) == Point(
        measurement="book",
        tags={"group": "test-group", "market": "KXTEST-1", "venue": "kalshi"},
        fields={
            "epoch": 7,
            "sequence": 9,
            "state": "live",
            "reason": "",
            "best_bid": 0.42,
            "bid_size": 10.5,
            "best_ask": 0.4301,
            "ask_size": 2.0,
            "bid_count": 2,
            "ask_count": 1,
            "bids": "[[4200,1050],[4100,7]]",
            "asks": "[[4301,200]]",
            "exchange_ns": NOW_NS - 3_000,
            "api_call_start_ns": NOW_NS,
            "api_response_ns": NOW_NS + 1_000,
            "processing_complete_ns": NOW_NS + 2_009,
            "virginia_received_ns": NOW_NS + 5_000,
            "data_server_stored_ns": NOW_NS + 7_001,
            "confirmed_ns": NOW_NS - 1,
            "pipeline_latency_us": 7,
        },
        time=NOW_NS + 2_009,
    )


def test_an_empty_side_has_no_price() -> None:
    point = read_line(book_point(book(bid_count=0, ask_count=0, ladder=b"", group=""), 1).line(2))
    assert not {"best_bid", "best_ask", "bid_size", "ask_size"} & point.fields.keys()
    assert json.loads(str(point.fields["bids"])) == []
    assert "group" not in point.tags


def test_a_redelivered_book_is_the_same_point() -> None:
    first, second = (
        read_line(book_point(book(), received_ns=received).line(received + 1)) for received in (NOW_NS, NOW_NS + 10**9)
    )
    assert (first.measurement, first.tags, first.time) == (second.measurement, second.tags, second.time)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bid_count": 3}, "does not hold 3 bids"),
        ({"processing_complete_ns": 0}, "processing_complete_ns was 0"),
        ({"processing_complete_ns": 2**63 - 1}, "no time for a point"),
        ({"bid_count": 1, "ask_count": 0, "ladder": b"\xff" * 16}, "negative"),
    ],
)
def test_a_book_without_a_point_says_why(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        book_point(book(**change), 1)


def test_an_opportunity_keeps_its_money_and_its_latency() -> None:
    record = sink_record(opportunity(), headers=(("produced_ns", str(NOW_NS + 1_000_000).encode()),))
    point = read_line(opportunity_line(opportunity(), record))
    assert point.tags == {"basket": "test-basket", "event": "opened", "group": "test-group"}
    assert point.fields == {
        "opportunity_id": "opportunity-1",
        "reason": "",
        "revision": 0,
        "quantity": 100,
        "payout": 1_000_000,
        "gross": 22_222,
        "fees": 7_655,
        "net": 12_345,
        "peak_net": 12_345,
        "time_ns": NOW_NS,
        "cause_api_response_ns": NOW_NS - 2_000_000,
        "depth_cost": 10,
        "gas": 1_000,
        "basis": 200,
        "settlement_risk": 22,
        "time_value": 1_000,
        "capital": 985_433,
        "annualised_ppm": 650_000,
        "survived_ns": 0,
        "detection_latency_us": 3_000,
    }
    assert 0 <= point.time - NOW_NS < SPREAD_NS


def test_a_closing_keeps_how_long_it_survived() -> None:
    made = opportunity(revision=4, event="closed", time_ns=NOW_NS + 2_500, survived_ns=2_500)
    point = read_line(opportunity_line(made, sink_record(made)))
    assert point.tags["event"] == "closed"
    assert point.fields["survived_ns"] == 2_500


@pytest.mark.parametrize(
    ("change", "headers"),
    [({}, ()), ({"cause": -1, "cause_api_response_ns": 0}, (("produced_ns", b"1"),))],
)
def test_without_a_cause_or_a_stamp_there_is_no_latency(change: dict[str, Any], headers: tuple[object, ...]) -> None:
    made = opportunity(**change)
    assert "detection_latency_us" not in read_line(opportunity_line(made, sink_record(made, headers=headers))).fields


def test_a_stamp_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="produced_ns was b'soon'"):
        opportunity_line(opportunity(), sink_record(opportunity(), headers=(("produced_ns", b"soon"),)))


@given(revision=st.integers(0, 1_000), apart=st.integers(1, 1_000), number=st.integers(0, 10**6))
def test_revisions_at_one_moment_are_different_points(revision: int, apart: int, number: int) -> None:
    times = {
        read_line(opportunity_line(made, sink_record(made))).time
        for made in (opportunity(number, revision), opportunity(number, revision + apart))
    }
    assert len(times) == 2


def test_opportunities_of_one_basket_at_one_moment_are_different_points() -> None:
    lines = [opportunity_line(made, sink_record(made)) for made in (opportunity(1), opportunity(2))]
    assert len({read_line(line).time for line in lines}) == 2
