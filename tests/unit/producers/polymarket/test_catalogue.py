"""Polymarket's catalogue against a CLOB and a Gamma that are functions."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings

from producers.catalogue import GONE, OPEN, Catalogue, Standing
from producers.clock import VenueClock
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest
from producers.refusals import RestError
from runtime import metrics
from schemas.records import TickRange
from tests.unit.producers.mutate import mutated
from tests.unit.producers.polymarket.frames import MARKET, NO, YES
from tests.unit.producers.polymarket.venue import GAMMA, INFO, Venue
from tests.unit.producers.support import make_market, rest_client

SHORT = "0x" + "ab" * 31
"""A protocol v2 condition as Gamma writes it."""


def describe(venue: Venue, *conditions: str) -> Catalogue:
    return asyncio.run(venue.catalogue().describe(conditions or (MARKET,)))


def forms(field: str, form: str) -> float:
    return float(metrics.FORMS_SEEN.labels("polymarket", field, form)._value.get())


def test_a_market_becomes_a_record() -> None:
    found = describe(Venue()).found[MARKET]
    market = found.market
    assert (market.title, market.rules, market.event, market.status) == ("Up or down?", "Rules.", "btc-event", "active")
    assert (market.tokens, market.ticks) == ((YES, NO), (TickRange(start=0, end=10000, step=10),))
    assert (market.minimum_quantity, market.minimum_value) == (500, 1_000_000)
    assert market.close_ns == 1_791_242_100_000_000_000
    assert (market.series, market.category, market.outcomes) == ("btc-up-or-down-15m", "Crypto", ("Up", "Down"))
    assert (market.protocol, market.taker_delay_ms, market.negative_risk_augmented) == ("v1", 250, False)
    assert (market.result, market.resolution) == ("", "source: https://data.chain.link")
    fee = market.fee
    assert (fee.model, fee.taker_rate, fee.maker_rate, fee.exponent) == ("polymarket_curve", 70_000, 0, 1)
    assert (found.standing, found.refresh_ns) == (OPEN, 0)


@pytest.mark.parametrize("names", [("Yes", "No"), ("Up", "Down"), ("Lakers", "Celtics"), ("No", "Maybe"), ("", "")])
def test_the_first_token_is_yes_unless_the_names_contradict(names: tuple[str, str]) -> None:
    tokens = [{"t": token, "o": name} for token, name in zip((YES, NO), names, strict=True)]
    assert describe(Venue({"t": tokens})).found[MARKET].market.tokens == (YES, NO)


def test_small_numbers_are_read_as_meant() -> None:
    assert describe(Venue({"mos": 1e-05})).found[MARKET].market.minimum_quantity == 0


@pytest.mark.parametrize(
    ("info", "delay_ms"),
    [
        ({"itode": None}, 0),
        ({"itode": False, "sd": 3}, 3000),
        ({"itode": True, "sd": 3}, 3000),
        ({"itode": True, "sd": 0}, 250),
        ({"itode": True, "sd": ""}, 250),
        ({"itode": False, "sd": "0.5"}, 500),
    ],
)
def test_delays(info: dict[str, Any], delay_ms: int) -> None:
    assert describe(Venue(info)).found[MARKET].market.taker_delay_ms == delay_ms


@pytest.mark.parametrize(("clob", "gamma", "expected"), [(True, None, True), (None, True, True), (None, None, False)])
def test_negative_risk_is_the_clobs_word_and_else_gammas(clob: Any, gamma: Any, expected: bool) -> None:
    events = [{"slug": "e", "negRiskAugmented": True}]
    market = describe(Venue({"nr": clob}, {"negRisk": gamma, "events": events})).found[MARKET].market
    assert (market.negative_risk, market.mutually_exclusive) == (expected, expected)
    assert market.negative_risk_augmented


@pytest.mark.parametrize("status", [404, 503])
def test_gamma_may_fail(status: int) -> None:
    venue = Venue()
    venue.refuse_gamma = lambda _request: httpx.Response(status)
    market = describe(venue).found[MARKET].market
    assert (market.title, market.close_ns, market.updated_ns, market.status) == (MARKET, 0, 0, "active")
    assert market.fee.taker_rate == 70_000


def test_gamma_may_not_know_the_market() -> None:
    venue = Venue()
    venue.gamma = []
    assert describe(venue).found[MARKET].market.title == MARKET


def test_absent_and_null_fields_are_the_same() -> None:
    venue = Venue()
    venue.info[MARKET] = {"t": INFO["t"], "mts": 0.01, "v": "v1"}
    venue.gamma = [{"conditionId": MARKET}]
    bare = describe(venue).found[MARKET]
    venue.info[MARKET] |= {"mos": 0, "fd": None, "ao": None, "nr": None, "sd": None, "itode": None}
    venue.gamma = [dict.fromkeys(GAMMA) | {"conditionId": MARKET}]
    assert describe(venue).found[MARKET] == bare
    assert (bare.market.fee.model, bare.market.minimum_quantity, bare.standing) == ("none", 0, OPEN)


# Versions and ids


def v2(**changes: Any) -> Venue:
    positions = ["555", "666"]
    venue = Venue(
        {"t": [{"t": "555", "o": "Yes"}, {"t": "666", "o": "No"}], "v": "v2"} | changes,
        {"version": "v2", "positionIds": positions, "conditionId": SHORT},
    )
    venue.info = {SHORT + "00": venue.info[MARKET]}
    return venue


def test_a_v2_market_has_position_ids_and_a_condition_that_gamma_writes_short() -> None:
    market = describe(v2(), SHORT + "00").found[SHORT + "00"].market
    assert (market.tokens, market.protocol, market.title) == (("555", "666"), "v2", "Up or down?")
    assert asyncio.run(v2().catalogue().ranked(5)) == [SHORT + "00"]


@pytest.mark.parametrize("encoded", [True, False])
def test_lists_may_be_arrays_or_json_in_strings(encoded: bool) -> None:
    lists: dict[str, Any] = {"clobTokenIds": [YES, NO], "outcomes": ["Up", "Down"], "outcomePrices": ["1", "0"]}
    gamma = {name: json.dumps(value) if encoded else value for name, value in lists.items()}
    field, form = "clobTokenIds", "JSON in a string" if encoded else "array"
    before = forms(field, form)
    market = describe(Venue(gamma=gamma | {"closed": True})).found[MARKET].market
    assert (market.tokens, market.result) == ((YES, NO), "yes")
    assert forms(field, form) > before


@pytest.mark.parametrize(
    ("info", "gamma", "kind", "problem"),
    [
        ({"v": "v3"}, {"version": None}, "protocol version", r"protocol version is \['v3'\]"),
        ({"v": None}, {"version": None}, "protocol version", "protocol version is not stated"),
        ({"v": "v1"}, {"version": "v2", "positionIds": None}, "protocol version", r"\['v1', 'v2'\]"),
        ({}, {"clobTokenIds": json.dumps([NO, YES])}, "tokens", "the CLOB has tokens"),
        ({"t": INFO["t"][:1]}, {}, "tokens", "1 tokens: expected YES and NO"),
        ({"t": [INFO["t"][0]] * 2}, {"clobTokenIds": None}, "tokens", "2 tokens: expected YES and NO"),
        ({"t": [INFO["t"][0], {"o": "No"}]}, {}, "tokens", "2 tokens: expected YES and NO"),
        ({"t": [{"t": YES, "o": "No"}, {"t": NO, "o": "Yes"}]}, {}, "tokens", "outcomes are 'No' and 'Yes'"),
        ({"t": [{"t": YES, "o": " DOWN"}, {"t": NO, "o": "up"}]}, {}, "tokens", "outcomes are 'DOWN' and 'up'"),
        ({"mts": 0}, {}, "tick size", "tick size is 0"),
        ({"mts": None}, {}, "tick size", "no tick size"),
        ({"mts": 0.00001}, {}, "malformed", "finer than"),
        ({"fd": {"r": 0.1, "e": 1.5}}, {}, "fee", "fee exponent 1.5"),
        ({"fd": {"r": 0.1, "e": -1}}, {}, "fee", "fee exponent -1"),
        ({"fd": {"r": -0.1, "e": 1}}, {}, "malformed", "negative"),
        ({"t": "x"}, {}, "malformed", "Expected `array"),
        ({"sd": -1}, {}, "malformed", "negative"),
        ({}, {"endDate": "tomorrow"}, "malformed", "tomorrow"),
    ],
)
def test_what_is_not_understood_keeps_the_market_out(info: Any, gamma: Any, kind: str, problem: str) -> None:
    count = metrics.CATALOGUE_REFUSED.labels("polymarket", kind)
    before = count._value.get()
    catalogue = describe(Venue(info, gamma))
    assert not catalogue.found
    assert not catalogue.failed
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(catalogue.refused[MARKET])
    assert count._value.get() == before + 1


def test_a_gamma_market_that_is_malformed_leaves_the_others_their_texts() -> None:
    venue = Venue()
    venue.gamma = [GAMMA | {"conditionId": "0xother", "question": 3}, 7, GAMMA]  # type: ignore[list-item]
    venue.refuse_gamma = lambda _request: httpx.Response(200, json=venue.gamma)
    assert describe(venue).found[MARKET].market.title == "Up or down?"


@pytest.mark.parametrize("info", [{"t": []}, {"t": [{"t": "", "o": "Yes"}, {"t": "", "o": "No"}]}])
def test_a_market_without_token_ids_is_not_there_yet(info: Any) -> None:
    assert describe(Venue(info)) == Catalogue()


def test_a_market_the_venue_does_not_know_is_in_no_part() -> None:
    assert describe(Venue(), "0xother") == Catalogue()


@pytest.mark.parametrize("status", [503, 401])
def test_a_venue_that_is_down_is_a_failure_not_an_unknown_market(status: int) -> None:
    venue = Venue()
    venue.refuse_clob = lambda _request: httpx.Response(status)
    assert f"HTTP {status}" in describe(venue).failed[MARKET]


# Fees


@pytest.mark.parametrize(
    ("info", "gamma", "fee", "form"),
    [
        ({}, {}, ("polymarket_curve", 70_000, 0, 1), "agreed"),
        ({"fd": None}, {"feeSchedule": None}, ("none", 0, 0, 0), ""),
        ({"fd": None}, {"feesEnabled": False}, ("none", 0, 0, 0), ""),
        ({"fd": {"r": 0, "e": 1, "to": True}}, {"feeSchedule": {"rate": 0}}, ("none", 0, 0, 0), "agreed"),
        (
            {"fd": {"r": 0.25, "e": 2, "to": False}},
            {"feeSchedule": None},
            ("polymarket_curve", 250_000, 250_000, 2),
            "",
        ),
        ({"fd": {"r": "0.05"}}, {}, ("polymarket_curve", 70_000, 0, 1), "CLOB and Gamma differ"),
        ({"fd": None}, {}, ("polymarket_curve", 70_000, 0, 1), "CLOB and Gamma differ"),
        # Half a dollar: 0.25 x 1/16 is less than 0.07 x 1/4.
        ({"fd": {"r": 0.25, "e": 2}}, {}, ("polymarket_curve", 70_000, 0, 1), "CLOB and Gamma differ"),
    ],
)
def test_fees_are_the_dearer_where_two_are_told(info: Any, gamma: Any, fee: Any, form: str) -> None:
    before = forms("fee", form) if form else 0
    schedule = describe(Venue(info, gamma)).found[MARKET].market.fee
    assert (schedule.model, schedule.taker_rate, schedule.maker_rate, schedule.exponent) == fee
    assert not form or forms("fee", form) == before + 1


# Standing


@pytest.mark.parametrize(
    ("info", "gamma", "standing", "status"),
    [
        ({}, {}, OPEN, "active"),
        ({"ao": False}, {}, Standing("halted", "not accepting orders"), "inactive"),
        ({"ao": None}, {"acceptingOrders": False}, Standing("halted", "not accepting orders"), "inactive"),
        ({"ao": None}, {"acceptingOrders": None}, OPEN, "active"),
        ({}, {"active": False}, Standing("halted", "not active"), "inactive"),
        ({}, {"enableOrderBook": False}, Standing("halted", "no order book"), "inactive"),
        ({}, {"closed": True}, Standing("closed", "closed by the venue"), "closed"),
        ({"ao": False}, {"archived": True}, Standing("closed", "archived by the venue"), "closed"),
    ],
)
def test_whether_a_market_is_traded(info: Any, gamma: Any, standing: Standing, status: str) -> None:
    found = describe(Venue(info, gamma)).found[MARKET]
    assert (found.standing, found.market.status) == (standing, status)


@pytest.mark.parametrize(
    ("prices", "result"),
    [
        ('["1", "0"]', "yes"),
        ('["0", "1"]', "no"),
        ('["0.0", "1.000"]', "no"),
        ('["0.5", "0.5"]', "split"),
        ('["0.9995", "0.0005"]', ""),
        ("", ""),
    ],
)
def test_what_a_closed_market_paid(prices: str, result: str) -> None:
    gamma = {"closed": True, "outcomePrices": prices, "umaResolutionStatus": "resolved"}
    market = describe(Venue({"ao": False}, gamma)).found[MARKET].market
    assert (market.result, market.resolution) == (result, "source: https://data.chain.link; status: resolved")
    assert describe(Venue(gamma=gamma | {"closed": False})).found[MARKET].market.result == ""


@pytest.mark.parametrize(
    ("winners", "more", "result"),
    [
        ((True, False), {}, "yes"),
        ((False, True), {}, "no"),
        ((False, False), {}, ""),
        ((False, False), {"is_50_50_outcome": True}, "split"),
        ((True, True), {}, ""),
        ((None, None), {"closed": None}, ""),
    ],
)
def test_the_clob_names_the_winner_where_prices_do_not(winners: Any, more: Any, result: str) -> None:
    venue = Venue({"ao": False}, {"closed": True, "outcomePrices": '["0.99", "0.01"]'})
    tokens = [{"token_id": token, "winner": winner} for token, winner in zip((YES, NO), winners, strict=True)]
    venue.full = {"condition_id": MARKET, "closed": True, "tokens": tokens} | more
    assert describe(venue).found[MARKET].market.result == result


def test_standings_are_asked_of_the_clob_market_by_market() -> None:
    venue = Venue()
    venue.info |= {"0xhalted": INFO | {"ao": False}, "0xstrange": {"t": 3}, "0xdown": INFO}
    venue.refuse_clob = lambda request: httpx.Response(503) if "0xdown" in request.url.path else None
    names = (MARKET, "0xhalted", "0xstrange", "0xdown", "0xunknown")
    asked = [make_market("polymarket", name) for name in names]
    found = asyncio.run(venue.catalogue().standings(asked))
    assert found == {MARKET: OPEN, "0xhalted": Standing("halted", "not accepting orders"), "0xunknown": GONE}
    far = asyncio.run(venue.catalogue().standings(asked, closely=False))
    assert far == {MARKET: OPEN} | dict.fromkeys(names[1:], GONE)
    assert asyncio.run(venue.catalogue().pauses(asked)) == {}
    assert asyncio.run(venue.catalogue().standings([])) == {}


def test_a_clob_that_says_nothing_of_any_market_is_an_error() -> None:
    venue = Venue()
    venue.refuse_clob = lambda _request: httpx.Response(503)
    with pytest.raises(RestError, match="HTTP 503"):
        asyncio.run(venue.catalogue().standings([make_market("polymarket", MARKET)]))


def test_the_clock_of_the_clob() -> None:
    now_ns = 1_790_000_000_000_000_000
    for said in (1_790_000_030, 1_790_000_030.0):
        clock, venue = VenueClock("polymarket", lambda: now_ns), Venue()
        venue.time = said
        asyncio.run(venue.catalogue(clock).ask_time())
        estimate = clock.estimate()
        assert estimate is not None
        assert (estimate.low_ns, estimate.high_ns) == (30 * 10**9, 31 * 10**9)
    venue.time = "noon"
    with pytest.raises(RestError, match="time: the answer is not what was asked for"):
        asyncio.run(venue.catalogue(VenueClock("polymarket", lambda: now_ns)).ask_time())
    asyncio.run(venue.catalogue().ask_time())
    metrics.AGES.correct("polymarket", 0)


# The walk


def many(*volumes: float | None) -> Venue:
    venue = Venue()
    venue.gamma = [GAMMA | {"conditionId": f"0x{n:064x}", "volume24hr": volume} for n, volume in enumerate(volumes)]
    return venue


def ids(*numbers: int) -> list[str]:
    return [f"0x{number:064x}" for number in numbers]


@pytest.mark.parametrize("page", [1, 2, 100])
def test_the_walk_stops_when_it_has_enough_of_a_list_that_is_in_order(page: int) -> None:
    venue = many(9, 8, 8, 7, 6, None)
    venue.page = page
    assert asyncio.run(venue.catalogue().ranked(3)) == ids(0, 1, 2)
    assert len(venue.asked) == -(-3 // page)


@pytest.mark.parametrize("keyset", [True, False])
@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_list_in_another_order_is_read_to_its_end(page: int, keyset: bool) -> None:
    venue = many(1, 8, None, 9, 2)
    venue.page, venue.keyset = page, keyset
    assert asyncio.run(venue.catalogue().ranked(3)) == ids(3, 1, 4)


def test_what_cannot_be_traded_is_left_out() -> None:
    venue = many(9, 8, 7, 6, 5, 4, 3)
    changes: list[dict[str, Any]] = [
        {"active": False},
        {"archived": True},
        {"acceptingOrders": False},
        {"acceptingOrders": None},
        {"enableOrderBook": False},
        {"clobTokenIds": "[1"},
    ]
    for number, change in enumerate(changes):
        venue.gamma[number] |= change
    assert asyncio.run(venue.catalogue().ranked(10)) == ids(6)


def test_the_walk_asks_with_the_parameters_that_the_venue_honours() -> None:
    queries = []

    def gamma(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        return httpx.Response(200, json={"markets": [], "next_cursor": "a+/=" if len(queries) == 1 else None})

    catalogue = PolymarketCatalogue(Rest(rest_client(gamma), rest_client(gamma)))
    assert asyncio.run(catalogue.ranked(5)) == []
    asked = {"active": "true", "closed": "false", "order": "volume24hr", "ascending": "false", "limit": "100"}
    assert queries == [asked, asked | {"after_cursor": "a+/="}]


def test_a_walk_that_breaks_off_is_an_error() -> None:
    venue = many(9, 8, 7)
    venue.page = 1
    venue.refuse_gamma = lambda request: httpx.Response(404) if "after_cursor" in request.url.params else None
    with pytest.raises(RestError, match="HTTP 404"):
        asyncio.run(venue.catalogue().ranked(3))


def test_discovered_markets_are_described_in_order() -> None:
    venue = many(9, 8, 7)
    venue.info = {condition: INFO | {"c": condition} for condition in ids(0, 2)}
    found = asyncio.run(venue.catalogue().discover(3))
    assert [one.market.market for one in found] == ids(0, 2)


# Anything else

BODIES = [
    json.dumps(body).encode()
    for body in (
        INFO | {"sd": 3, "nr": True},
        [GAMMA | {"volume24hr": 3.5}],
        {"markets": [GAMMA], "next_cursor": "x"},
        1_790_000_030,
    )
]


@settings(max_examples=60, deadline=None)
@given(mutated(BODIES[:3]))
def test_whatever_the_venue_answers_is_an_answer_or_a_clear_error(body: bytes) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    catalogue = PolymarketCatalogue(Rest(rest_client(answer), rest_client(answer)), VenueClock("polymarket", lambda: 0))

    async def scenario() -> None:
        described = await catalogue.describe([MARKET])
        assert MARKET in {**described.found, **described.refused} or described == Catalogue()
        for question in (
            catalogue.ranked(5),
            catalogue.standings([make_market("polymarket", MARKET)]),
            catalogue.ask_time(),
        ):
            try:
                await question
            except RestError as error:
                assert str(error)

    asyncio.run(scenario())
    metrics.AGES.correct("polymarket", 0)
