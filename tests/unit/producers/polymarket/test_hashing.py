import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.polymarket.content import whole_yes
from producers.polymarket.hashing import Facts, explain, known
from producers.polymarket.messages import TokenBook
from producers.polymarket.texts import Texts, TextSide, level_text, mirrored_text, price_text
from producers.polymarket.wire import decode
from tests.unit.producers.polymarket.frames import NO, YES, VenueMarket, encode, shown
from tests.unit.producers.support import make_market


def texts_of(venue: VenueMarket) -> Texts:
    (book,) = decode(encode(venue.book()))
    assert isinstance(book, TokenBook)
    whole, texts = whole_yes(book, venue.yes), Texts()
    texts.bids.replace(whole.bids)
    texts.asks.replace(whole.asks)
    return texts


def facts_of(venue: VenueMarket, last_trade: str | None = None) -> Facts:
    facts, told = Facts(venue.record()), venue.facts["last_trade_price"]
    facts.learn(tick=venue.facts["tick_size"], last_trade=told if last_trade is None else last_trade)
    return facts


def found(venue: VenueMarket, facts: Facts, *prices: int, search: bool = False, ticks: bool = False) -> str | None:
    text = facts.head(venue.yes, str(venue.ms)) + texts_of(venue).body()
    hashes = [venue.hash(venue.yes)]
    how = known(facts, text, hashes) or explain(facts, text, hashes, prices, search=search, ticks=ticks)
    return None if how is None else f"{how.form}: {how.last_trade}"


def test_an_empty_protocol_v2_book_recorded_on_2026_10_05() -> None:
    market = "0x017791f201d5a788e0039e511fc1900e5f000000000000000000000000000000"
    token = "663574927012476832975694178961957910328055987427402067619466963999000625152"
    record = make_market("polymarket", market, (token, NO))
    facts = Facts(msgspec.structs.replace(record, minimum_quantity=500, protocol="v2"))
    text = facts.head(token, "1791238858575") + Texts().body()
    assert known(facts, text, ["fc3846cab0c35a0977b6e5f605a4e5ff0d0b2277"]) is not None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"neg_risk": True},
        {"min_order_size": "15", "tick_size": "0.005"},
        {"min_order_size": "2.5"},
        {"version": "v2"},
        {"last_trade_price": ""},
    ],
)
def test_what_a_hash_covers_is_known_from_metadata_and_whole_books(facts: dict[str, object]) -> None:
    venue = VenueMarket(**facts)  # type: ignore[arg-type]
    assert found(venue, facts_of(venue)) == f"known: {venue.facts['last_trade_price']}"
    venue.facts["neg_risk"] = not venue.facts["neg_risk"]
    assert found(venue, facts_of(VenueMarket(**facts)), 4000, search=True, ticks=True) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("served", "price", "how"),
    [
        ("0.410", 4100, "3 decimals: 0.410"),
        ("0.590", 4100, "3 decimals: 0.590"),
        ("0.4100", 4100, "4 decimals: 0.4100"),
        ("0.4123", 4123, "4 decimals: 0.4123"),
        ("0.41", 4100, "as traded: 0.41"),
        ("", 4100, "none yet: "),
        ("0.777", 4100, None),
    ],
)
def test_the_last_trade_price_is_guessed_from_prices_of_either_token(served: str, price: int, how: str | None) -> None:
    venue = VenueMarket(last_trade_price=served)
    assert found(venue, facts_of(venue, "0.123"), price) == how


def test_a_search_finds_any_last_trade_price_there_can_be() -> None:
    venue = VenueMarket(last_trade_price="0.777")
    assert found(venue, facts_of(venue, ""), search=True) == "searched: 0.777"
    fine = VenueMarket(last_trade_price="0.7777", tick_size="0.0001")
    assert found(fine, facts_of(fine, ""), search=True) == "searched: 0.7777"
    impossible = VenueMarket(last_trade_price="0.77777")
    assert found(impossible, facts_of(impossible, ""), search=True) is None


def test_another_price_grid_is_found() -> None:
    venue = VenueMarket()
    facts = facts_of(venue)
    venue.facts |= {"tick_size": "0.001", "last_trade_price": "0.610"}
    assert found(venue, facts, 6100) is None
    assert found(venue, facts, 6100, ticks=True) == "tick: 0.610"


SIDE = st.dictionaries(st.integers(1, 9999), st.integers(1, 10**7).map(shown), max_size=8)


@given(SIDE, SIDE, st.sampled_from([YES, NO]))
def test_both_tokens_hashes_come_of_the_yes_levels(bids: dict[int, str], asks: dict[int, str], token: str) -> None:
    venue = VenueMarket()
    venue.bids, venue.asks = bids, asks
    texts, facts = texts_of(venue), facts_of(venue)
    body = texts.body() if token == YES else texts.mirrored_body()
    assert known(facts, facts.head(token, str(venue.ms)) + body, [venue.hash(token)]) is not None


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from(["", "1", "2.5"])), max_size=30))
def test_a_side_of_texts_stays_in_the_venues_order(puts: list[tuple[int, str]]) -> None:
    bids, asks, now = TextSide("bid"), TextSide("ask"), {}
    for price, size in puts:
        text = level_text(price_text(price), size) if size else ""
        bids.put(price, text)
        asks.put(price, text)
        now[price] = text
        left = sorted(price for price, text in now.items() if text)
        assert bids.joined() == ",".join(now[price] for price in left)
        assert asks.joined() == ",".join(now[price] for price in reversed(left))
        assert (bids.best(), asks.best()) == ((left[-1], left[0]) if left else (None, None))


def test_prices_are_printed_as_the_venue_does() -> None:
    assert [price_text(price) for price in (100, 20, 4000, 4010, 4123, 9999)] == [
        "0.01", "0.002", "0.4", "0.401", "0.4123", "0.9999",
    ]  # fmt: skip
    assert mirrored_text(4000, level_text("0.4", "7.25")) == level_text("0.6", "7.25")
