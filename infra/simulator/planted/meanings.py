"""Cases about what markets mean: opposites, one-way implications, hidden outcomes, YES taken for NO."""

from random import Random

from infra.simulator.planted.script import EVENT, VENUES, Play, Topic, both, cents, edge, ladder, pair
from infra.simulator.planted.stage import Change, Stage
from infra.simulator.walk import Book


def polarity(stage: Stage, random: Random, variant: int) -> Play:
    """The markets are opposites: YES of one and NO of the other are the same bet twice."""
    topic, fair, name = Topic(random), random.randint(28, 36), f"polarity-{variant}"
    books = Book(ladder(fair - 5, -1, 30, 30), ladder(97, 1, 30))
    kalshi = stage.list_market("kalshi", f"{name}-k", topic.beat(), both(fair, 1, random))
    poly = stage.list_market("polymarket", f"{name}-p", topic.beat(turned=True), books)
    cast = stage.cast(name, "polarity", [("complement", (kalshi, poly))])
    quotes: list[Change] = [("bids", cents(99 - fair), 4_000), ("asks", cents(101 - fair), 4_000)]
    claims, reason = ((kalshi, "yes"), (poly, "no")), "each is the other's opposite: both claims fail at once"
    return lambda: edge(stage, cast, poly, quotes, claims, pays=False, reason=reason)


def subset(stage: Stage, random: Random, variant: int) -> Play:
    """The higher threshold implies the lower, not the reverse: {higher yes, lower no} pays nothing in between."""
    topic, name, high = Topic(random), f"subset-{variant}", random.randint(30, 38)
    low = high + random.randint(20, 26)
    books = Book(ladder(high - 5, -1, 30, 30), ladder(95, 1, 30))
    higher = stage.list_market(VENUES[variant % 2], f"{name}-high", topic.above(120), both(high, 1, random))
    lower = stage.list_market(VENUES[1 - variant % 2], f"{name}-low", topic.above(100), books)
    cast = stage.cast(name, "subset", [("implies", (higher, lower))])
    bid: Change = ("bids", cents(low), 4_000)
    claims, reason = ((higher, "yes"), (lower, "no")), "both fail between the thresholds"
    return lambda: edge(stage, cast, lower, [bid], claims, pays=False, reason=reason)


def augmented(stage: Stage, random: Random, variant: int) -> Play:
    """A neg-risk event that may still get outcomes: all YES guarantee nothing, all NO pay as ever."""
    name, topic, pays = f"augmented-{variant}", Topic(random), variant % 2 == 1
    fairs = (45, 35, 20) if pays else (40, 30, 20)
    found = [
        stage.list_market(
            "polymarket",
            f"{name}-{at}",
            topic.win(topic.candidate(at)),
            both(fair, 1 if at else 15, random),
            event=f"{EVENT}-{name}",
            negative_risk=True,
            augmented=True,
        )
        for at, fair in enumerate(fairs)
    ]
    cast = stage.cast(name, "augmented", [("exclusive", found), ("exhaustive", found)])
    change: Change = ("bids", cents(fairs[0] + 14), 3_300) if pays else ("asks", cents(30), 3_300)
    claims = [(one, "no" if pays else "yes") for one in found]
    reason = "all NO pay whatever else is listed" if pays else "an outcome that is not listed yet may win"
    return lambda: edge(stage, cast, found[0], [change], claims, pays=pays, reason=reason)


def mixed_up(stage: Stage, random: Random, variant: int) -> Play:
    """Kalshi's two lists of bids are the two outcomes: who takes one for the other buys NO at the price of YES."""
    fair, name = random.randint(33, 38), f"mixed-up-{variant}"
    wide = Book(ladder(5, -1, 30, 30), ladder(90, 1, 30))
    made = pair(stage, random, name, wide="polymarket", fair=fair, wide_books=wide)
    ask: Change = ("asks", cents(fair + 2), 4_000)
    claims, reason = ((made.tight, "no"), (made.wide, "yes")), "NO at the price of YES would make an edge"
    return lambda: edge(stage, made.cast, made.wide, [ask], claims, pays=False, reason=reason)
