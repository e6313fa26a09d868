"""Polymarket books kept from frames alone: equal to the canonical ones, and each change proved by its hash."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.traffic import Traffic
from tests.unit.infra.simulator.polymarket.floor import Floor, Follower, own_hash, rest_book


@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_applies_every_frame_has_the_canonical_books(seed: int, tmp_path: Path) -> None:
    """Both legs, with every choice left to chance, under traffic that trades, sweeps and changes price grids."""
    chances: dict[str, Any] = {
        "batched": 0.3,
        "arrays": 0.2,
        "resent": 0.2,
        "dust": 0.3,
        "touches": 0.5,
        "showcase": True,
    }
    floor = Floor(tmp_path, seed=seed, book_after_tick=True, **chances)
    markets = {name: market.listing.tokens for name, market in floor.venue.markets.items()}
    traffic = Traffic(floor.engine, floor.engine.markets, seed, floor.venue.grid)
    traffic.fill()
    floor.pass_ms(100)
    follower = Follower(floor, *(token for tokens in markets.values() for token in tokens), custom_feature_enabled=True)
    follower.read()
    for _ in range(1_500):
        traffic.step()
        floor.pass_ms(7)
    floor.pass_ms(1_000)
    follower.read()
    canonical = floor.venue.canonical()
    assert canonical.keys() == markets.keys()
    for name, book in canonical.items():
        for token in markets[name]:
            assert follower.ladders(markets[name][0], token) == book, name
    kinds = {event["event_type"] for event in follower.history}
    assert {"book", "price_change", "last_trade_price", "best_bid_ask"} <= kinds


class Judge:
    """Checks hashes as a client can: of the last entry of each token in a message, else with a trade told later."""

    def __init__(self, floor: Floor, follower: Follower) -> None:
        self.floor, self.follower = floor, follower
        self.markets = {token: market for market in floor.venue.markets.values() for token in market.listing.tokens}
        self.known = {token: rest_book(floor, token) for token in self.markets}
        self.waiting: dict[str, list[tuple[int, str, str, Any, Any]]] = {token: [] for token in self.markets}
        self.right = self.late = 0

    def __call__(self, event: dict[str, Any]) -> None:
        kind, token = event["event_type"], event.get("asset_id", "")
        if kind == "last_trade_price":
            for leg in self.markets[token].listing.tokens:
                self.known[leg] |= {"last_trade_price": f"{Decimal(event['price']):.3f}"}
                self._again(leg)
        elif kind == "tick_size_change":
            self.known[token] |= {"tick_size": event["new_tick_size"]}
        elif kind == "book":
            self._check(token, event["timestamp"], event["hash"])
        for leg, digest in {leg["asset_id"]: leg["hash"] for leg in event.get("price_changes", [])}.items():
            self._check(leg, event["timestamp"], digest)

    def _check(self, token: str, stamp: str, digest: str) -> None:
        book = {side: dict(levels) for side, levels in self.follower.books[token].items()}
        if own_hash(self.known[token], token, stamp, book) == digest:
            self.right += 1
        else:
            self.waiting[token].append((self.floor.now_ns, stamp, digest, book, dict(self.known[token])))

    def _again(self, token: str) -> None:
        wrong = []
        for since_ns, stamp, digest, book, known in self.waiting[token]:
            told = known | {"last_trade_price": self.known[token]["last_trade_price"]}
            if own_hash(told, token, stamp, book) == digest:
                self.late += 1
            else:
                assert self.floor.now_ns - since_ns <= 100 * 10**6
                wrong.append((since_ns, stamp, digest, book, known))
        self.waiting[token] = wrong


@pytest.mark.parametrize("seed", range(3))
def test_every_hash_is_right_with_a_last_price_told_in_time(seed: int, tmp_path: Path) -> None:
    floor = Floor(tmp_path, seed=seed, batched=0.3, dust=0.3, resent=0.1, showcase=True, book_after_tick=True)
    traffic = Traffic(floor.engine, floor.engine.markets, seed, floor.venue.grid)
    follower = Follower(floor, *(token for market in floor.venue.markets.values() for token in market.listing.tokens))
    judge = follower.judge = Judge(floor, follower)
    for _ in range(1_500):
        traffic.step()
        floor.pass_ms(5)
        follower.read()
    for _ in range(20):
        floor.pass_ms(5)
        follower.read()
    assert not any(judge.waiting.values())
    assert judge.right > 1_000
    assert judge.late > 50
