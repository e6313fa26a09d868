"""Cases that pay: every kind of basket, at one level and deeper, in whole and fractional contracts."""

from random import Random
from typing import Any

from infra.simulator.planted.script import (
    BEFORE_MS,
    EVENT,
    FAR,
    SIDES,
    STANDING_MS,
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


def one_level(stage: Stage, random: Random, variant: int) -> Play:
    """A single level pays, on either venue and in either direction."""
    made = pair(stage, random, f"one-level-{variant}", wide=VENUES[variant % 2])
    side = SIDES[variant // 2 % 2]
    changes = inside(made.tight, side, random.randint(8, 10), *sizes(random, 1))
    return lambda: stands(made, side, changes, pays=True, reason="one level pays")


def several_levels(stage: Stage, random: Random, variant: int) -> Play:
    """The best size is several levels deep on both legs; the level after it loses."""
    fair, side = random.randint(42, 58), SIDES[variant % 2]
    near, far = (20.0, 25.0, 30.0), 40.0
    books = both(fair, 1, random, *near)
    books.bids[cents(fair - 12)] = books.asks[cents(fair + 12)] = round(far * 100)
    made = pair(stage, random, f"several-levels-{variant}", wide="polymarket", fair=fair, tight_books=books)
    changes = inside(made.tight, side, 11, 15, 25, 45)
    return lambda: stands(made, side, changes, pays=True, reason="three levels of both legs pay")


def fractional(stage: Stage, random: Random, variant: int) -> Play:
    """The best size is no whole number of contracts."""
    odd = (random.randint(1300, 2900) / 100, random.randint(1301, 3999) / 100)
    made = pair(stage, random, f"fractional-{variant}", wide=VENUES[variant % 2], tight_sizes=(odd[0], 31.0, 22.0))
    side = SIDES[variant % 2]
    changes = inside(made.tight, side, random.randint(8, 10), odd[1])
    return lambda: stands(made, side, changes, pays=True, reason="a fractional size pays")


def deep(stage: Stage, random: Random, variant: int) -> Play:
    """Enough depth for 300 dollars a leg."""
    amounts = tuple(float(random.randint(700, 800)) for _ in range(2))
    made = pair(stage, random, f"deep-{variant}", wide=VENUES[variant % 2], tight_sizes=(amounts[0], 30.0, 30.0))
    side = SIDES[(variant + 1) % 2]
    changes = inside(made.tight, side, random.randint(8, 10), amounts[1])
    return lambda: stands(made, side, changes, pays=True, reason="a deep level pays")


def unequal_prices(stage: Stage, random: Random, variant: int) -> Play:
    """One leg costs many times the other: equal dollars would leave most contracts without their other half."""
    fair = random.randint(20, 24)
    made = pair(stage, random, f"unequal-prices-{variant}", wide="polymarket", fair=fair)
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))
    return lambda: stands(made, "yes", changes, pays=True, reason="the same number of contracts of both legs")


def fine_grid(stage: Stage, random: Random, variant: int) -> Play:
    """Prices in tenths of a cent."""
    fair = random.randint(40, 60) + 0.4
    fine: dict[str, Any] = {"grid": 10}
    name = f"fine-grid-{variant}"
    made = pair(stage, random, name, wide=VENUES[variant % 2], fair=fair, kalshi=fine, polymarket=fine)
    changes = inside(made.tight, "yes", 8.3, *sizes(random, 1))
    return lambda: stands(made, "yes", changes, pays=True, reason="prices in tenths of a cent")


def quiet(stage: Stage, random: Random, variant: int) -> Play:
    """Neither market says anything for longer than books stay fresh, but both feeds do: the edge stands."""
    made = pair(stage, random, f"quiet-market-{variant}", wide=VENUES[variant % 2])
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))
    return lambda: stands(made, "yes", changes, pays=True, reason="quiet market, living feed", milliseconds=6_500)


def complement(stage: Stage, random: Random, variant: int) -> Play:
    """Markets that are each other's opposite: both YES, or both NO, pay."""
    topic, fair, side = Topic(random), random.randint(40, 60), SIDES[variant % 2]
    name = f"complement-{variant}"
    kalshi = stage.list_market("kalshi", f"{name}-k", topic.beat(), both(fair, 1, random))
    poly = stage.list_market("polymarket", f"{name}-p", topic.beat(turned=True), both(100 - fair, FAR, random))
    cast = stage.cast(name, "complement", [("complement", (kalshi, poly))])
    name_of, price = ("asks", 90 - fair) if side == "yes" else ("bids", 110 - fair)
    change: Change = (name_of, cents(price), 4_000)
    claims = ((kalshi, side), (poly, side))
    return lambda: edge(stage, cast, poly, [change], claims, pays=True, reason="both sides of a complement")


def implies(stage: Stage, random: Random, variant: int) -> Play:
    """The higher threshold implies the lower: {lower yes, higher no}."""
    topic, name, high = Topic(random), f"implies-{variant}", random.randint(28, 35)
    books = Book(ladder(high - 20, -1, 20, 20), ladder(75, 1, 20, 20))
    lower = stage.list_market(VENUES[variant % 2], f"{name}-low", topic.above(100), books)
    higher = stage.list_market(VENUES[1 - variant % 2], f"{name}-high", topic.above(120), both(high, 1, random))
    cast = stage.cast(name, "implies", [("implies", (higher, lower))])
    change: Change = ("asks", cents(high - 10), 3_500)
    claims, reason = ((lower, "yes"), (higher, "no")), "the lower threshold costs less than the higher pays"
    return lambda: edge(stage, cast, lower, [change], claims, pays=True, reason=reason)


def all_yes(stage: Stage, random: Random, variant: int) -> Play:
    """One of n must happen: all YES cost less than a dollar."""
    name, topic, count = f"all-yes-{variant}", Topic(random), 3 + variant % 3
    ask = 70 // (count - 1)
    books = [Book(ladder(2, -1, 20, 20), ladder(45, 1, 20, 20))]
    books += [both(ask - 2, 2, random) for _ in range(count - 1)]
    markets = [
        stage.list_market(VENUES[(at + variant) % 2], f"{name}-{at}", topic.win(topic.candidate(at)), books[at])
        for at in range(count)
    ]
    cast = stage.cast(name, "all-yes", [("exhaustive", markets), ("exclusive", markets)])
    change: Change = ("asks", cents(100 - 13 - ask * (count - 1)), 3_300)
    claims = tuple((market, "yes") for market in markets)
    return lambda: edge(stage, cast, markets[0], [change], claims, pays=True, reason="all YES of an exhaustive set")


def all_no(stage: Stage, random: Random, variant: int) -> Play:
    """At most one of n can happen: all NO cost less than n - 1 dollars."""
    name, topic = f"all-no-{variant}", Topic(random)
    fairs = ([45, 35, 20], [40, 30, 16, 14])[variant % 2]
    markets = [
        stage.list_market(
            VENUES[(at + variant) % 2],
            f"{name}-{at}",
            topic.win(topic.candidate(at)),
            both(fair, 1 if at else 15, random),
        )
        for at, fair in enumerate(fairs)
    ]
    cast = stage.cast(name, "all-no", [("exclusive", markets)])
    change: Change = ("bids", cents(fairs[0] + 14), 3_300)
    claims = tuple((market, "no") for market in markets)
    return lambda: edge(stage, cast, markets[0], [change], claims, pays=True, reason="all NO of an exclusive set")


def three_markets(stage: Stage, random: Random, variant: int) -> Play:
    """The same question three times: one pair of the three pays, or two at once."""
    name, topic, fair = f"three-markets-{variant}", Topic(random), random.randint(40, 60)
    kalshi = stage.list_market("kalshi", f"{name}-k", topic.win(), both(fair, 1, random))
    wide = stage.list_market("polymarket", f"{name}-p", topic.win(wording=1), both(fair, FAR, random))
    half_spread = 1 if variant % 2 else FAR
    third = stage.list_market("polymarket", f"{name}-q", topic.win(wording=2), both(fair, half_spread, random))
    cast = stage.cast(name, "three-markets", [("same", (kalshi, wide, third))])
    (change,) = inside(kalshi, "yes", 9, 41)

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(wide, change)
        stage.opens(cast, (wide, "yes"), (kalshi, "no"), reason="one of three pairs")
        if variant % 2:
            stage.opens(cast, (wide, "yes"), (third, "no"), reason="another of the three pairs")
        stage.wait(STANDING_MS)
        stage.ends(cast)
        stage.move(wide, (*change[:2], 0))

    return play


def buckets(stage: Stage, random: Random, variant: int) -> Play:
    """Two of three ranges make a threshold: {threshold no, both ranges yes}, or {threshold yes, both ranges no}."""
    name, topic = f"buckets-{variant}", Topic(random)
    spreads = ((40, 20), (35, 1), (25, 1))
    ranges = ((0, 100), (100, 110), (110, 999))
    found = [
        stage.list_market(
            "polymarket",
            f"{name}-{at}",
            topic.between(*ranges[at]),
            both(fair, half_spread, random),
            event=f"{EVENT}-{name}",
            negative_risk=True,
        )
        for at, (fair, half_spread) in enumerate(spreads)
    ]
    above = stage.list_market("kalshi", f"{name}-k", topic.above(100), both(60, 18, random))
    ties = [("exclusive", found), ("exhaustive", found), ("implies", (found[1], above)), ("implies", (found[2], above))]
    cast = stage.cast(name, "buckets", [*ties, ("exclusive", (found[0], above))])
    rising = variant % 2 == 0
    change: Change = ("bids", cents(75), 2_800) if rising else ("asks", cents(43), 2_800)
    side, opposite = ("no", "yes") if rising else ("yes", "no")
    claims = ((above, side), (found[1], opposite), (found[2], opposite))
    return lambda: edge(stage, cast, above, [change], claims, pays=True, reason="two ranges make the threshold")


def one_venue(stage: Stage, random: Random, variant: int) -> Play:
    """All legs on one venue: a complement on Kalshi, a neg-risk event on Polymarket."""
    name, topic = f"one-venue-{variant}", Topic(random)
    if variant % 2 == 0:
        fair = random.randint(40, 60)
        first = stage.list_market("kalshi", f"{name}-a", topic.beat(), both(fair, 1, random))
        second = stage.list_market("kalshi", f"{name}-b", topic.beat(turned=True), both(100 - fair, FAR, random))
        cast = stage.cast(name, "one-venue", [("complement", (first, second))])
        change: Change = ("asks", cents(100 - fair - 10), 3_100)
        both_yes = ((first, "yes"), (second, "yes"))
        return lambda: edge(stage, cast, second, [change], both_yes, pays=True, reason="both legs on Kalshi")
    fairs = (40, 35, 25)
    found = [
        stage.list_market(
            "polymarket",
            f"{name}-{at}",
            topic.win(topic.candidate(at)),
            both(fair, 1 if at else 15, random),
            event=f"{EVENT}-{name}",
            negative_risk=True,
        )
        for at, fair in enumerate(fairs)
    ]
    group = stage.cast(name, "one-venue", [("exclusive", found), ("exhaustive", found)])
    falling: Change = ("asks", cents(100 - 12 - 36 - 26), 3_100)
    claims = tuple((market, "yes") for market in found)
    return lambda: edge(stage, group, found[0], [falling], claims, pays=True, reason="all legs on Polymarket")
