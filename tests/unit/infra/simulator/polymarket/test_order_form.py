"""What a Polymarket order's amounts mean, its id, and the signatures of private calls."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.polymarket.keys import Gate, signature
from infra.simulator.polymarket.options import Credentials
from infra.simulator.polymarket.order_form import SignedOrder, affordable, counter_amount, money
from infra.simulator.polymarket.order_id import keccak256, order_id


def order(making: int, taking: int, side: str = "BUY", **more: object) -> SignedOrder:
    fields = {"salt": 1, "maker": "0xa1", "signer": "0xa1", "tokenId": "1234", "signatureType": 0, "timestamp": "7"}
    amounts = {"makerAmount": str(making), "takerAmount": str(taking), "side": side, "signature": "0x"}
    return SignedOrder(**(fields | amounts | more))  # type: ignore[arg-type]


TICKS = st.sampled_from([1, 10, 25, 50, 100, 1000])


@given(TICKS, st.integers(1, 9_999), st.integers(500, 10**7))
def test_amounts_on_the_grid_mean_their_price(tick: int, steps: int, hundredths: int) -> None:
    price = steps % (10_000 // tick) * tick
    making, taking = price * hundredths, hundredths * 10_000
    wanted = price if tick <= price <= 10_000 - tick else None
    assert order(making, taking).price(tick) == wanted
    assert order(taking, making, "SELL").price(tick) == wanted


@given(TICKS, st.integers(1, 9_999), st.integers(100, 10**7))
def test_rounded_market_amounts_mean_it_too(tick: int, steps: int, cents: int) -> None:
    """Dollars to the cent, shares rounded down to as few decimals as the coarsest grid allows them."""
    price = max(tick, steps % (10_000 // tick) * tick)
    shares = cents * 10_000 * 10_000 // price // 1_000 * 1_000
    off = abs(Fraction(cents * 10_000, shares) * 10_000 - price)
    found = order(cents * 10_000, shares).price(tick)
    assert found == (price if off <= Fraction(1, 10) else None)


def test_what_is_half_a_tick_away_means_no_price() -> None:
    assert order(4_150_000, 10_000_000).price(100) is None
    assert order(4_150_000, 10_000_000).price(50) == 4_150
    assert order(0, 0).price(100) is None


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_counter_amount_is_rounded_down(fill: int, making: int, taking: int) -> None:
    exact = Fraction(fill * taking, making)
    assert exact - 1 < counter_amount(fill, making, taking) <= exact


LEVELS = st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 10**6)), max_size=5).map(sorted)


@given(LEVELS, st.integers(0, 10**11))
def test_a_budget_buys_the_cheapest_and_no_more_than_it_can(levels: list[tuple[int, int]], dollars: int) -> None:
    quantity, left = affordable(levels, dollars)
    units = [price for price, size in levels for price in [price] * min(size, 3)]
    cost, rest = 0, quantity
    for price, size in levels:
        taken = min(rest, size)
        cost, rest = cost + taken * price, rest - taken
    assert (cost + left, rest) == (dollars, 0)
    depth = sum(size for _, size in levels)
    assert quantity == depth or left < max(units, default=1)


def test_money_is_written_plainly() -> None:
    assert [money(amount, "decimal") for amount in (0, 4_500_000, 1, 10_000_000)] == ["0", "4.5", "0.000001", "10"]
    assert money(4_500_000, "base") == "4500000"


def test_keccak_is_the_one_before_sha_3() -> None:
    """The reference's values for nothing, for three letters, and for a text longer than a block."""
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    lengths = {keccak256(b"x" * length) for length in range(130, 140)}
    assert len(lengths) == 10


def test_an_id_depends_on_everything_that_is_signed_and_on_the_contract() -> None:
    plain = order(1, 2)
    ids = {
        order_id(plain, neg_risk=False, version="v1"),
        order_id(plain, neg_risk=True, version="v1"),
        order_id(plain, neg_risk=False, version="v2"),
        *(
            order_id(order(1, 2, **changed), neg_risk=False, version="v1")
            for changed in (
                {"salt": 2}, {"maker": "0xa2"}, {"signer": "0xa2"}, {"tokenId": "1"}, {"makerAmount": "2"},
                {"takerAmount": "3"}, {"side": "SELL"}, {"signatureType": 1}, {"timestamp": "8"},
                {"metadata": "0x" + "01" * 32}, {"builder": "0x" + "02" * 32},
            )
        ),
    }  # fmt: skip
    assert len(ids) == 14
    assert {len(identity) for identity in ids} == {66}
    unsigned = order(1, 2, expiration="9", signature="0xff")
    assert order_id(unsigned, neg_risk=False, version="v1") in ids


def test_an_id_is_the_typed_data_hash_put_together_by_hand() -> None:
    def word(value: int) -> bytes:
        return value.to_bytes(32, "big")

    # The separator that the official clients' orders for this contract carry in wallets' wrapped signatures.
    separator = bytes.fromhex("3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2")
    kind = (
        "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
        "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
    )
    values = (1, 0xA1, 0xA1, 1234, 5, 6, 1, 0, 7, 0, 0)
    struct = keccak256(keccak256(kind.encode()) + b"".join(map(word, values)))
    wanted = keccak256(b"\x19\x01" + separator + struct).hex()
    assert order_id(order(5, 6, "SELL"), neg_risk=False, version="v1") == "0x" + wanted


def test_the_official_clients_test_vector_of_a_signature() -> None:
    secret = "A" * 43 + "="
    wanted = "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc="
    assert signature(secret, "1000000", "test-sign", "/orders", '{"hash": "0x123"}') == wanted


def test_both_alphabets_of_a_secret_are_one() -> None:
    assert signature("-_" * 22, "1", "GET", "/") == signature("+/" * 22, "1", "GET", "/")
    with pytest.raises(ValueError, match="secret"):
        Gate(Credentials("key", "not base64!", "phrase", "0xa1"), 60)


def test_credentials_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    body = {"apiKey": "k", "secret": "QUFB", "passphrase": "p", "address": "0xa1"}
    file.write_text(json.dumps(body))
    assert Credentials.from_file(file) == Credentials("k", "QUFB", "p", "0xa1")
    file.write_text(json.dumps(body | {"adress": "0xa1"}))
    with pytest.raises(ValueError, match=r"keys.json.*adress"):
        Credentials.from_file(file)
    with pytest.raises(ValueError, match=r"none.json"):
        Credentials.from_file(tmp_path / "none.json")
