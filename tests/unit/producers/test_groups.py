import queue

from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from producers.groups import GroupFollower, GroupTable, markets_of
from runtime.kafka import KafkaUnavailable
from schemas.codec import encode
from schemas.records import Group, GroupStatus, Member
from streams.core.detection import Detection, Gates
from tests.unit.producers.support import make_market


def group(name: str, *members: tuple[str, str], status: GroupStatus = "approved") -> Group:
    return Group(
        group=name,
        members=tuple(Member(venue=venue, market=market) for venue, market in members),  # type: ignore[arg-type]
        relations=(),
        status=status,
        evidence="",
        rules_fingerprint="",
        updated_by="",
        updated_ns=0,
    )


def test_the_follower_reads_to_the_end_first_and_then_every_change() -> None:
    mock = Producer({"bootstrap.servers": "in-process", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(mock.list_topics(timeout=10).brokers.values()))
    bootstrap = f"{broker.host}:{broker.port}"
    writer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for name in ("a", "b"):
        writer.produce("group", encode(group(name, ("kalshi", name))), key=name.encode(), partition=0)
    writer.flush(10)
    seen: queue.Queue[list[str]] = queue.Queue()
    follower = GroupFollower(
        bootstrap, "group", lambda groups: seen.put(sorted(groups)), lambda error: seen.put([repr(error)])
    )
    follower.start()
    assert seen.get(timeout=20) == ["a", "b"]
    writer.produce("group", None, key=b"a", partition=0)
    writer.flush(10)
    assert seen.get(timeout=20) == ["b"]
    follower.stop()


def test_the_markets_of_groups_that_are_not_blocked() -> None:
    groups = [
        group("b", ("kalshi", "K1"), ("polymarket", "P1")),
        group("c", ("kalshi", "K2"), status="blocked"),
        group("d", ("kalshi", "K3"), status="proposed"),
        group("a", ("kalshi", "K1")),
    ]
    assert markets_of(groups, "kalshi") == {"K1": "a", "K3": "d"}
    assert markets_of(groups, "polymarket") == {"P1": "b"}


def test_a_market_belongs_to_the_group_that_named_it_last() -> None:
    table = GroupTable("group")

    def owners() -> dict[str, str]:
        return markets_of(table.groups.values(), "kalshi")

    def write(name: str, *markets: str, status: GroupStatus = "approved") -> bool:
        members = [("kalshi", market) for market in markets]
        return table.apply(name.encode(), encode(group(name, *members, status=status)), 0)

    assert write("a", "K1")
    assert write("b", "K1")
    assert owners() == {"K1": "b"}
    assert write("a", "K1")  # the same words again: a change of owner
    assert owners() == {"K1": "a"}
    assert write("c", "K1", "K2")
    assert write("c", "K2")  # an edit that drops the market: back to the latest other
    assert owners() == {"K1": "a", "K2": "c"}
    assert table.apply(b"a", None, 0)
    assert owners() == {"K1": "b", "K2": "c"}
    assert write("d", "K1", status="blocked")  # its books would be nobody's
    assert owners() == {"K2": "c"}
    assert write("d", "K1")
    assert owners() == {"K1": "d", "K2": "c"}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.sets(st.sampled_from(["K1", "K2", "K3"]), min_size=1)),
        max_size=12,
    )
)
def test_the_owner_is_whom_the_detector_has(edits: list[tuple[str, set[str] | None]]) -> None:
    table, detection = GroupTable("group"), Detection(0, Gates(1, 1))
    for name, markets in edits:
        if markets is None:
            table.apply(name.encode(), None, 0)
            detection.on_group_removed(name)
        else:
            record = group(name, *(("kalshi", market) for market in sorted(markets)))
            table.apply(name.encode(), encode(record), 0)
            detection.on_group(record)
        theirs = {market: state.group for (_, market), state in detection._states.items()}
        assert markets_of(table.groups.values(), "kalshi") == theirs


def test_what_must_be_prepared_comes_first_and_its_failure_is_heard() -> None:
    failures: queue.Queue[Exception] = queue.Queue()

    def prepare() -> None:
        raise KafkaUnavailable("no history")

    follower = GroupFollower("127.0.0.1:1", "group", lambda _groups: None, failures.put, prepare)
    follower.start()
    assert str(failures.get(timeout=20)) == "no history"
    follower.stop()


def test_the_table_takes_the_newest_record_and_tombstones() -> None:
    table, first = GroupTable("group"), group("a", ("kalshi", "K1"))
    assert table.apply(b"a", encode(first), 0)
    assert not table.apply(b"a", encode(first), 1)
    assert table.apply(b"a", encode(group("a", ("kalshi", "K2"))), 2)
    assert markets_of(table.groups.values(), "kalshi") == {"K2": "a"}
    assert table.apply(b"a", None, 3)
    assert not table.apply(b"a", None, 4)
    assert table.groups == {}


def test_a_broken_record_leaves_the_group_as_it_was() -> None:
    table = GroupTable("group")
    table.apply(b"a", encode(group("a", ("kalshi", "K1"))), 0)
    assert not table.apply(b"a", b"garbage", 1)
    assert not table.apply(b"a", encode(make_market("kalshi", "K1")), 2)
    assert list(table.groups) == ["a"]
