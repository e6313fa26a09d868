"""Kalshi's catalogue against a venue that is a function."""

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings

from producers.catalogue import GONE, OPEN, Catalogue, Standing
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.references import REMEMBERED_NS
from producers.kalshi.rest import Rest
from producers.resilience import RestError
from runtime import metrics
from schemas.fees import fill_fees
from schemas.records import TickRange
from tests.unit.producers.kalshi.venue import EVENT, NOW_NS, SERIES, Venue, market
from tests.unit.producers.mutate import mutated
from tests.unit.producers.support import make_market, rest_client


def describe(venue: Venue, *tickers: str, now_ns: int = NOW_NS) -> Catalogue:
    return asyncio.run(venue.catalogue().describe(tickers or list(venue.markets), now_ns))


def forms(field: str, form: str) -> float:
    return float(metrics.FORMS_SEEN.labels("kalshi", field, form)._value.get())


def test_a_market_becomes_a_record() -> None:
    record = describe(Venue(market("X", exchange_index=3, no_sub_title="Below"))).found["X"].market
    assert (record.title, record.rules, record.status) == ("Bitcoin - Above", "one\ntwo", "active")
    assert record.ticks == (TickRange(start=0, end=10000, step=10),)
    assert (record.minimum_quantity, record.minimum_value) == (1, 0)
    assert record.close_ns == 1_796_083_200_500_000_000
    assert (record.event, record.series, record.category, record.shard) == ("KXBTC-26NOV", "KXBTC", "Crypto", 3)
    assert (record.outcomes, record.mutually_exclusive) == (("Above", "Below"), True)
    assert (record.result, record.resolution) == ("", "sources: CF Benchmarks")
    assert record.fee.balance_precision == 100


def test_the_shard_is_the_events_where_the_market_does_not_say() -> None:
    assert describe(Venue(market("X"))).found["X"].market.shard == 2


def test_a_settled_market_says_how() -> None:
    changes = {"status": "finalized", "result": "no", "expiration_value": "99.5", "settlement_value_dollars": "0.0000"}
    found = describe(Venue(market("X", **changes))).found["X"]
    assert (found.market.result, found.standing) == ("no", Standing("closed", "finalized by the venue"))
    assert found.market.resolution == "sources: CF Benchmarks; expired at: 99.5; settles at: 0.0000"


def test_absent_and_null_fields_are_the_same() -> None:
    body = {"ticker": "A-B-C", "price_ranges": market("X")["price_ranges"], "status": "active"}
    nulls = {name: None for name in market("X") if name not in body}
    venue = Venue(body, body | nulls | {"ticker": "A-B-D"})
    found = describe(venue).found
    record = found["A-B-C"].market
    assert (record.event, record.series, record.title) == ("A-B", "A", "A-B-C")
    assert (record.close_ns, record.fee.taker_rate, record.shard) == (0, 70_000, 0)
    same = msgspec.structs.replace(found["A-B-D"].market, market="A-B-C", title="A-B-C")
    assert same == record


@pytest.mark.parametrize("number", ["0.0010", 0.001, "0.001", ".001"])
def test_a_grid_may_come_as_text_or_as_numbers(number: Any) -> None:
    ranges = [{"start": "0.9000", "end": 1, "step": number}, {"start": 0, "end": "0.9", "step": "0.0100"}]
    ticks = describe(Venue(market("X", price_ranges=ranges))).found["X"].market.ticks
    assert ticks == (TickRange(start=0, end=9000, step=100), TickRange(start=9000, end=10000, step=10))


@pytest.mark.parametrize(
    ("changes", "kind", "problem"),
    [
        ({"price_ranges": None}, "price grid", "no price_ranges"),
        ({"price_ranges": []}, "price grid", "no price_ranges"),
        ({"price_ranges": [{"start": "1", "end": "0", "step": "0.01"}]}, "price grid", "are no grid"),
        ({"price_ranges": [{"start": "0", "end": "1", "step": "0"}]}, "price grid", "are no grid"),
        ({"price_ranges": [{"start": "0", "end": "1", "step": "cent"}]}, "malformed", "'cent'"),
        ({"price_ranges": "0.01"}, "malformed", "Expected `array"),
        ({"close_time": "tomorrow"}, "malformed", "tomorrow"),
        ({"market_type": "scalar"}, "kind of contract", "market type 'scalar'"),
        ({"notional_value_dollars": "0.5000"}, "kind of contract", "pays 0.5000 dollars"),
        ({"notional_value_dollars": "10.0000"}, "malformed", "outside 0..1"),
        ({"settlement_bounds_type": "floor"}, "kind of contract", "settlement bounds 'floor'"),
    ],
)
def test_what_is_not_understood_keeps_its_market_out_and_no_other(
    changes: dict[str, Any], kind: str, problem: str
) -> None:
    count = metrics.CATALOGUE_REFUSED.labels("kalshi", kind)
    before = count._value.get()
    catalogue = describe(Venue(market("X", **changes), market("Y")))
    assert list(catalogue.found) == ["Y"]
    assert problem in catalogue.refused["X"]
    assert count._value.get() == before + 1


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("active", OPEN),
        ("open", OPEN),
        ("initialized", Standing("halted", "not open yet")),
        ("inactive", Standing("halted", "paused by the venue")),
        ("closed", Standing("closed", "closed by the venue")),
        ("determined", Standing("closed", "determined by the venue")),
        ("disputed", Standing("closed", "disputed by the venue")),
        ("amended", Standing("closed", "amended by the venue")),
        ("finalized", Standing("closed", "finalized by the venue")),
        ("", Standing("halted", "status '' is not understood")),
        ("suspended", Standing("halted", "status 'suspended' is not understood")),
    ],
)
def test_a_status_says_whether_a_market_is_traded(status: str, standing: Standing) -> None:
    assert describe(Venue(market("X", status=status))).found["X"].standing == standing


def test_a_market_that_is_not_open_yet_is_looked_at_when_it_opens() -> None:
    later = market("X", status="initialized", open_time="2026-11-20T00:00:00Z")
    assert describe(Venue(later)).found["X"].refresh_ns == 1_795_132_800_000_000_000
    assert describe(Venue(later | {"open_time": "2026-11-01T00:00:00Z"})).found["X"].refresh_ns == 0


def test_what_the_venue_does_not_know_is_in_no_part() -> None:
    assert describe(Venue(market("X")), "Y") == Catalogue()


def test_markets_that_were_not_asked_for_are_passed_over() -> None:
    venue = Venue(market("X"))
    venue.refuse = lambda request: (
        httpx.Response(200, json={"markets": [market("X"), market("Z"), 3, {"ticker": 4}], "cursor": ""})
        if request.url.path == "/markets"
        else None
    )
    assert list(describe(venue, "X").found) == ["X"]


# Events, series and fees


def test_events_are_asked_for_together_and_series_once() -> None:
    venue = Venue(market("X"), market("Y"), market("Z", event_ticker="KXBTC-26DEC"))
    venue.events["KXBTC-26DEC"] = EVENT | {"event_ticker": "KXBTC-26DEC"}
    describe(venue)
    assert venue.asked == ["/markets", "/series/fee_changes", "/events/fee_changes", "/events", "/series/KXBTC"]


def test_where_events_cannot_be_listed_they_are_asked_for_one_by_one() -> None:
    venue = Venue(market("X"))
    venue.refuse = lambda request: httpx.Response(404) if request.url.path == "/events" else None
    before = forms("events", "one by one")
    assert describe(venue).found["X"].market.title == "Bitcoin - Above"
    assert venue.asked[-3:] == ["/events", "/events/KXBTC-26NOV", "/series/KXBTC"]
    assert forms("events", "one by one") == before + 1


def test_references_are_remembered_for_a_while_and_read_afresh_on_demand() -> None:
    venue = Venue(market("X"))
    catalogue = venue.catalogue()

    async def asked(now_ns: int, *, fresh: bool = False) -> int:
        before = len(venue.asked)
        await catalogue.describe(["X"], now_ns, fresh=fresh)
        return len(venue.asked) - before

    async def scenario() -> list[int]:
        return [
            await asked(NOW_NS),
            await asked(NOW_NS + REMEMBERED_NS - 1),
            await asked(NOW_NS + REMEMBERED_NS + 1),
            await asked(NOW_NS + REMEMBERED_NS + 2, fresh=True),
        ]

    assert asyncio.run(scenario()) == [5, 1, 5, 5]


def test_an_unknown_event_or_series_leaves_the_ordinary_fee() -> None:
    venue = Venue(market("X", title="Own title"))
    venue.events.clear()
    venue.series.clear()
    record = describe(venue).found["X"].market
    assert (record.title, record.fee.taker_rate) == ("Own title", 70_000)


@pytest.mark.parametrize("path", ["/events/KXBTC-26NOV", "/series/KXBTC"])
def test_a_reference_that_cannot_be_read_fails_its_markets_only(path: str) -> None:
    venue = Venue(market("X"), market("A-B-C", event_ticker="A-B"))
    if path.startswith("/events"):
        del venue.events["KXBTC-26NOV"]  # then it is asked for alone
    venue.refuse = lambda request: httpx.Response(503) if request.url.path == path else None
    catalogue = describe(venue)
    assert list(catalogue.found) == ["A-B-C"]
    assert "HTTP 503" in catalogue.failed["X"]


@pytest.mark.parametrize("path", ["/markets", "/events", "/events/fee_changes", "/series/fee_changes"])
def test_a_venue_that_is_down_says_nothing_of_any_market(path: str) -> None:
    venue = Venue(market("X"))
    venue.refuse = lambda request: httpx.Response(503) if request.url.path == path else None
    with pytest.raises(RestError, match="HTTP 503"):
        describe(venue)


def test_fee_changes_that_cannot_be_read_later_leave_what_was_known() -> None:
    venue = Venue(market("X"))
    venue.event_changes = [override("2026-11-01T00:00:00Z", multiplier=0.5)]
    catalogue = venue.catalogue()

    async def scenario() -> list[int]:
        rates = [(await catalogue.describe(["X"], NOW_NS)).found["X"].market.fee.taker_rate]
        venue.refuse = lambda request: httpx.Response(503) if "fee_changes" in request.url.path else None
        found = (await catalogue.describe(["X"], NOW_NS + 2 * REMEMBERED_NS)).found
        return [*rates, found["X"].market.fee.taker_rate]

    assert asyncio.run(scenario()) == [35_000, 35_000]


def test_a_venue_without_lists_of_fee_changes_has_none() -> None:
    venue = Venue(market("X"))
    venue.refuse = lambda request: httpx.Response(404) if "fee_changes" in request.url.path else None
    assert describe(venue).found["X"].market.fee.taker_rate == 70_000


@pytest.mark.parametrize(
    ("event", "series", "rates"),
    [
        ({}, {"fee_type": "quadratic", "fee_multiplier": 0.5}, (35_000, 0)),
        ({}, {"fee_type": "quadratic", "fee_multiplier": "0.5"}, (35_000, 0)),
        ({}, {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": 1}, (70_000, 17_500)),
        ({}, {"fee_type": None, "fee_multiplier": None}, (70_000, 0)),
        ({"fee_multiplier_override": 0}, {}, (0, 0)),
        ({"fee_type_override": None, "fee_multiplier_override": None}, {}, (70_000, 0)),
        ({"fee_type_override": "quadratic_with_combo_maker_fees", "fee_multiplier_override": 2}, {}, (140_000, 70_000)),
        ({}, {"fee_multiplier": 0.333333}, (23_334, 0)),
    ],
)
def test_fees_follow_the_series_and_the_events_override(event: Any, series: Any, rates: Any) -> None:
    venue = Venue(market("X"))
    venue.events["KXBTC-26NOV"] = EVENT | event
    venue.series["KXBTC"] = SERIES | series
    fee = describe(venue).found["X"].market.fee
    assert (fee.taker_rate, fee.maker_rate) == rates


def override(when: Any, *, fee_type: str | None = None, multiplier: Any = None) -> dict[str, Any]:
    return {
        "id": "1",
        "event_ticker": "KXBTC-26NOV",
        "series_ticker": "KXBTC",
        "fee_type_override": fee_type,
        "fee_multiplier_override": multiplier,
        "scheduled_ts": when,
    }


@pytest.mark.parametrize("page", [1000, 1])
@pytest.mark.parametrize("last_cursor", ["", None, "absent"])
def test_an_override_that_stands_in_the_list_of_changes_only(page: int, last_cursor: str | None) -> None:
    venue = Venue(market("X"))
    venue.page, venue.last_cursor = page, last_cursor
    venue.event_changes = [
        override("2026-11-10T00:00:00Z", multiplier=2),
        override("2026-11-01T00:00:00Z", multiplier=3),
        override("2026-11-20T00:00:00Z"),
        override("2026-11-30T00:00:00Z", multiplier=4),
    ]
    found = describe(venue).found["X"]
    assert (found.market.fee.taker_rate, found.refresh_ns) == (140_000, 1_795_132_800_000_000_000)
    lifted = describe(venue, now_ns=found.refresh_ns).found["X"]
    assert (lifted.market.fee.taker_rate, lifted.refresh_ns) == (70_000, 1_795_996_800_000_000_000)


def test_what_an_event_says_itself_counts_until_something_scheduled_comes() -> None:
    venue = Venue(market("X"))
    venue.events["KXBTC-26NOV"] = EVENT | {"fee_type_override": None, "fee_multiplier_override": 0}
    venue.event_changes = [override(1_794_000_000, multiplier=2), override(1_795_000_100.5, multiplier=3)]
    catalogue = venue.catalogue()

    async def rate(now_ns: int) -> int:
        return (await catalogue.describe(["X"], now_ns)).found["X"].market.fee.taker_rate

    async def scenario() -> list[int]:
        return [await rate(NOW_NS), await rate(NOW_NS + 100 * 10**9), await rate(NOW_NS + 101 * 10**9)]

    assert asyncio.run(scenario()) == [0, 0, 210_000]


def test_a_scheduled_change_of_the_series_counts_from_its_moment() -> None:
    venue = Venue(market("X"))
    venue.series_changes = [
        {"id": "1", "series_ticker": "KXBTC", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": 2}
        | {"scheduled_ts": "2026-11-18T12:00:00Z"}
    ]
    catalogue = venue.catalogue()

    async def scenario() -> tuple[int, int, int, int]:
        before = (await catalogue.describe(["X"], NOW_NS)).found["X"]
        venue.series_changes = []  # the venue lists what is to come only
        after = (await catalogue.describe(["X"], before.refresh_ns)).found["X"]
        return before.market.fee.taker_rate, before.refresh_ns, after.market.fee.taker_rate, after.refresh_ns

    assert asyncio.run(scenario()) == (70_000, 1_795_003_200_000_000_000, 140_000, 0)


def test_a_fee_change_that_cannot_be_read_keeps_its_markets_out_and_no_others() -> None:
    venue = Venue(market("X"), market("A-B-C", event_ticker="A-B"), market("D-E-F", event_ticker="D-E"))
    venue.event_changes = [override(3) | {"scheduled_ts": "soon"}, {"strange": True}]
    venue.series_changes = [{"series_ticker": "D", "fee_type": "quadratic", "fee_multiplier": "some"}]
    catalogue = describe(venue)
    assert list(catalogue.found) == ["A-B-C"]
    assert catalogue.refused == {
        "X": "a fee change of KXBTC-26NOV could not be read",
        "D-E-F": "a fee change of D could not be read",
    }


@pytest.mark.parametrize("fee_type", ["flat", "margin_market_maker_program_fees", "cubic"])
def test_a_fee_without_known_formula_keeps_the_market_out(fee_type: str) -> None:
    venue = Venue(market("X"))
    venue.series["KXBTC"] = SERIES | {"fee_type": fee_type}
    catalogue = describe(venue)
    assert catalogue.found == {}
    assert catalogue.refused == {"X": f"fee type {fee_type!r} has no known formula"}


def test_a_waiver_counts_until_it_ends_and_the_market_is_looked_at_again_then() -> None:
    waived = describe(Venue(market("X", fee_waiver_expiration_time="2026-11-30T00:00:00Z"))).found["X"]
    assert (waived.market.fee.taker_rate, waived.refresh_ns) == (0, 1_795_996_800_000_000_000)
    assert fill_fees(waived.market.fee, [(5_000, 1_000_000), (50, 10_000)]) == (0, 50)  # the balance is still rounded
    over = describe(Venue(market("X", fee_waiver_expiration_time="2026-11-01T00:00:00Z"))).found["X"]
    assert (over.market.fee.taker_rate, over.refresh_ns) == (70_000, 0)


# The walk, the polls, the limits


@pytest.mark.parametrize("last_cursor", ["", None, "absent"])
@pytest.mark.parametrize("page", [1, 2, 1000])
def test_the_walk_ranks_open_contracts_by_what_was_traded(page: int, last_cursor: str | None) -> None:
    venue = Venue(
        market("A", volume_24h_fp="5.00", volume_fp="1.00"),
        market("B", volume_24h_fp="700.00"),
        market("C", volume_24h_fp="5.00", volume_fp="2.00"),
        market("D", volume_24h_fp="many"),
        market("E", volume_24h_fp="9999.00", market_type="scalar"),
        market("F", volume_24h_fp="9999.00", status="closed"),
        market("G", volume_24h_fp="9999.00", yes_sub_title=3),
    )
    venue.page, venue.last_cursor = page, last_cursor
    catalogue = venue.catalogue()
    assert asyncio.run(catalogue.ranked(10)) == ["B", "C", "A", "D"]
    assert metrics.CATALOGUE_MARKETS.labels("kalshi")._value.get() == 4
    assert asyncio.run(catalogue.ranked(2)) == ["B", "C"]
    assert [one.market.market for one in asyncio.run(catalogue.discover(2, NOW_NS))] == ["B", "C"]


def test_the_walk_asks_for_open_markets_without_the_multivariate() -> None:
    queries = []

    def answer(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        return httpx.Response(200, json={"markets": [], "cursor": "" if len(queries) > 1 else "b+/="})

    asyncio.run(KalshiCatalogue(Rest(rest_client(answer))).ranked(5))
    everything = {"status": "open", "mve_filter": "exclude", "limit": "1000"}
    assert queries == [everything, everything | {"cursor": "b+/="}]


def test_a_list_that_does_not_end_is_left_with_what_it_gave() -> None:
    pages = iter([(["A"], "1"), (["B"], "2"), (["A"], "1"), (["C"], "3")])

    def answer(_request: httpx.Request) -> httpx.Response:
        names, cursor = next(pages)
        return httpx.Response(200, json={"markets": [market(name) for name in names], "cursor": cursor})

    before = forms("cursor", "endless")
    assert asyncio.run(KalshiCatalogue(Rest(rest_client(answer))).ranked(5)) == ["B", "A"]
    assert forms("cursor", "endless") == before + 1


def test_where_markets_stand_now() -> None:
    venue = Venue(market("X"), market("Y", status="inactive"), market("Z", status=7))
    asked = [make_market("kalshi", name) for name in ("X", "Y", "Z", "gone")]
    found = asyncio.run(venue.catalogue().standings(asked))
    assert found == {"X": OPEN, "Y": Standing("halted", "paused by the venue"), "gone": GONE}


@pytest.mark.parametrize(
    ("status", "body", "pauses"),
    [
        (200, {"exchange_active": True, "trading_active": True}, ["", "", ""]),
        (200, {"exchange_active": True, "trading_active": False}, ["trading paused"] * 3),
        (200, {"exchange_active": False, "trading_active": False}, ["exchange paused"] * 3),
        (200, {}, ["", "", ""]),
        (
            200,
            {
                "exchange_active": True,
                "trading_active": True,
                "exchange_index_statuses": [
                    {"exchange_index": 0, "exchange_active": True, "trading_active": True},
                    {"exchange_index": 2, "exchange_active": True, "trading_active": False},
                ],
            },
            ["", "trading paused", ""],
        ),
        (
            503,
            {
                "exchange_active": False,
                "trading_active": False,
                "exchange_index_statuses": [{"exchange_index": 2, "exchange_active": True, "trading_active": True}],
            },
            ["exchange paused"] * 3,
        ),
    ],
)
def test_the_exchange_pauses_shard_by_shard(status: int, body: dict[str, Any], pauses: list[str]) -> None:
    venue = Venue()
    venue.status = httpx.Response(status, json=body)
    shards = {"A": 0, "B": 2, "C": 7}
    markets = [msgspec.structs.replace(make_market("kalshi", name), shard=shards[name]) for name in shards]
    found = asyncio.run(venue.catalogue().pauses(markets))
    assert found == dict(zip("ABC", pauses, strict=True))


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'{"error": "down"}'])
def test_a_failing_exchange_that_says_nothing_of_itself_is_an_error(body: bytes) -> None:
    venue = Venue()
    venue.status = httpx.Response(503, content=body)
    with pytest.raises(RestError, match="HTTP 503"):
        asyncio.run(venue.catalogue().pauses([make_market("kalshi", "A")]))


def test_an_answer_of_another_shape_is_a_clear_error() -> None:
    client = rest_client(lambda _request: httpx.Response(200, content=json.dumps({"error": "x"}).encode()))
    with pytest.raises(RestError, match="markets: the answer is not what was asked for"):
        asyncio.run(KalshiCatalogue(Rest(client)).describe(["X"], NOW_NS))


BODIES = [
    json.dumps(body).encode()
    for body in (
        {"markets": [market("X", exchange_index=1, fee_waiver_expiration_time="2026-11-30T00:00:00Z")], "cursor": ""},
        {"events": [EVENT | {"fee_type_override": None, "fee_multiplier_override": 1}], "cursor": ""},
        {"series": SERIES},
        {"series_fee_change_arr": [{"id": "1", "series_ticker": "KXBTC", "fee_type": "x", "fee_multiplier": 1}]},
        {"event_fee_changes": [override(3)], "cursor": None},
        {"exchange_active": True, "exchange_index_statuses": [{"exchange_index": 1, "trading_active": False}]},
    )
]


@settings(max_examples=60, deadline=None)
@given(mutated(BODIES))
def test_whatever_the_venue_answers_is_an_answer_or_a_clear_error(body: bytes) -> None:
    """Every question gets the same, almost right, answer."""
    catalogue = KalshiCatalogue(Rest(rest_client(lambda _request: httpx.Response(200, content=body))))

    async def scenario() -> None:
        for question in (
            catalogue.describe(["X"], NOW_NS),
            catalogue.ranked(5),
            catalogue.standings([make_market("kalshi", "X")]),
            catalogue.pauses([make_market("kalshi", "X")]),
        ):
            try:
                await question
            except RestError as error:
                assert str(error)

    asyncio.run(scenario())


@settings(max_examples=60, deadline=None)
@given(mutated(BODIES[:5]))
def test_an_almost_right_body_keeps_out_its_own_market_at_most(body: bytes) -> None:
    """One of the answers is almost right, the others are what they should be."""
    kinds = ["markets", "events", "series", "series/fee_changes", "events/fee_changes"]
    for kind in kinds:
        venue = Venue(market("X"), market("A-B-C", event_ticker="A-B"))
        venue.events["A-B"] = EVENT | {"event_ticker": "A-B", "series_ticker": "A"}
        venue.series["A"] = SERIES
        path = "/series/KXBTC" if kind == "series" else f"/{kind}"
        venue.refuse = lambda request, path=path: (  # type: ignore[misc]
            httpx.Response(200, content=body) if request.url.path == path else None
        )
        try:
            catalogue = describe(venue)
        except RestError:
            assert kind == "markets"
            continue
        if kind != "markets":
            assert "A-B-C" in catalogue.found
