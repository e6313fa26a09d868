"""Kalshi's request limits: token buckets for reads and writes, ten tokens a request unless listed otherwise.

Sources: "Rate Limits and Tiers" (19 August 2026); `GET /account/limits`, `GET /account/endpoint_costs`. Without a key
the documented Basic tier is assumed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from producers.limits import BACKGROUND, Bucket, Charge

READ: Final = "read"
WRITE: Final = "write"
BASIC: Final = {READ: Bucket(capacity=400, refill_per_s=200), WRITE: Bucket(capacity=100, refill_per_s=100)}
DEFAULT_COST: Final = 10.0
BACKGROUND_SHARE: Final = 0.25
"""Of the read budget: what walks through the catalogue may take."""

_WRITES: Final = re.compile(r"/portfolio/(events/)?orders|/portfolio/order_groups|/communications/")
"""Orders, order groups, requests for quotes and quotes. Everything else is a read, and so is every GET."""


class _Bucket(msgspec.Struct):
    refill_rate: float
    bucket_capacity: float


class Limits(msgspec.Struct):
    """The body of `GET /account/limits`."""

    read: _Bucket
    write: _Bucket
    usage_tier: str | None = None


class EndpointCost(msgspec.Struct):
    """What requests to one endpoint cost; the path has `{names}` for its parts."""

    method: str
    path: str
    cost: float


class Costs(msgspec.Struct):
    """The body of `GET /account/endpoint_costs`."""

    default_cost: float = DEFAULT_COST
    endpoint_costs: Sequence[EndpointCost] = ()


def buckets(limits: Limits | None = None) -> dict[str, Bucket]:
    """The buckets of an account; those of the Basic tier where its limits are not known, or make no sense."""
    found = dict(BASIC)
    if limits is not None:
        for name, said in ((READ, limits.read), (WRITE, limits.write)):
            if said.refill_rate > 0 and said.bucket_capacity >= DEFAULT_COST:
                found[name] = Bucket(capacity=said.bucket_capacity, refill_per_s=said.refill_rate)
    read = found[READ]
    found[BACKGROUND] = Bucket(
        capacity=max(DEFAULT_COST, read.capacity * BACKGROUND_SHARE),
        refill_per_s=read.refill_per_s * BACKGROUND_SHARE,
    )
    return found


def charges(costs: Costs | None = None) -> Charge:
    """What requests cost: as listed where the list is known, else the default."""
    default, listed = DEFAULT_COST, []
    if costs is not None:
        default = costs.default_cost if costs.default_cost > 0 else DEFAULT_COST
        listed = [(one.method.upper(), _pattern(one.path), one.cost) for one in costs.endpoint_costs if one.cost >= 0]

    def charge(method: str, path: str) -> Mapping[str, float]:
        bucket = WRITE if method != "GET" and _WRITES.match(path) else READ
        for listed_method, pattern, cost in listed:
            if method == listed_method and pattern.fullmatch(path):
                return {bucket: cost}
        return {bucket: default}

    return charge


def _pattern(path: str) -> re.Pattern[str]:
    """A path template as a pattern; with or without the interface's own prefix."""
    bare = path.removeprefix("/trade-api/v2")
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", bare)))
