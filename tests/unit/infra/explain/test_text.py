"""What `dutchbook explain` prints: two screens to the letter, and what makes a line or a word of them another."""

from dataclasses import replace as put
from typing import Any

import pytest
from msgspec.structs import replace

from infra.explain.check import Check, Difference, check
from infra.explain.facts import Event, Facts, KnownMarket
from infra.explain.text import WIDTH, difference_words, fit, lines, milliseconds, moment, seconds
from schemas.records import Member, Relation
from tests.unit.infra.explain.explained import CONDITION, MS, SECOND, START, three_candidates, two_venues
from tests.unit.sinks.make import ticket

FILLED = ticket(1, 2, state="filled", group="g", quantity=10_599, realised_net=4_484_000, expected_net=4_484_615)

TWO_VENUES = """\
opportunity 7e9ac5fffec17224f0c8f22a22db24ac: 3 events, closed after 2.390 s, peak net $5.552653
  event   revision  time (UTC)                   contracts          net $    survived  reason
  opened         0  2026-02-08 03:00:02.112000      105.99       4.484615     0.000 s
  changed        1  2026-02-08 03:00:03.001000      139.99       5.552653     0.889 s
  closed         2  2026-02-08 03:00:04.502000        0.00       0.000000     2.390 s  edge gone

opened: revision 0 of 7e9ac5fffec17224f0c8f22a22db24ac
  decided     2026-02-08 03:00:02.112000 UTC, because of a book of leg 1 (polymarket)
  journal     journal.detector, partition 5, epoch 1770519540000000000, position 41
  record      opportunity, partition 0, offset 0

group g: approved
  relations   same
    0  kalshi     KXBTC15M-26FEB072230-30           BTC price up in next 15 mins?
    1  polymarket 0x313805…4a29                     Bitcoin Up or Down - February 7, 10:30PM-10:45PM ET
  settlement  void probability 0.0005
  evidence    Same question and same interval, but different price sources.

basket: 105.99 contracts of each claim, at best $0.9200 together; they pay $1.0000 in every outcome
  leg 0  YES             0.5700  kalshi     BTC price up in next 15 mins?
  leg 1  NO (Down)       0.3500  polymarket Bitcoin Up or Down - February 7, 10:30PM-10:45PM ET

leg 0: YES 0.5700 kalshi, BTC price up in next 15 mins?
  market      KXBTC15M-26FEB072230-30
  record      book.kalshi, partition 5, offset 0, index 0
  book        epoch 1770519600000000000, sequence 1, live
  proof       0.362 s old at the decision
       contracts   bid YES    ask YES     contracts   taken
          120.00    0.5600     0.5700         66.00   * 66.00 YES at 0.5700
          120.01    0.5500     0.5800         40.00   * 39.99 YES at 0.5800
          120.02    0.5400     0.7000          5.00
          120.03    0.5300
          120.04    0.5200
                  … 2 more
  walk               66.00 x 0.5700 =        37.620000
                     39.99 x 0.5800 =        23.194200
  cost              105.99          =        60.814200
  fee                               =         1.815800
  order       limit price 0.5800; smallest order any, in lots of 0.01

leg 1: NO 0.3500 polymarket, Bitcoin Up or Down - February 7, 10:30PM-10:45PM ET
  market      0x313805d96e79603ebb0f12cdee334b0133214d4b7fcb1de79b557636c9d04a29
  record      eu.book.polymarket, partition 5, offset 0, index 1
  book        epoch 1770519600000000000, sequence 1, live
  proof       0.332 s old at the decision
       contracts   bid YES    ask YES     contracts   taken
           50.00    0.6500     0.6600         10.00   * 50.00 NO at 0.3500
           90.00    0.6400                            * 55.99 NO at 0.3600
  walk               50.00 x 0.3500 =        17.500000
                     55.99 x 0.3600 =        20.156400
  cost              105.99          =        37.656400
  fee                               =         0.971000
  order       limit price 0.3600; smallest order 5.00 contracts and $1.000000, in lots of 0.01

waterfall: net $4.484615 (10,642% a year)
                                         $            left $
  payout                        105.990000  =     105.990000   105.99 x 1.0000
  costs at the best prices      -97.510800  =       8.479200   105.99 x 0.9200
  what deeper levels add         -0.959800  =       7.519400
  gross                                     =       7.519400
  fees                           -2.786800  =       4.732600   1.815800 + 0.971000
  gas                            -0.003000  =       4.729600
  basis                          -0.001883  =       4.727717
  settlement risk                -0.238478  =       4.489239
  time value                     -0.004624  =       4.484615
  net                                       =       4.484615
  capital     $101.260400, locked until 2026-02-08 06:39:00 UTC
  void        pays $52.995000 at worst, instead of $105.990000

trail on 2026-02-08, UTC, and the milliseconds from stamp to stamp
                          leg 0 kalshi                   leg 1 polymarket
  exchange_ns             03:00:01.988000                03:00:02.218000
  api_call_start_ns       03:00:02.000000       +12.000  03:00:02.030000      -188.000
  api_response_ns         03:00:02.000000        +0.000  03:00:02.030000        +0.000
  processing_complete_ns  03:00:02.000300        +0.300  03:00:02.030300        +0.300
  confirmed_ns (proof)    03:00:01.750000    362 ms old  03:00:01.780000    332 ms old
  virginia_received_ns    03:00:02.001000        +0.700  03:00:02.112000       +81.700
  time_ns (decided)       03:00:02.112000      +111.000  03:00:02.112000        +0.000
  produced_ns (header)    03:00:02.112450        +0.450
  timestamp (whole ms)    03:00:02.112000        -0.450

tickets: 1
  ticket-1    filled   g  105.99 contracts  realised $4.484000 of expected $4.484615

check: each leg's levels, cost, fee and limit price follow from its book again, and the steps add up
"""

THREE_CANDIDATES = """\
opened: revision 0 of 82f913849aa696ec362a2340fdaf6b87
  decided     2026-02-08 03:00:01.290000 UTC, because of a book of leg 2 (polymarket)
  journal     journal.detector, partition 5, epoch 1770519540000000000, position 41
  record      opportunity, partition 0, offset 0

group g: proposed (now approved)
  relations   exclusive exhaustive
    0  kalshi     KXMAYOR-A                         Will A be mayor?
    1  kalshi     KXMAYOR-B                         Will B be mayor?
    2  polymarket 0x313805…4a29                     Will 9 be mayor?
  evidence    none given

basket: 20.00 contracts of each claim, at best $1.9300 together; they pay $2.0000 in every outcome
  leg 0  NO              0.6200  kalshi     Will A be mayor?
  leg 1  NO              0.6300  kalshi     Will B be mayor?
  leg 2  NO              0.6800  polymarket Will 9 be mayor?

leg 0: NO 0.6200 kalshi, Will A be mayor?
  market      KXMAYOR-A
  record      book.kalshi, partition 5, offset 0, index 0
  book        epoch 1770519600000000000, sequence 1, live
  proof       0.390 s old at the decision; the venue had confirmed the book again since this record
       contracts   bid YES    ask YES     contracts   taken
           20.00    0.3800     0.4100          5.00   * 20.00 NO at 0.6200
  walk               20.00 x 0.6200 =        12.400000
  fee                               =         0.329900
  order       limit price 0.6200; smallest order any, in lots of 0.01

leg 1: NO 0.6300 kalshi, Will B be mayor?
  market      KXMAYOR-B
  record      book.kalshi, partition 5, offset 1, index 0
  book        epoch 1770519600000000000, sequence 1, live
  proof       1.535 s old at the decision
       contracts   bid YES    ask YES     contracts   taken
           20.00    0.3700     0.4100          5.00   * 20.00 NO at 0.6300
  walk               20.00 x 0.6300 =        12.600000
  fee                               =         0.326400
  order       limit price 0.6300; smallest order any, in lots of 0.01

leg 2: NO 0.6800 polymarket, Will 9 be mayor?
  market      0x313805d96e79603ebb0f12cdee334b0133214d4b7fcb1de79b557636c9d04a29
  record      eu.book.polymarket, partition 5, offset 0, index 0
  book        epoch 1770519600000000000, sequence 1, live
  proof       0.340 s old at the decision
       contracts   bid YES    ask YES     contracts   taken
           10.00    0.3200                            * 10.00 NO at 0.6800
           40.00    0.3100                            * 10.00 NO at 0.6900
  walk               10.00 x 0.6800 =         6.800000
                     10.00 x 0.6900 =         6.900000
  cost               20.00          =        13.700000
  fee                               =         0.172600
  order       limit price 0.6900; smallest order any, in lots of 0.01

waterfall: net $0.407409 (2,485% a year)
                                         $            left $
  payout                         40.000000  =      40.000000   20.00 x 2.0000
  costs at the best prices      -38.600000  =       1.400000   20.00 x 1.9300
  what deeper levels add         -0.100000  =       1.300000
  gross                                     =       1.300000
  fees                           -0.828900  =       0.471100   0.329900 + 0.326400 + 0.172600
  gas                            -0.003000  =       0.468100
  basis                          -0.000685  =       0.467415
  settlement risk                -0.058200  =       0.409215
  time value                     -0.001806  =       0.407409
  net                                       =       0.407409
  capital     $39.531900, locked until 2026-02-08 06:39:00 UTC
  void        pays $21.800000 at worst, instead of $40.000000

trail on 2026-02-08, UTC, and the milliseconds from stamp to stamp
                          leg 0 kalshi                   leg 1 kalshi                   leg 2 polymarket
  exchange_ns             02:59:59.988000                02:59:59.993000                unknown
  api_call_start_ns       03:00:00.000000       +12.000  03:00:00.005000       +12.000  03:00:01.200000
  api_response_ns         03:00:00.000000        +0.000  03:00:00.005000        +0.000  03:00:01.200000        +0.000
  processing_complete_ns  03:00:00.000300        +0.300  03:00:00.005300        +0.300  03:00:01.200300        +0.300
  confirmed_ns (proof)    03:00:00.900000    390 ms old  02:59:59.755000  1,535 ms old  03:00:00.950000    340 ms old
  virginia_received_ns    03:00:00.010000        +9.700  03:00:00.010000        +4.700  03:00:01.290000       +89.700
  time_ns (decided)       03:00:01.290000    +1,280.000  03:00:01.290000    +1,280.000  03:00:01.290000        +0.000
  produced_ns (header)    03:00:01.290450        +0.450
  timestamp (whole ms)    03:00:01.290000        -0.450

tickets: none

check: each leg's levels, cost, fee and limit price follow from its book again, and the steps add up
"""


def shown(facts: Facts, levels: int = 5) -> list[str]:
    found = list(lines(facts, check(facts), levels))
    assert [line for line in found if len(line) > WIDTH or line != line.rstrip() or not line.isprintable()] == []
    return found


def test_two_venues_to_the_letter() -> None:
    assert "\n".join(shown(two_venues().facts(tickets=(FILLED,)))) == TWO_VENUES.rstrip("\n")


def test_three_legs_to_the_letter() -> None:
    facts = three_candidates().facts(show_life=False, status_now="approved")
    assert "\n".join(shown(facts)) == THREE_CANDIDATES.rstrip("\n")


def test_a_closing_says_why_and_tells_of_the_last_size() -> None:
    found = shown(two_venues().facts(2, show_life=False))
    assert found[0] == "closed: revision 2 of 7e9ac5fffec17224f0c8f22a22db24ac"
    assert "  reason      edge gone" in found
    assert "              a closing buys nothing: what follows is revision 1, 2026-02-08 03:00:03.001000 UTC" in found
    assert (
        "basket: 139.99 contracts of each claim, at best $0.9200 together; they pay $1.0000 in every outcome" in found
    )
    assert "  time_ns (closing)       03:00:04.502000    +1,501.000" in found
    assert "  produced_ns (header)    03:00:04.502450        +0.450" in found
    assert found[-1].startswith("check: each leg's levels")


def test_a_closing_of_which_nothing_else_is_kept() -> None:
    closed = two_venues().events[-1]
    found = shown(put(two_venues().facts(2), life=(closed,)))
    assert "basket: 0.00 contracts of each claim, at best $0.9200 together" in found
    assert any(line.endswith("and no event from before is kept: the legs are those of the last one") for line in found)
    assert "  net                                       =       0.000000" in found
    assert found[-1].startswith("check: each leg's levels")


def test_a_leg_without_its_book_leaves_the_rest() -> None:
    facts = two_venues().facts()
    problem = "book.kalshi, partition 5, offset 0: deleted by retention, the earliest kept is 7"
    whole = shown(facts)
    found = shown(put(facts, legs=(put(facts.legs[0], book=None, problem=problem), facts.legs[1])))
    assert f"  ladder      {problem}" in found
    assert "  book        epoch 1770519600000000000, sequence 1" in found
    assert "  api_call_start_ns       unknown                        03:00:02.030000      -188.000" in found
    assert found[-2:] == [
        "check: every other leg's levels, cost, fee and limit price follow from its book again, and the steps add up",
        "check: leg 0 cannot be computed again without its book",
    ]
    at = whole.index("leg 1: NO 0.3500 polymarket, Bitcoin Up or Down - February 7, 10:30PM-10:45PM ET")
    end = whole.index("trail on 2026-02-08, UTC, and the milliseconds from stamp to stamp")
    assert "\n".join(whole[at:end]) in "\n".join(found)


def test_nothing_kept_of_group_and_markets() -> None:
    facts = two_venues().facts()
    legs = tuple(put(leg, market=None) for leg in facts.legs)
    found = shown(put(facts, group=None, markets={}, legs=legs))
    assert "group g: no record of it that can be read is kept" in found
    assert "leg 0: YES 0.5700 kalshi, (no market record is kept)" in found
    assert "  order       limit price 0.5800; smallest order not known: no market record is kept" in found
    assert found[-3:] == [
        "check: the steps add up",
        "check: leg 0 cannot be computed again without its market record",
        "check: leg 1 cannot be computed again without its market record",
    ]


@pytest.mark.parametrize(
    ("now", "said"), [("approved", "approved"), ("blocked", "approved (now blocked)"), (None, "approved (now removed)")]
)
def test_the_status_then_and_now(now: Any, said: str) -> None:
    assert f"group g: {said}" in shown(two_venues().facts(status_now=now))


def test_a_large_group_shows_its_legs_first() -> None:
    facts = two_venues().facts()
    assert facts.group is not None
    others = tuple(Member(venue="kalshi", market=f"KX-{number}") for number in range(30))
    relations = tuple(Relation(kind="implies", members=(number, number + 1)) for number in range(31))
    grown = replace(facts.group, members=(*others, *facts.group.members), relations=relations, evidence="why " * 400)
    found = shown(put(facts, group=grown))
    assert "       … 20 more" in found
    assert f"    9  kalshi     {'KX-9':32}  (no market record is kept)" in found
    assert not any("KX-10" in line for line in found)
    members = [line[2:5].strip() for line in found if line[2:5].strip().isdigit()]
    assert members == [*map(str, range(10)), "30", "31"]
    start = found.index(next(line for line in found if line.startswith("  evidence")))
    assert [line.strip() for line in found[start + 5 : start + 7]] == ["…", ""]


def test_more_levels_are_shown_when_asked_for_and_all_that_were_taken() -> None:
    facts = two_venues().facts()
    assert sum(line.endswith("… 2 more") for line in shown(facts)) == 1
    assert not any("more" in line for line in shown(facts, 7))
    few = shown(facts, 0)
    assert "          120.01    0.5500     0.5800         40.00   * 39.99 YES at 0.5800" in few
    assert "                  … 5 more                 … 1 more" in few


def test_four_legs_take_two_tables_of_stamps() -> None:
    facts = three_candidates().facts()
    legs = (*facts.legs, put(facts.legs[0], number=3))
    found = shown(put(facts, legs=legs))
    assert sum(line.startswith("  virginia_received_ns ") for line in found) == 2
    assert sum(line.startswith("  produced_ns (header) ") for line in found) == 1


def test_stamps_of_another_day_have_their_date() -> None:
    facts = two_venues().facts()
    leg = facts.legs[1]
    assert leg.book is not None
    old = replace(leg.book, exchange_ns=START - 86_400 * SECOND)
    found = shown(put(facts, legs=(facts.legs[0], put(leg, book=old))))
    [line] = [line for line in found if line.startswith("  exchange_ns")]
    assert line.endswith("2026-02-07 03:00:00.000000")
    [line] = [line for line in found if line.startswith("  api_call_start_ns")]
    assert line.endswith("+86,402 s")


def test_a_run_has_a_clock_of_its_own() -> None:
    found = shown(two_venues().facts(run="again", topic="replay.again.opportunity"))
    assert "  record      replay.again.opportunity, partition 0, offset 0" in found
    assert any(line.endswith("(the run's own clock from produced_ns on)") for line in found)


def test_what_caused_it_and_a_position_that_was_not_kept() -> None:
    facts = two_venues().facts()
    record = replace(facts.event.record, cause=-1, journal_position=-1)
    event = Event(record, 0, 0, 0)
    found = shown(put(facts, event=event, life=(event,)))
    assert "  decided     2026-02-08 03:00:02.112000 UTC, because of the time, a group or a market record" in found
    assert "  journal     journal.detector, partition 5, epoch 1770519540000000000, position not kept" in found
    assert "  produced_ns (header)    unknown" in found


def test_titles_cannot_move_the_cursor() -> None:
    facts = two_venues().facts()
    markets = {
        key: KnownMarket(replace(known.record, title="up\x1b[2J\nand\tdown " + "x" * 200), 0, later=False)
        for key, known in facts.markets.items()
    }
    found = shown(put(facts, markets=markets))
    assert any("up [2J and down xxx" in line and line.endswith("x…") and len(line) == WIDTH for line in found)


def test_one_event_that_closed_for_a_long_reason() -> None:
    closed = two_venues().events[-1]
    event = put(closed, record=replace(closed.record, reason=f"leg not live: polymarket {CONDITION}: halted"))
    found = shown(put(two_venues().facts(2), event=event, life=(event,)))
    assert found[0].startswith("opportunity 7e9ac5fffec17224f0c8f22a22db24ac: 1 event, closed after 2.390 s")
    assert found[2].endswith("     2.390 s  leg not live: polymarket")
    assert found[3] == f"{'':87}0x313805…4a29: halted"
    assert "  reason      leg not live: polymarket 0x313805…4a29: halted" in found


@pytest.mark.parametrize(
    ("names", "said"),
    [(("Yes", "No"), "NO"), (("", ""), "NO"), (("Up",), "NO"), ((), "NO"), (("Up", "Down"), "NO (Down)")],
)
def test_the_venues_own_word_for_an_outcome(names: tuple[str, ...], said: str) -> None:
    facts = two_venues().facts()
    market = facts.legs[1].market
    assert market is not None
    named = put(facts.legs[1], market=put(market, record=replace(market.record, outcomes=names)))
    [line] = [line for line in shown(put(facts, legs=(facts.legs[0], named))) if line.startswith("  leg 1  ")]
    assert line.startswith(f"  leg 1  {said:16}0.3500  polymarket")


def test_evidence_of_six_lines_is_told_whole() -> None:
    facts = two_venues().facts()
    assert facts.group is not None
    line = "x" * 106
    for count, last in ((6, line), (7, "…")):
        long = put(facts, group=replace(facts.group, evidence=" ".join([line] * count)))
        found = shown(long)
        start = found.index(f"  evidence    {line}")
        assert [one.strip() for one in found[start + 5 : start + 7]] == [last, ""]


def test_capital_that_is_free_at_once() -> None:
    facts = two_venues().facts()
    event = put(facts.event, record=replace(facts.event.record, settles_ns=0))
    assert "  capital     $101.260400" in shown(put(facts, event=event, life=(event,)))


def test_a_ticket_says_all_that_it_has_to_say() -> None:
    long = ticket(1, 2, ticket_id="f" * 32, state="cancelled", reason="no liquidity at the limit 0.1700; " * 5)
    found = shown(two_venues().facts(tickets=(long, FILLED)))
    at = found.index("tickets: 2")
    assert found[at + 1].startswith("  fffffffff…  cancelled  test-group  1.00 contracts  no liquidity")
    assert sum(line.count("0.1700") for line in found[at + 1 : at + 4]) == 5
    assert found[at + 2].startswith(" " * 14)


def test_differences_name_leg_and_field() -> None:
    facts = two_venues().facts()

    def words(*difference: Any) -> str:
        return difference_words(facts, Difference(*difference))

    of = "(market record of 2026-02-08 03:00:00)"
    assert words(0, "fee", 5, 1_000_000) == f"leg 0 (YES kalshi), fee: recorded 0.000005, recomputed 1.000000 {of}"
    assert words(1, "limit_price", 3_600, 4_000) == (
        f"leg 1 (NO polymarket), limit_price: recorded 0.3600, recomputed 0.4000 {of}"
    )
    assert words(0, "cost", -5, 1) == "leg 0 (YES kalshi), cost: recorded -0.000005, recomputed 0.000001"
    assert words(0, "best_price", 1, 2) == "leg 0 (YES kalshi), best_price: recorded 0.0001, recomputed 0.0002"
    assert words(0, "quantity", 150, "less") == f"leg 0 (YES kalshi), quantity: recorded 1.50, recomputed less {of}"
    assert words(0, "sequence", 9, 8) == "leg 0 (YES kalshi), sequence: recorded 9, recomputed 8"
    assert words(0, "epoch", 7, 8) == "leg 0 (YES kalshi), epoch: recorded 7, recomputed 8"
    assert words(0, "levels", (5_000, 100, 6_000, 1), ()) == (
        "leg 0 (YES kalshi), levels: recorded 1.00 x 0.5000 + 0.01 x 0.6000, recomputed nothing"
    )
    assert words(1, "market", "kalshi X", f"polymarket {CONDITION}").endswith("recomputed polymarket 0x313805…4a29")
    assert words(None, "net", 5, 6) == "the opportunity, net: recorded 0.000005, recomputed 0.000006"
    market = facts.legs[0].market
    assert market is not None
    facts = put(facts, legs=(put(facts.legs[0], market=put(market, later=True)), put(facts.legs[1], market=None)))
    assert words(1, "fee", 5, 6) == "leg 1 (NO polymarket), fee: recorded 0.000005, recomputed 0.000006"
    assert words(0, "fee", 5, 6).endswith("(market record of 2026-02-08 03:00:00; none before)")


def test_differences_stand_in_the_place_of_the_check() -> None:
    facts = two_venues().facts()
    many = tuple(Difference(0, "cost", at, 1) for at in range(2, 14))
    found = [line for line in lines(facts, Check(many, (1,))) if line.startswith("check")]
    assert found[0] == "check: leg 0 (YES kalshi), cost: recorded 0.000002, recomputed 0.000001"
    assert found[10:] == [
        "check: … 2 differences more",
        "check: leg 1 cannot be computed again without its market record",
    ]


def test_times() -> None:
    assert moment(START + 1_999) == "2026-02-08 03:00:00.000001"
    assert moment(0) == "unknown"
    assert moment(-1) == "1969-12-31 23:59:59.999999"
    assert moment(2**63 - 1) == "2262-04-11 23:47:16.854775"
    assert seconds(1_234_567 * MS) == "1,234.567 s"
    assert milliseconds(None) == ""
    assert [milliseconds(ns) for ns in (0, -1_500, 999_999 * MS)] == ["+0.000", "-0.002", "+999,999.000"]
    assert [milliseconds(sign * 1_000 * SECOND) for sign in (1, -1)] == ["+1,000 s", "-1,000 s"]


def test_fit() -> None:
    assert fit("abc  ", 3) == "abc"
    assert fit("abcd", 3) == "ab…"
    assert fit("a\x00\tb") == "a  b"
