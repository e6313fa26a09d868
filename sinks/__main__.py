"""One sink process: `python -m sinks NAME`."""

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from runtime import kafka, logs
from runtime.health import HeartbeatSender, on_stop_signal
from runtime.metrics import MetricReporter
from runtime.settings import KafkaSettings, SettingsError, SinkSettings, load
from sinks.task import SinkTask
from sinks.worker import Worker

SINKS: Final = {
    "influx": "sinks.influx",
    "postgres": "sinks.postgres",
}
"""Every sink by name: the module whose `make_task()` makes its task, imported only in that sink's own process."""

USAGE_ERROR: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Run one sink until SIGTERM or SIGINT; returns the process's exit code."""
    if len(arguments) != 1 or arguments[0] not in SINKS:
        given = f"unknown sink {arguments[0]!r}" if len(arguments) == 1 else "expected the name of one sink"
        print(f"{given}: one of {', '.join(SINKS)} (python -m sinks NAME)", file=sys.stderr)
        return USAGE_ERROR
    name = arguments[0]
    try:
        task: SinkTask = importlib.import_module(SINKS[name]).make_task()
        clusters, pace = load(KafkaSettings), load(SinkSettings)
    except SettingsError as error:
        print(f"sink {name}: {error}", file=sys.stderr)
        return USAGE_ERROR
    log = logs.configure(f"sink.{name}")
    try:
        run(task, clusters.bootstrap("us"), pace)
    except Exception as error:
        log.exception("sink stopped", error=str(error))
        return 1
    log.info("sink ended")
    return 0


def run(task: SinkTask, bootstrap: str, pace: SinkSettings) -> None:
    """Wire one worker to its cluster and let it work; raises when it cannot go on."""
    source = f"sink.{task.name}"
    publisher = kafka.Publisher(bootstrap, source)

    def publish(topic: str, key: bytes, value: bytes) -> None:
        publisher.publish(topic, value, key=key)

    worker = Worker(
        task,
        kafka.consumer(bootstrap, f"dutchbook-sink-{task.name}"),
        kafka.DeadLetters(publisher, source, ratio=pace.sink_dead_letter_ratio, run=pace.sink_dead_letter_run),
        publisher,
        pace,
    )
    on_stop_signal(worker.request_stop)
    heartbeat, reporter = HeartbeatSender(source, "us", publish), MetricReporter(source, "us", publish)
    heartbeat.start()
    reporter.start()
    try:
        worker.run()
    finally:
        heartbeat.stop()
        try:
            reporter.stop()
            publisher.close()
        except (kafka.DeliveryFailed, KafkaException) as error:
            # The records are safe; only the last sign of life is not.
            logs.get(sink=task.name).warning("last metrics not delivered", error=str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
