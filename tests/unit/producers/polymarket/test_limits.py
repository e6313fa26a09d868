"""Polymarket's sliding windows: what each request takes out of which bucket."""

import pytest

from producers.polymarket.limits import CLOB, GAMMA, WINDOW_S, clob_charge, gamma_charge


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("/clob-markets/0xab", {"general"}),
        ("/book", {"general", "book"}),
        ("/books", {"general", "books"}),
        ("/midpoints", {"general", "books"}),
        ("/tick-size", {"general", "tick size"}),
        ("/time", {"general"}),
    ],
)
def test_what_the_clob_is_charged(path: str, scopes: set[str]) -> None:
    charge = clob_charge("GET", path)
    assert set(charge) == scopes <= set(CLOB)
    assert set(charge.values()) == {1.0}


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("/markets", {"general", "lists", "markets"}),
        ("/markets/keyset", {"general", "lists", "markets"}),
        ("/events/keyset", {"general", "lists", "events"}),
        ("/series", {"general"}),
    ],
)
def test_what_gamma_is_charged(path: str, scopes: set[str]) -> None:
    assert set(gamma_charge("GET", path)) == scopes <= set(GAMMA)


def test_no_bucket_reaches_the_documented_limit_of_its_window() -> None:
    documented = {"general": 9000, "book": 1500, "books": 500, "tick size": 200, "health": 100}
    for scope, bucket in CLOB.items():
        assert bucket.capacity + bucket.refill_per_s * WINDOW_S < documented[scope]
        assert bucket.capacity >= 1
