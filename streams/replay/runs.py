"""Runs: what a replay says of itself, and the topics and groups that are its own."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime.kafka import KafkaUnavailable, admin_client, read_whole
from schemas.runs import MANIFEST, group_of, run_of, run_prefixes, run_topic
from schemas.topics import HOME

GROUPS: Final = ("dutchbook-detector", "dutchbook-executor", *(f"dutchbook-gateway.{venue}" for venue in HOME))
"""The consumer groups of a run, by their live names."""
DELETED_WITHIN_S: Final = 30.0


class UnknownRun(ValueError):
    """There is no run of this name; the message names those that there are."""


class RunExists(ValueError):
    """A run of this name is there already."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is. `state` is publishing, published or failed; `entries` counts per partition of the detector what
    was published for it, `lead_in` those of them from before `from_ns`.

    `from_ns` and `to_ns` are as asked for (0: open), `first_ns` and `last_ns` the stamps of the first and last input of
    the stretch itself. `last` is each partition's last entry: its journal epoch and position.
    """

    run: str
    state: str
    created_ns: int
    updated_ns: int
    from_ns: int
    to_ns: int
    groups: tuple[str, ...]
    speed: str
    cold: bool
    first_ns: int = 0
    last_ns: int = 0
    entries: dict[int, int] = {}
    last: dict[int, tuple[int, int]] = {}
    lead_in: int = 0
    records: dict[str, int] = {}
    reason: str = ""


def runs(bootstrap: str) -> list[Manifest]:
    """Every run of the cluster, the newest first."""
    names = [run for topic in _topics(bootstrap) if (run := run_of(topic)) is not None]
    found = [manifest for name in names if (manifest := _newest(bootstrap, name)) is not None]
    return sorted(found, key=lambda manifest: -manifest.created_ns)


def require_run(bootstrap: str, run: str) -> Manifest:
    """The manifest of a run; raises UnknownRun."""
    if run_topic(run, MANIFEST) in _topics(bootstrap):
        found = _newest(bootstrap, run)
        if found is not None:
            return found
    names = ", ".join(manifest.run for manifest in runs(bootstrap)) or "none"
    raise UnknownRun(f"there is no run {run!r}; runs: {names}")


def _newest(bootstrap: str, run: str) -> Manifest | None:
    newest = None
    for message in read_whole(bootstrap, [run_topic(run, MANIFEST)]):
        newest = msgspec.json.decode(message.value() or b"{}", type=Manifest)
    return newest


def topics_of(bootstrap: str, run: str) -> list[str]:
    """Every topic of a run that exists."""
    prefixes = run_prefixes(run)
    return sorted(topic for topic in _topics(bootstrap) if topic.startswith(prefixes))


def remove(bootstrap: str, run: str) -> list[str]:
    """Delete all topics and consumer groups of a run; returns the topics. Raises UnknownRun, KafkaUnavailable."""
    names = topics_of(bootstrap, run)
    if not names:
        require_run(bootstrap, run)
    admin = admin_client(bootstrap)
    for name, future in admin.delete_topics(names, operation_timeout=DELETED_WITHIN_S).items():
        try:
            future.result(timeout=2 * DELETED_WITHIN_S)
        except KafkaException as error:
            raise KafkaUnavailable(f"topic {name} could not be deleted: {error.args[0].str()}") from error
    _delete_groups(admin, [group_of(base, run) for base in GROUPS])
    _until_gone(bootstrap, run)
    return names


def _delete_groups(admin: AdminClient, groups: Sequence[str]) -> None:
    """A group that never was, or that a worker still is in, is left: without its topics it does nothing."""
    for future in admin.delete_consumer_groups(list(groups)).values():
        try:
            future.result(timeout=DELETED_WITHIN_S)
        except KafkaException:
            continue


def _until_gone(bootstrap: str, run: str) -> None:
    deadline = time.monotonic() + DELETED_WITHIN_S
    while topics_of(bootstrap, run):
        if time.monotonic() > deadline:
            raise KafkaUnavailable(f"the topics of run {run} are still there after {DELETED_WITHIN_S:g} s")
        time.sleep(0.1)


def _topics(bootstrap: str) -> Iterator[str]:
    try:
        yield from admin_client(bootstrap).list_topics(timeout=10).topics
    except KafkaException as error:
        raise KafkaUnavailable(f"cluster did not answer: {error.args[0].str()}") from error
