"""A partition learns of its own groups and their markets, whatever the order in which the records come."""

from schemas.records import FeeSchedule, Group, Market, Member, Relation
from schemas.topics import partition_of
from streams.core.references import Reference, References

FEE = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=0)


def group(name: str, *markets: str, offset: int = 0) -> Reference:
    members = tuple(Member(venue="kalshi", market=market) for market in markets)
    record = Group(
        group=name,
        members=members,
        relations=(Relation(kind="same", members=(0, 1)),),
        status="approved",
        evidence="",
        rules_fingerprint="",
        updated_by="test",
        updated_ns=1,
    )
    return Reference("group", offset, name, record)


def market(name: str, offset: int = 0) -> Reference:
    record = Market(
        venue="kalshi",
        market=name,
        event="",
        title="",
        rules="",
        status="active",
        tokens=(),
        ticks=(),
        fee=FEE,
        minimum_quantity=1,
        minimum_value=0,
        negative_risk=False,
        open_ns=0,
        close_ns=0,
        expected_settlement_ns=0,
        updated_ns=1,
    )
    return Reference("market.kalshi", offset, name, record)


def test_a_market_before_its_group_is_told_with_the_group() -> None:
    references = References(partition_of)
    assert references.take(market("A")) == []
    told = references.take(group("g", "A", "B"))
    assert told == [(partition_of("g"), group("g", "A", "B")), (partition_of("g"), market("A"))]


def test_a_market_after_its_group_is_told_to_the_groups_partition_only() -> None:
    references = References(partition_of)
    references.take(group("g", "A", "B"))
    assert references.take(market("B", 7)) == [(partition_of("g"), market("B", 7))]
    assert references.take(market("C")) == []


def test_a_beginning_partition_is_told_its_own_groups() -> None:
    references = References(partition_of)
    names = [f"group-{number}" for number in range(20)]
    for name in names:
        references.take(group(name, f"{name}-a", f"{name}-b"))
        references.take(market(f"{name}-b"))
    told = {number: [part.key for part in references.for_partition(number)] for number in range(8)}
    for name in names:
        assert [number for number, keys in told.items() if name in keys] == [partition_of(name)]
        assert f"{name}-b" in told[partition_of(name)]
    assert sum(map(len, told.values())) == 2 * len(names)


def test_the_newest_record_counts() -> None:
    references = References(partition_of)
    references.take(group("g", "A", "B", offset=1))
    references.take(group("g", "A", "C", offset=2))
    assert list(references.for_partition(partition_of("g"))) == [group("g", "A", "C", offset=2)]
    assert references.take(market("B")) == []


def test_a_tombstone_removes_the_group() -> None:
    references = References(partition_of)
    references.take(group("g", "A", "B"))
    tombstone = Reference("group", 5, "g", None)
    assert references.take(tombstone) == [(partition_of("g"), tombstone)]
    assert list(references.for_partition(partition_of("g"))) == []
    assert references.take(market("A")) == []


def test_the_tombstone_of_an_unknown_group_is_told_all_the_same() -> None:
    tombstone = Reference("group", 5, "g", None)
    assert References(partition_of).take(tombstone) == [(partition_of("g"), tombstone)]
