"""Cases that fees, sizes, risks or time decide: a price sum below the payout that pays nothing, and the reverse."""

from random import Random

from infra.simulator.planted.script import (
    FAR,
    SIDES,
    VENUES,
    Play,
    Topic,
    both,
    cents,
    edge,
    inside,
    ladder,
    pair,
    sizes,
    stands,
)
from infra.simulator.planted.stage import Change, Stage
from infra.simulator.walk import Book

FREE = {"rate": 0}


def fees(stage: Stage, random: Random, variant: int) -> Play:
    """A price sum below a dollar that the fees of both venues eat; who ignores fees sees an edge."""
    fair, amounts = random.randint(44, 56), (30.0, 25.0, 25.0)
    made = pair(stage, random, f"fees-{variant}", wide=VENUES[variant % 2], fair=fair, tight_sizes=amounts)
    side = SIDES[variant // 2 % 2]
    changes = inside(made.tight, side, 2, *sizes(random, 1))
    return lambda: stands(made, side, changes, pays=False, reason="both venues' fees exceed the gross edge")


def flat_fees(stage: Stage, random: Random, variant: int) -> Play:
    """A deep edge that pays after an unrounded Kalshi fee and a flat 2 % on Polymarket, not after the true fees."""
    fair, amount = 50.0, float(random.randint(700, 800))
    near = {"days": 3, "grid": 10}
    made = pair(
        stage,
        random,
        f"flat-fees-{variant}",
        wide=VENUES[variant % 2],
        fair=fair,
        tight_sizes=(amount, 30.0),
        kalshi=near,
        polymarket=near,
    )
    changes = inside(made.tight, "yes", 3.3, amount)
    return lambda: stands(made, "yes", changes, pays=False, reason="a flat fee is below the true one")


def order_rounding(stage: Stage, random: Random, variant: int) -> Play:
    """Cheap Kalshi contracts: the fee is rounded once an order, so the edge pays; rounding each contract hides it."""
    fair, amount = random.randint(94, 96), float(random.randint(150, 200))
    terms = {"days": 1, "grid": 10}
    made = pair(
        stage,
        random,
        f"order-rounding-{variant}",
        wide="kalshi",
        fair=fair + 0.2,
        tight_sizes=(amount, 30.0),
        wide_books=Book(ladder(fair - 30, -1, 20, 20), ladder(99.5, 0.1, 20)),
        evidence={"void_probability": 0, "mismatch_probability": 0},
        kalshi=terms,
        polymarket=terms | FREE,
    )
    changes = inside(made.tight, "no", 0.8, amount)
    return lambda: stands(made, "no", changes, pays=True, reason="the fee is rounded once an order")


def nearest_cent(stage: Stage, random: Random, variant: int) -> Play:
    """A fee that rounds to no cent at all a contract, and still eats the edge."""
    fair, amount = random.randint(95, 96), float(random.randint(150, 200))
    terms = {"days": 1, "grid": 10}
    made = pair(
        stage,
        random,
        f"nearest-cent-{variant}",
        wide="kalshi",
        fair=fair - 0.3,
        tight_sizes=(amount, 30.0),
        wide_books=Book(ladder(fair - 30, -1, 20, 20), ladder(99.5, 0.1, 20)),
        kalshi=terms,
        polymarket=terms | FREE,
    )
    changes = inside(made.tight, "no", 0.2, amount)
    return lambda: stands(made, "no", changes, pays=False, reason="the fee is below half a cent, but above the edge")


def third_level(stage: Stage, random: Random, variant: int) -> Play:
    """The top looks good, but the smallest order reaches a level that loses more than the top earns."""
    fair = random.randint(46, 54)
    small, minimum, through = ((2.0, 2.0), 5, 5) if variant % 2 == 0 else ((20.0, 20.0), 50, 6)
    bids = ladder(fair - 1, -1, *small) | ladder(fair - 31, -1, 60)
    made = pair(
        stage,
        random,
        f"third-level-{variant}",
        wide="polymarket",
        fair=fair,
        tight_books=Book(bids, ladder(fair + 1, 1, 30, 30)),
        polymarket={"minimum": minimum},
    )
    changes = inside(made.tight, "yes", through, 80)
    return lambda: stands(made, "yes", changes, pays=False, reason="the smallest order reaches the third level")


def minimum_size(stage: Stage, random: Random, variant: int) -> Play:
    """Fewer contracts pay than Polymarket takes: 5 shares, a market's own minimum, a dollar."""
    name = f"minimum-size-{variant}"
    if variant % 3 == 2:
        books = Book(ladder(11, -1, 60, 60), ladder(13, 1, 60, 60))
        wide = Book(ladder(2, -1, 60), ladder(30, 1, 60))
        made = pair(stage, random, name, wide="kalshi", fair=12, tight_books=books, wide_books=wide)
        changes = inside(made.tight, "no", 8, 5)
        return lambda: stands(made, "no", changes, pays=False, reason="the order is worth less than a dollar")
    minimum, amount = ((5, 3), (30, 11))[variant % 3]
    made = pair(stage, random, name, wide="kalshi", polymarket={"minimum": minimum})
    changes = inside(made.tight, "yes", 9, amount)
    return lambda: stands(made, "yes", changes, pays=False, reason=f"fewer than {minimum} shares pay")


def no_minimum(stage: Stage, random: Random, variant: int) -> Play:
    """Kalshi takes any size: two contracts pay."""
    topic, fair, name = Topic(random), random.randint(42, 58), f"no-minimum-{variant}"
    first = stage.list_market("kalshi", f"{name}-a", topic.beat(), both(fair, 1, random))
    second = stage.list_market("kalshi", f"{name}-b", topic.beat(turned=True), both(100 - fair, FAR + 5, random))
    cast = stage.cast(name, "no-minimum", [("complement", (first, second))])
    change: Change = ("asks", cents(85 - fair), (200, 150)[variant % 2])
    claims = ((first, "yes"), (second, "yes"))
    return lambda: edge(stage, cast, second, [change], claims, pays=True, reason="Kalshi takes any size")


def void_risk(stage: Stage, random: Random, variant: int) -> Play:
    """The payout is guaranteed, but voids are likely and pay half: what they cost on average is more than the edge."""
    evidence = {"void_probability": 0.12, "void": {"kalshi": "nothing", "polymarket": "half"}}
    made = pair(stage, random, f"void-risk-{variant}", wide=VENUES[variant % 2], charged=True, evidence=evidence)
    changes = inside(made.tight, "yes", 7, *sizes(random, 1))
    return lambda: stands(made, "yes", changes, pays=False, reason="void probability x shortfall exceeds the edge")


def mismatch_risk(stage: Stage, random: Random, variant: int) -> Play:
    """The venues may well settle the question differently."""
    evidence = {"mismatch_probability": 0.12}
    made = pair(stage, random, f"mismatch-risk-{variant}", wide=VENUES[variant % 2], charged=True, evidence=evidence)
    changes = inside(made.tight, "no", 7, *sizes(random, 1))
    return lambda: stands(made, "no", changes, pays=False, reason="mismatch probability x a dollar exceeds the edge")


def judged_safe(stage: Stage, random: Random, variant: int) -> Play:
    """The same edge where evidence says that neither is likely."""
    evidence = {
        "void_probability": 0.002,
        "mismatch_probability": 0.001,
        "void": {"kalshi": "nothing", "polymarket": "half"},
    }
    made = pair(stage, random, f"judged-safe-{variant}", wide=VENUES[variant % 2], evidence=evidence)
    changes = inside(made.tight, "yes", 7, *sizes(random, 1))
    return lambda: stands(made, "yes", changes, pays=True, reason="voids and mismatches are unlikely")


def time_value(stage: Stage, random: Random, variant: int) -> Play:
    """Some 1.7 % for 400 days is less than the hurdle asks; for 3 days it is plenty."""
    days, amount = (400, 3)[variant % 2], float(random.randint(100, 200))
    made = pair(
        stage,
        random,
        f"time-value-{variant}",
        wide="kalshi",
        fair=94,
        tight_sizes=(amount, 30.0),
        wide_books=Book(ladder(60, -1, 20, 20), ladder(99, 1, 20)),
        charged=days > 100,
        kalshi={"days": days},
        polymarket={"days": days} | FREE,
    )
    changes = inside(made.tight, "no", 2, amount)
    pays = days < 100
    reason = "soon settled" if pays else "less than the hurdle rate for the time it is locked"
    return lambda: stands(made, "no", changes, pays=pays, reason=reason)


def whole_cents(stage: Stage, random: Random, variant: int) -> Play:
    """Prices of a finer grid rounded to cents: an edge that only rounding makes, and one that rounding cannot buy."""
    fair, fine = 69, {"grid": 10}
    pays = variant % 2 == 1
    tight = Book(ladder(fair - 1, -1, 40, 40), ladder(fair + 0.4, 1, 40, 40))
    made = pair(
        stage,
        random,
        f"whole-cents-{variant}",
        wide="kalshi",
        fair=fair,
        tight_books=tight,
        kalshi=fine,
        polymarket=fine | FREE,
    )
    changes: list[Change] = [("bids", cents(fair + (7 if pays else 1)), 4_000)]
    reason = "nobody sells at the rounded price" if pays else "rounding makes half the edge, the fee eats the rest"
    return lambda: stands(made, "no", changes, pays=pays, reason=reason)
