"""Kalshi's rate limits: a token bucket for reads and one for writes per account, and one for writes per shard.

Source: the venue's page "Rate Limits and Tiers" (2026-08-19). A rejected request takes no tokens and has no penalty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.simulator.kalshi.market import SECOND

DEFAULT_COST = 10
TIERS = {
    "basic": (200, 100),
    "advanced": (300, 300),
    "expert": (600, 600),
    "premier": (1_000, 1_000),
    "paragon": (2_000, 2_000),
    "prime": (4_000, 4_000),
    "prestige": (10_000, 8_000),
}
"""Tokens a second for reads and writes."""

COSTS = {
    ("DELETE", "/portfolio/events/orders/{order_id}"): 2,
    ("DELETE", "/portfolio/events/orders"): 2,
    ("GET", "/portfolio/orders/{order_id}"): 2,
}
"""Endpoints that do not cost the default, as far as they exist here."""

Bucket = tuple[str, str]
"""An account, and which of its buckets: ``read``, ``write``, or ``write`` of one shard."""


def limits_of(tier: str) -> dict[str, dict[str, int]]:
    """Refill rate and capacity of both buckets of a tier; KeyError when there is no such tier.

    Two seconds of budget fit into the write buckets above Basic and into the read buckets of the two lowest tiers.
    """
    read, write = TIERS[tier]
    return {
        "read": {"refill_rate": read, "bucket_capacity": read * (2 if tier in ("basic", "advanced") else 1)},
        "write": {"refill_rate": write, "bucket_capacity": write * (1 if tier == "basic" else 2)},
    }


def account_limits(tier: str) -> dict[str, Any]:
    """The body of ``GET /account/limits``."""
    return {"usage_tier": tier, **limits_of(tier), "grants": []}


def endpoint_costs() -> dict[str, Any]:
    """The body of ``GET /account/endpoint_costs``."""
    costs = [{"method": method, "path": path, "cost": cost} for (method, path), cost in COSTS.items()]
    return {"default_cost": DEFAULT_COST, "endpoint_costs": costs}


def cost_of(method: str, parts: list[str]) -> int:
    """What a request costs; its path is given in parts after the API's prefix."""
    if parts[:3] == ["portfolio", "events", "orders"] and method == "DELETE" and len(parts) <= 4:
        return 2
    single = parts[:2] == ["portfolio", "orders"] and len(parts) == 3
    return 2 if method == "GET" and single else DEFAULT_COST


@dataclass(slots=True)
class _Tokens:
    """What a bucket holds, in tokens x ns, as of a time."""

    amount: int
    at_ns: int


class Buckets:
    """The token buckets of every account."""

    def __init__(self, tier: str, now: Callable[[], int]) -> None:
        self._limits = limits_of(tier)
        self._now = now
        self._tokens: dict[Bucket, _Tokens] = {}

    def take(self, account: str, method: str, cost: int, shard: int = 0) -> bool:
        """Take a request's tokens; False when the bucket does not hold them.

        Args:
            shard: of a single order's write; those above 0 have a full bucket of their own.
        """
        kind = "read" if method == "GET" else "write"
        limit = self._limits[kind]
        rate, capacity = limit["refill_rate"], limit["bucket_capacity"] * SECOND
        now_ns = self._now()
        bucket = (account, kind if shard <= 0 else f"{kind} {shard}")
        held = self._tokens.setdefault(bucket, _Tokens(capacity, now_ns))
        held.amount = min(capacity, held.amount + rate * max(0, now_ns - held.at_ns))
        held.at_ns = now_ns
        if held.amount < cost * SECOND:
            return False
        held.amount -= cost * SECOND
        return True
