"""What `python -m producers.<venue>` does around the feed: settings, signals, heartbeat, groups, exit code."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import uvloop

from producers.feeds import Feed
from producers.groups import GroupFollower, markets_of
from producers.history import newest_ns
from producers.tools import Tools
from runtime import logs
from runtime.health import HeartbeatSender
from runtime.kafka import DeadLetters, DeliveryFailed, Publisher
from runtime.metrics import MetricReporter
from runtime.settings import FeedSettings, KafkaSettings, SettingsError, load
from schemas.records import Venue
from schemas.topics import HOME, local_name


def main(venue: Venue, make_feed: Callable[[Tools], Feed[Any]]) -> int:
    """Run a venue's producer until it is told to stop; returns the exit code.

    0 after SIGTERM or SIGINT, 2 for wrong settings, 1 when it cannot go on (the last log line says why).
    `make_feed` reads the venue's own settings and may raise SettingsError.
    """
    try:
        kafka, settings = load(KafkaSettings), load(FeedSettings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log = logs.configure(f"producer.{venue}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_produce(venue, kafka, settings, make_feed))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Exception as error:  # the process ends, and its last line says why
        cause = first_cause(error)
        log.critical("producer ends", error=f"{type(cause).__name__}: {cause}")
        return 1
    log.info("producer stopped")
    return 0


def first_cause(error: BaseException) -> BaseException:
    """The first plain error inside groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _produce(
    venue: Venue, kafka: KafkaSettings, settings: FeedSettings, make_feed: Callable[[Tools], Feed[Any]]
) -> None:
    here = HOME[venue]
    source = f"producer.{venue}"
    publisher = Publisher(kafka.bootstrap(here), source)
    dead_letters = DeadLetters(publisher, source, ratio=settings.dead_letter_ratio, run=settings.dead_letter_run)
    feed = make_feed(Tools.make(venue, settings, publisher, dead_letters))

    def publish(topic: str, key: bytes, value: bytes) -> None:
        publisher.publish(topic, value, key=key)

    reporter, heartbeat = MetricReporter(source, here, publish), HeartbeatSender(source, here, publish)
    reporter.start()
    heartbeat.start()
    failed = True
    try:
        await _follow_groups(venue, kafka.bootstrap(here), feed)
        failed = False
    finally:
        await feed.close()
        # After a failure the reason is the news: what Kafka did not take meanwhile must not hide it.
        with suppress(DeliveryFailed) if failed else nullcontext():
            await asyncio.to_thread(_end, heartbeat, reporter, publisher)


def _end(heartbeat: HeartbeatSender, reporter: MetricReporter, publisher: Publisher) -> None:
    """Send the last metrics and wait until Kafka has everything; raises DeliveryFailed otherwise."""
    try:
        heartbeat.stop()
        reporter.stop()
    finally:
        publisher.close()


async def _follow_groups(venue: Venue, bootstrap: str, feed: Feed[Any]) -> None:
    """Run the feed on the groups' markets until a stop signal; raises what must end the process."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end(error: Exception | None = None) -> None:
        if not over.done():
            if error is None:
                over.set_result(None)
            else:
                over.set_exception(error)

    def begin() -> None:
        newest = newest_ns(bootstrap, f"book.{venue}")
        feed.tools.clocks.begin_after(newest)
        ahead_ns = newest - feed.tools.now()
        if ahead_ns > 0:
            logs.get(venue=venue).warning("the clock is behind the newest book: epochs go on from that", by_ns=ahead_ns)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    follower = GroupFollower(
        bootstrap,
        local_name("group", "us", HOME[venue]),
        lambda groups: _call(loop, feed.assign, markets_of(groups.values(), venue)),
        lambda error: _call(loop, end, error),
        prepare=begin,
    )
    running = asyncio.create_task(feed.run())
    running.add_done_callback(lambda task: end(None if task.cancelled() else _as_exception(task.exception())))
    follower.start()
    try:
        await over
    finally:
        await asyncio.to_thread(follower.stop)
        running.cancel()
        await asyncio.wait([running])
        feed.stop()


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *arguments)


def _as_exception(error: BaseException | None) -> Exception | None:
    return error if error is None or isinstance(error, Exception) else RuntimeError(repr(error))
