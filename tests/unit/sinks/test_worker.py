"""The worker's promises, with a broker, a consumer and a store that are fakes and a time that only they move."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.kafka import DeadLetterLimit, DeliveryFailed
from runtime.settings import SinkSettings
from schemas.codec import encode
from sinks.memory import MemoryTask
from sinks.task import Offsets, Place, RetriableError, SinkTask
from sinks.worker import Worker
from tests.unit.runtime.rounds import Rounds
from tests.unit.sinks.fakes import FakeBroker, FakeConsumer, FakeMessage, FakeOutlet
from tests.unit.sinks.make import NOW_NS, ticket

HERE: Place = ("ticket", 0)


class Killed(BaseException):
    """The process ends here, without another word."""


class Rig:
    """One life of a sink process on a broker and a store that outlive it."""

    def __init__(
        self,
        broker: FakeBroker,
        task: SinkTask,
        at_idle: Sequence[Callable[[], None]] = (),
        outlet: FakeOutlet | None = None,
        batch: int = 10,
        jitter: float = 1.0,
    ) -> None:
        self.outlet = outlet or FakeOutlet()
        self.consumer = FakeConsumer(broker, at_idle)
        settings = SinkSettings(
            sink_batch_records=batch,
            sink_batch_ms=200,
            sink_backoff_initial_ms=100,
            sink_backoff_limit_ms=1000,
            sink_dead_letter_run=100,
            sink_dead_letter_ratio=0.2,
        )
        self.worker = Worker(
            task,
            self.consumer,
            self.outlet,
            self.outlet,
            settings,
            clock=lambda: broker.now_s,
            wall_ns=lambda: NOW_NS,
            uniform=lambda _low, high: high * jitter,
        )
        self.consumer.stop = self.worker.request_stop


def tickets(count: int, start: int = 0) -> list[bytes]:
    return [encode(ticket(number)) for number in range(start, start + count)]


def broker_with(*values: bytes | None) -> FakeBroker:
    broker = FakeBroker()
    broker.append("ticket", *values)
    return broker


def stored_offsets(task: MemoryTask) -> list[int]:
    return sorted(offset for _, _, offset in task.rows)


def test_records_become_durable_and_are_committed() -> None:
    broker, task = broker_with(*tickets(3)), MemoryTask()
    rig = Rig(broker, task)
    rig.worker.run()
    assert stored_offsets(task) == [0, 1, 2]
    assert broker.committed == {HERE: 3}
    assert rig.consumer.closed


def test_a_full_batch_is_not_waited_for() -> None:
    broker, task = broker_with(*tickets(25)), MemoryTask()
    rig = Rig(broker, task, batch=10)
    rig.worker.run()
    assert task.writes == [10, 10, 5]
    assert rig.consumer.commits == [{HERE: 10}, {HERE: 20}, {HERE: 25}]


def test_a_small_batch_is_settled_when_its_time_is_up() -> None:
    broker, task = broker_with(*tickets(3)), MemoryTask()
    seen: list[tuple[float, int]] = []
    rig = Rig(broker, task, [lambda: seen.append((round(broker.now_s, 3), len(task.rows)))] * 4)
    rig.worker.run()
    # Two waits of 0.1 s make the batch's 200 ms; only then it is written.
    assert seen[:3] == [(0.1, 0), (0.2, 0), (0.3, 3)]


def test_a_batchs_time_begins_with_its_first_record() -> None:
    broker, task = broker_with(), MemoryTask()
    seen: list[tuple[float, int]] = []

    def look() -> None:
        seen.append((round(broker.now_s, 3), len(task.rows)))

    def arrive() -> None:
        broker.append("ticket", *tickets(1))

    Rig(broker, task, [look, look, look, look, arrive, look, look, look]).worker.run()
    assert seen[4:] == [(0.6, 0), (0.7, 0), (0.8, 1)]


def test_tombstones_count_as_done() -> None:
    broker, task = broker_with(None, *tickets(1), None), MemoryTask()
    Rig(broker, task).worker.run()
    assert stored_offsets(task) == [1]
    assert broker.committed == {HERE: 3}


def test_killed_between_flush_and_commit_reads_again_and_keeps_the_same_rows() -> None:
    broker, task = broker_with(*tickets(4)), MemoryTask()
    first = Rig(broker, task)
    first.consumer.commit_fails = Killed()
    with pytest.raises(Killed):
        first.worker.run()
    rows = dict(task.rows)
    assert len(rows) == 4
    assert broker.committed == {}

    Rig(broker, task).worker.run()
    assert task.rows == rows
    assert task.writes == [4, 4]
    assert broker.committed == {HERE: 4}


def test_the_stores_own_offsets_win_over_the_groups() -> None:
    broker, task = broker_with(*tickets(4)), MemoryTask()
    broker.committed[HERE] = 1
    task.stored[HERE] = 3
    Rig(broker, task).worker.run()
    assert stored_offsets(task) == [3]


def test_a_topic_younger_than_the_store_is_read_from_its_beginning() -> None:
    broker, task = broker_with(*tickets(4)), MemoryTask()
    task.stored[HERE] = 3
    Rig(broker, task).worker.run()
    assert stored_offsets(task) == [0, 1, 2, 3]


def test_its_work_goes_round_also_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    monkeypatch.setattr("sinks.worker.HEALTH", rounds)
    broker, task = broker_with(*tickets(5)), MemoryTask()
    seen: list[int] = []

    def go_away() -> None:
        task.down = True
        broker.append("ticket", *tickets(5, 5))

    def look() -> None:
        seen.append(rounds.count)

    def come_back() -> None:
        task.down = False

    Rig(broker, task, [look, look, go_away, *[look] * 12, come_back, *[look] * 40]).worker.run()
    assert len(seen) > 12
    assert all(before < after for before, after in pairwise(seen))


def test_a_store_that_is_away_pauses_reading_and_loses_nothing() -> None:
    broker, task = broker_with(*tickets(3)), MemoryTask()
    away: list[set[Place]] = []

    def look() -> None:
        away.append(set(rig.consumer.paused))

    def come_back() -> None:
        task.down = False

    def go_away() -> None:
        task.down = True
        broker.append("ticket", *tickets(3, start=3))

    rig = Rig(broker, task, [look, look, go_away, *[look] * 12, come_back, *[look] * 40])
    rig.worker.run()
    assert away.count({HERE}) >= 5
    assert stored_offsets(task) == list(range(6))
    assert broker.committed == {HERE: 6}
    assert rig.consumer.paused == set()


def test_the_backoff_doubles_up_to_its_limit() -> None:
    broker, task = broker_with(*tickets(1)), MemoryTask()
    attempts: list[float] = []

    class Away(MemoryTask):
        def flush(self, positions: Offsets) -> None:
            attempts.append(broker.now_s)
            if len(attempts) < 7:
                raise RetriableError("away")
            super().flush(positions)

    task = Away()
    Rig(broker, task, [lambda: None] * 60).worker.run()
    waits = [round(later - earlier, 3) for earlier, later in pairwise(attempts)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_store_says_when_to_come_again() -> None:
    broker = broker_with(*tickets(1))
    attempts: list[float] = []

    class Busy(MemoryTask):
        def flush(self, positions: Offsets) -> None:
            attempts.append(broker.now_s)
            if len(attempts) == 1:
                raise RetriableError("busy", retry_after_s=5.0)
            super().flush(positions)

    Rig(broker, Busy(), [lambda: None] * 100, jitter=0.0).worker.run()
    assert attempts[1] - attempts[0] == pytest.approx(5.0)


def test_stopping_while_the_store_is_away_commits_nothing() -> None:
    broker, task = broker_with(*tickets(2)), MemoryTask()

    def go_away() -> None:
        task.down = True

    rig = Rig(broker, task, [go_away, *[lambda: None] * 5])
    rig.worker.run()
    assert task.rows == {}
    assert broker.committed == {}
    assert rig.consumer.closed


@pytest.mark.parametrize("names_the_record", [True, False])
def test_one_bad_record_goes_to_the_dead_letters_and_the_rest_goes_in(names_the_record: bool) -> None:
    broker, task = broker_with(*tickets(8)), MemoryTask(names_the_record=names_the_record)
    task.hopeless = {5}
    rig = Rig(broker, task)
    rig.worker.run()
    assert stored_offsets(task) == [0, 1, 2, 3, 4, 6, 7]
    assert rig.outlet.sent == [("ticket", 5, "TASK_PUT")]
    assert broker.committed == {HERE: 8}


def test_a_record_that_cannot_be_decoded_is_a_dead_letter() -> None:
    broker, task = broker_with(*tickets(1), b"no Avro", *tickets(1, start=2)), MemoryTask()
    rig = Rig(broker, task)
    rig.worker.run()
    assert stored_offsets(task) == [0, 2]
    assert rig.outlet.sent == [("ticket", 1, "VALUE_CONVERTER")]
    assert broker.committed == {HERE: 3}


def test_nothing_is_committed_past_a_dead_letter_that_was_not_delivered() -> None:
    broker, task = broker_with(*tickets(1), b"no Avro", *tickets(1, start=2)), MemoryTask()

    class Lossy(FakeOutlet):
        def flush(self) -> None:
            raise DeliveryFailed("lost")

    rig = Rig(broker, task, outlet=Lossy())
    with pytest.raises(DeliveryFailed):
        rig.worker.run()
    assert broker.committed.get(HERE, 0) <= 1
    assert task.stored.get(HERE, 0) <= 1


def test_only_dead_letters_move_the_offsets_too() -> None:
    broker, task = broker_with(b"no Avro"), MemoryTask()
    rig = Rig(broker, task)
    rig.worker.run()
    assert rig.outlet.confirmed == 1
    assert broker.committed == {HERE: 1}
    assert task.stored == {HERE: 1}


def test_too_many_dead_letters_stop_the_sink_before_they_are_committed() -> None:
    broker, task = broker_with(*[b"no Avro"] * 6), MemoryTask()
    rig = Rig(broker, task, outlet=FakeOutlet(run_limit=5))
    with pytest.raises(DeadLetterLimit):
        rig.worker.run()
    assert broker.committed.get(HERE, 0) < 6
    assert rig.consumer.closed


def test_dead_letters_among_good_records_are_no_run() -> None:
    values = [value for good in tickets(10) for value in (good, b"no Avro")]
    broker, task = broker_with(*values), MemoryTask()
    rig = Rig(broker, task, outlet=FakeOutlet(run_limit=1), batch=50)
    rig.worker.run()
    assert len(rig.outlet.sent) == 10
    assert broker.committed == {HERE: 20}


def test_revoked_partitions_are_settled_first() -> None:
    broker, task = broker_with(*tickets(3)), MemoryTask()
    rig = Rig(broker, task, [lambda: rig.consumer.rebalance()])
    rig.worker.run()
    assert task.writes == [3]
    assert rig.consumer.commits == [{HERE: 3}]


def test_a_rebalance_amid_reading_settles_what_was_read_before_it() -> None:
    class Restless(FakeConsumer):
        reads = 0

        def consume(self, count: int, timeout: float) -> list[FakeMessage]:
            self.reads += 1
            if self.reads == 2:  # the first is the poll's own
                self.rebalance()
                return []
            return super().consume(count, timeout)

    broker, task = broker_with(*tickets(3)), MemoryTask()
    rig = Rig(broker, task)
    restless = Restless(broker)
    restless.stop = rig.worker.request_stop
    rig.worker._consumer = restless
    rig.worker.run()
    assert task.writes == [1, 2]
    assert restless.commits == [{HERE: 1}, {HERE: 3}]


def test_lost_partitions_are_dropped_and_read_again() -> None:
    broker, task = broker_with(*tickets(3)), MemoryTask()
    rig = Rig(broker, task, [lambda: rig.consumer.rebalance(lost=True), *[lambda: None] * 5])
    rig.worker.run()
    assert task.writes == [3]
    assert broker.committed == {HERE: 3}


def test_revoked_while_the_store_is_away_leaves_the_records_to_the_next_owner() -> None:
    class Counting(MemoryTask):
        attempts = 0

        def flush(self, positions: Offsets) -> None:
            self.attempts += 1
            super().flush(positions)

    broker, task = broker_with(*tickets(3)), Counting()

    def go_away() -> None:
        task.down = True

    def revoke_and_come_back() -> None:
        before = task.attempts
        rig.consumer.rebalance()
        assert task.attempts == before, "a store known to be away is not waited for while the group rebalances"
        task.down = False

    rig = Rig(broker, task, [go_away, lambda: None, lambda: None, revoke_and_come_back, *[lambda: None] * 10])
    rig.worker.run()
    # The next owner, here the same process, read all three again: nothing of the first reading was written.
    assert sum(task.writes) == 3
    assert stored_offsets(task) == [0, 1, 2]
    assert broker.committed == {HERE: 3}


def test_a_commit_that_a_rebalance_overtook_is_made_up_for() -> None:
    broker, task = broker_with(*tickets(2)), MemoryTask()
    rig = Rig(broker, task)
    rig.consumer.commit_fails = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    def heal() -> None:
        rig.consumer.commit_fails = None
        broker.append("ticket", *tickets(1, start=2))

    rig.consumer._at_idle = [lambda: None, lambda: None, lambda: None, heal, *[lambda: None] * 4]
    rig.worker.run()
    assert broker.committed == {HERE: 3}


def test_a_commit_that_is_forbidden_stops_the_sink() -> None:
    rig = Rig(broker_with(*tickets(1)), MemoryTask())
    rig.consumer.commit_fails = KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        rig.worker.run()


def test_any_other_error_of_a_task_stops_with_nothing_committed() -> None:
    class Broken(MemoryTask):
        def flush(self, positions: Offsets) -> None:
            raise PermissionError("no right to write")

    broker = broker_with(*tickets(2))
    rig = Rig(broker, Broken())
    with pytest.raises(PermissionError):
        rig.worker.run()
    assert broker.committed == {}
    assert rig.consumer.closed


def test_a_failed_publisher_stops_the_sink() -> None:
    rig = Rig(broker_with(*tickets(2)), MemoryTask(), outlet=FakeOutlet(failure=DeliveryFailed("lost")))
    with pytest.raises(DeliveryFailed):
        rig.worker.run()


def test_errors_of_the_consumer_are_told_and_only_fatal_ones_stop() -> None:
    class Reporting(FakeConsumer):
        def consume(self, count: int, timeout: float) -> list[FakeMessage]:
            return [FakeMessage(HERE, -1, None, self.problem)] if self.problem_is_due() else super().consume(count, 0)

        def problem_is_due(self) -> bool:
            self.told = getattr(self, "told", 0) + 1
            return self.told == 1

        problem = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)

    broker = broker_with(*tickets(1))
    rig = Rig(broker, MemoryTask())
    reporting = Reporting(broker)
    rig.worker._consumer = reporting
    reporting.stop = rig.worker.request_stop
    rig.worker.run()
    assert broker.committed == {HERE: 1}

    broker = broker_with(*tickets(1))
    rig = Rig(broker, MemoryTask())
    fatal = Reporting(broker)
    fatal.problem = KafkaError(KafkaError._FENCED, fatal=True)
    rig.worker._consumer = fatal
    with pytest.raises(KafkaException):
        rig.worker.run()
