"""Cases about what is heard and when: silence, losses, repetitions, lateness, clocks, price grids, ends of trading."""

from random import Random

from infra.simulator.planted.script import (
    BEFORE_MS,
    SIDES,
    STANDING_MS,
    VENUES,
    Pair,
    Play,
    both,
    cents,
    gone,
    inside,
    ladder,
    pair,
    sizes,
    stands,
)
from infra.simulator.planted.stage import FRESH_NS, MILLISECOND, Change, Listed, Stage

LAGS_MS = (45, 100, 500)


def stale(stage: Stage, random: Random, variant: int) -> Play:
    """One feed is silent while its market moves; the other comes to where the last price that was heard would cross."""
    silent, wide = VENUES[variant % 2], VENUES[(variant + 1) % 2]
    made = _steep(stage, random, f"stale-{variant}", wide)
    return lambda: _moved_in_silence(made, silent)


def goes_stale(stage: Stage, random: Random, variant: int) -> Play:
    """An edge stands when one feed falls silent: it counts while that book is fresh, and no longer."""
    silent, wide = VENUES[variant % 2], VENUES[(variant + 1) % 2]
    made = _steep(stage, random, f"goes-stale-{variant}", wide)
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))
    claims = ((made.wide, "yes"), (made.tight, "no"))

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.wide, *changes)
        stage.opens(made.cast, *claims, reason="fresh")
        stage.silent.add(silent)
        stage.wait(2_000)
        moved = _top_gone(made.tight)
        stage.change_unheard(made.tight, moved)
        stage.wait_until(stage.heard_ns(silent) + FRESH_NS + 1)
        stage.ends(made.cast)
        stage.tempts(made.cast, *claims, reason="the other feed has been silent for too long")
        stage.move(made.wide, _resized(made.wide))
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        _resume(made, silent, moved)
        stage.move(made.wide, *gone(changes))

    return play


def sticky_ask(stage: Stage, random: Random, variant: int) -> Play:
    """Polymarket's ask rises; who lets asks only fall still sees the old one when Kalshi comes near it."""
    made = pair(stage, random, f"sticky-ask-{variant}", wide="kalshi")
    old = dict(made.tight.true.asks)
    removed: list[Change] = [("asks", price, 0) for price in old]
    added: list[Change] = [("asks", price + 1_200, size) for price, size in old.items()]
    bid: Change = ("bids", min(old) + 800, 4_000)

    def play() -> None:
        stage.wait(BEFORE_MS)
        if variant % 2:
            stage.move(made.tight, *removed, *added)
        else:
            stage.move(made.tight, *removed)
            stage.wait(5)
            stage.move(made.tight, *added)
        stage.wait(300)
        stage.move(made.wide, bid)
        stage.tempts(made.cast, (made.tight, "yes"), (made.wide, "no"), reason="the ask rose")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.move(made.wide, (*bid[:2], 0))

    return play


def tick_change(stage: Stage, random: Random, variant: int) -> Play:
    """The price grid changes: levels off the new one are gone, and only a whole book can be believed again."""
    fair, fine = random.randint(42, 58), variant % 2 == 0
    books = both(fair, 1, random)
    if fine:
        books.asks = ladder(fair + 1.4, 0.1, 40, 40) | ladder(fair + 14, 1, 40)
    terms = {"grid": 10 if fine else 100}
    made = pair(stage, random, f"tick-change-{variant}", wide="kalshi", fair=fair, tight_books=books, polymarket=terms)
    return (lambda: _coarser(made)) if fine else (lambda: _finer(made))


def lag(stage: Stage, random: Random, variant: int) -> Play:
    """Both venues move, Polymarket first: no crossing, unless its frames arrive later by 45, 100 or 500 ms."""
    made = pair(stage, random, f"replication-lag-{variant}", wide="kalshi")
    late_ms = LAGS_MS[variant % 3]
    (change,) = inside(made.tight, "yes", 11, 20)

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.tight, *_away(made.tight, "bids"))
        stage.wait(late_ms // 3)
        stage.move(made.wide, change)
        claims = ((made.wide, "yes"), (made.tight, "no"))
        stage.tempts(made.cast, *claims, reason=f"crosses only for who hears Polymarket {late_ms} ms late")
        stage.wait(late_ms - late_ms // 3)
        stage.ends(made.cast)
        stage.wait(STANDING_MS)
        stage.move(made.wide, (*change[:2], 0))

    return play


def never_coexisted(stage: Stage, random: Random, variant: int) -> Play:
    """Polymarket moved first but was heard 45, 100 or 500 ms later: a crossing that the venues never had.

    No reader of the frames can know it when it opens: the one that tells has not arrived. Only orders find out.
    """
    made = pair(stage, random, f"never-coexisted-{variant}", wide="kalshi")
    late_ms = LAGS_MS[variant % 3]
    (change,) = inside(made.tight, "yes", 11, 6)

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.silent.add("polymarket")
        truly_ns, moved = stage.now, _away(made.tight, "bids")
        stage.change_unheard(made.tight, *moved)
        stage.wait(25)
        stage.move(made.wide, change)
        claims = ((made.wide, "yes"), (made.tight, "no"))
        reason = f"the other venue had moved already, heard {late_ms} ms late"
        stage.opens(made.cast, *claims, reason=reason, knowable=False)
        stage.wait(late_ms - 25)
        stage.ends(made.cast)
        stage.tell(made.tight, *moved, stamp_ns=truly_ns)
        stage.silent.discard("polymarket")
        stage.wait(STANDING_MS)
        stage.move(made.wide, (*change[:2], 0))

    return play


def skewed(stage: Stage, random: Random, name: str, venue: str, skew_ms: int) -> Play:
    """One venue's stamps are wrong by half a minute: an edge that pays is still found, a stale book is still stale."""
    good = pair(stage, random, f"clock-skew-{name}", wide="polymarket")
    bad = _steep(stage, random, f"clock-skew-{name}-stale", next(one for one in VENUES if one != venue))
    bad.cast.case = good.cast.case = "clock-skew"
    changes = inside(good.tight, "yes", 9, *sizes(random, 1))

    def play() -> None:
        stage.skew_ms[venue] = skew_ms
        stands(good, "yes", changes, pays=True, reason=f"stamps of {venue} are off by {skew_ms // 1000} s")
        _moved_in_silence(bad, venue)
        if skew_ms < 0 or venue == "kalshi":  # Polymarket's stamps may not go back
            stage.skew_ms[venue] = 0

    return play


def duplicate_kalshi(stage: Stage, random: Random, variant: int) -> Play:
    """A frame comes twice. Three contracts pay, fewer than Polymarket takes; added twice they would be six.

    In the other variant an edge that pays must not suffer from the repetition.
    """
    pays = variant % 2 == 1
    made = pair(stage, random, f"duplicate-kalshi-{variant}", wide="kalshi")
    (change,) = inside(made.tight, "yes", 9, 40 if pays else 3)
    claims = ((made.wide, "yes"), (made.tight, "no"))

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.wide, change)
        text = stage.kalshi.lines[-1][1]
        if pays:
            stage.opens(made.cast, *claims, reason="a repetition changes nothing")
        stage.wait(100)
        stage.kalshi.send(stage.now, text)
        if not pays:
            stage.tempts(made.cast, *claims, reason="a repeated frame added the size again")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.move(made.wide, (*change[:2], 0))

    return play


def gap(stage: Stage, random: Random, variant: int) -> Play:
    """Frames that took Kalshi's bids away are lost; the next number shows it, and no book counts until it is whole."""
    made = pair(stage, random, f"sequence-gap-{variant}", wide="polymarket")
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))

    def play() -> None:
        stage.wait(BEFORE_MS)
        for change in _away(made.tight, "bids"):
            stage.lose(made.tight, change)
        stage.wait(5)
        stage.move(made.tight, _resized(made.tight))
        stage.doubt_kalshi()
        stage.wait(50)
        stage.move(made.wide, *changes)
        stage.tempts(made.cast, (made.wide, "yes"), (made.tight, "no"), reason="the bids were taken away unheard")
        stage.wait(400)
        stage.ends(made.cast)
        stage.heal_kalshi()
        stage.wait(STANDING_MS)
        stage.move(made.wide, *gone(changes))

    return play


def reordered(stage: Stage, random: Random, variant: int) -> Play:
    """An ask comes and goes on Kalshi, but the two frames change places: who counts no numbers keeps the ask."""
    made = pair(stage, random, f"reordered-{variant}", wide="kalshi")
    (change,) = inside(made.tight, "yes", 9, 40)

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.wide, change)
        early = stage.kalshi.withhold()
        stage.move(made.wide, (*change[:2], 0))
        stage.doubt_kalshi()
        stage.wait(3)
        stage.kalshi.send(stage.now, early)
        stage.tempts(
            made.cast, (made.wide, "yes"), (made.tight, "no"), reason="the ask was gone before it was heard of"
        )
        stage.wait(400)
        stage.ends(made.cast)
        stage.heal_kalshi()
        stage.wait(BEFORE_MS)

    return play


def duplicate_polymarket(stage: Stage, random: Random, variant: int) -> Play:
    """A change is sent again after a newer one has undone it."""
    made = pair(stage, random, f"duplicate-polymarket-{variant}", wide="polymarket")
    side = SIDES[variant % 2]
    changes = inside(made.tight, side, 9, *sizes(random, 1))
    claims = ((made.wide, side), (made.tight, "no" if side == "yes" else "yes"))

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.wide, *changes)
        text = stage.polymarket.lines[-1][1]
        stage.opens(made.cast, *claims, reason="before it is undone")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.move(made.wide, *gone(changes))
        stage.wait(300)
        stage.polymarket.send(stage.now, text)
        stage.tempts(made.cast, *claims, reason="an old change came again")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.whole(made.wide)

    return play


def stopped(stage: Stage, random: Random, variant: int) -> Play:
    """A market that trades no more still has its last book: paused or determined on Kalshi, resolved on Polymarket."""
    event = ("deactivated", "determined", "resolved")[variant % 3]
    over, wide = ("polymarket", "kalshi") if event == "resolved" else ("kalshi", "polymarket")
    made = pair(stage, random, f"stopped-{variant}", wide=wide)
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))
    assert made.tight.venue == over

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.stop(made.tight, event)
        stands(made, "yes", changes, pays=False, reason=f"the other market was {event}")

    return play


def paused(stage: Stage, random: Random, variant: int) -> Play:
    """An edge ends as Kalshi pauses the market, and comes back with the book after the pause."""
    made = pair(stage, random, f"paused-{variant}", wide="polymarket")
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))
    claims, bids = ((made.wide, "yes"), (made.tight, "no")), dict(made.tight.true.bids)

    def play() -> None:
        stage.wait(BEFORE_MS)
        stage.move(made.wide, *changes)
        stage.opens(made.cast, *claims, reason="before the pause")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.stop(made.tight, "deactivated")
        stage.tempts(made.cast, *claims, reason="paused")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.restart(made.tight)
        stage.wait(200)
        made.tight.true.bids = bids
        stage.heal(made.tight)
        stage.opens(made.cast, *claims, reason="after the pause")
        stage.wait(STANDING_MS)
        stage.ends(made.cast)
        stage.move(made.wide, *gone(changes))

    return play


def closed_by_the_clock(stage: Stage, random: Random, variant: int) -> Play:
    """Kalshi's close time passes without a word; the last book stays."""
    made = pair(stage, random, f"closed-by-the-clock-{variant}", wide="polymarket")
    changes = inside(made.tight, "yes", 9, *sizes(random, 1))

    def play() -> None:
        stage.wait(BEFORE_MS)
        made.tight.close_ns = (stage.now // (1_000 * MILLISECOND) + 1) * 1_000 * MILLISECOND
        stage.wait_until(made.tight.close_ns)
        stage.trade(made.tight, trading=False)
        stands(made, "yes", changes, pays=False, reason="the close time has passed")

    return play


# What several cases share


def _moved_in_silence(made: Pair, silent: str) -> None:
    """The tight market moves away while its feed is silent; then the wide one comes to where it was."""
    stage = made.stage
    assert made.tight.venue == silent
    changes = inside(made.tight, "yes", 9, 30)
    stage.wait(BEFORE_MS)
    stage.silent.add(silent)
    stage.wait(2_000)
    moved = _top_gone(made.tight)
    stage.change_unheard(made.tight, moved)
    stage.wait(3_800)
    stage.move(made.wide, *changes)
    stage.tempts(made.cast, (made.wide, "yes"), (made.tight, "no"), reason=f"{silent} has said nothing for over 5 s")
    stage.wait(STANDING_MS)
    stage.ends(made.cast)
    _resume(made, silent, moved)
    stage.move(made.wide, *gone(changes))


def _resume(made: Pair, silent: str, moved: Change) -> None:
    """The silent feed speaks again, first of what it missed."""
    stage = made.stage
    stage.tell(made.tight, moved)
    stage.silent.discard(silent)
    stage.wait(10)


def _steep(stage: Stage, random: Random, name: str, wide: str) -> Pair:
    """A pair whose tight book has one good bid; the next is far below."""
    fair = random.randint(44, 60)
    books = both(fair, 1, random)
    books.bids = ladder(fair - 1, -1, *sizes(random, 1, 30)) | ladder(fair - 30, -1, *sizes(random))
    return pair(stage, random, name, wide=wide, fair=fair, tight_books=books)


def _top_gone(market: Listed) -> Change:
    """The best bid is taken away."""
    return "bids", max(market.true.bids), 0


def _away(market: Listed, side: str) -> list[Change]:
    """A whole side is taken away but for its deepest level, and comes back 25 cents deeper."""
    levels = market.true.bids if side == "bids" else market.true.asks
    sign = -1 if side == "bids" else 1
    return [(side, price, 0) for price in levels] + [
        (side, price + sign * cents(25), size) for price, size in levels.items()
    ]


def _resized(market: Listed) -> Change:
    """A change of size far from the top."""
    price = max(market.true.asks)
    return "asks", price, market.true.asks[price] + 100


def _coarser(made: Pair) -> None:
    """From tenths of a cent to cents: the asks off the grid are gone; Kalshi's bid crosses them only in memory."""
    stage, claims = made.stage, ((made.tight, "yes"), (made.wide, "no"))
    bid: Change = ("bids", min(made.tight.true.asks) // 100 * 100 + 900, 4_000)
    stage.wait(BEFORE_MS)
    stage.retick(made.tight, 100)
    stage.wait(100)
    stage.move(made.wide, bid)
    stage.tempts(made.cast, *claims, reason="the asks are off the new grid")
    stage.wait(700)
    stage.whole(made.tight)
    stage.wait(800)
    stage.ends(made.cast)
    stage.move(made.wide, (*bid[:2], 0))


def _finer(made: Pair) -> None:
    """From cents to tenths: the edge ends with the old book, and comes back with the whole new one."""
    stage, claims = made.stage, ((made.tight, "yes"), (made.wide, "no"))
    (bid,) = inside(made.tight, "no", 9, 40)
    asks = dict(made.tight.true.asks)
    stage.wait(BEFORE_MS)
    stage.move(made.wide, bid)
    stage.opens(made.cast, *claims, reason="on the old grid")
    stage.wait(STANDING_MS)
    stage.ends(made.cast)
    stage.retick(made.tight, 10)
    stage.change_unheard(made.tight, *[("asks", price, 0) for price in asks])
    stage.tempts(made.cast, *claims, reason="the new grid's book has not come yet")
    stage.wait(600)
    stage.ends(made.cast)
    stage.change_unheard(made.tight, *[("asks", price + 30, size) for price, size in asks.items()])
    stage.whole(made.tight)
    stage.opens(made.cast, *claims, reason="on the new grid")
    stage.wait(STANDING_MS)
    stage.ends(made.cast)
    stage.move(made.wide, (*bid[:2], 0))
