"""The topics of a replay run: `replay.<run>.<origin>`, in the us cluster only.

An origin is the name of a topic as the us cluster knows it. A cluster alias in it is no dotted segment of its own:
MirrorMaker walks the segments of a name. The empty run is no run: its topics are the live ones.
"""

import json
import re
from typing import Final

from schemas.records import Region
from schemas.topics import REGIONS, TOPICS, Creation, creations, dead_letter_name, local_name

PREFIX: Final = "replay"
RUN_HOME: Final[Region] = "us"
"""Where all topics of every run are, and so all of its workers."""
RUN_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
MANIFEST: Final = "run"
"""Origin of the topic in which a run says of itself what it is: one record each time that something of it changes."""
WHOLE: Final = frozenset({"published", "failed"})
"""The states of a run whose inputs are all there that will ever be."""
EARLIER: Final = "earlier"
"""Origin of the topic with the opportunities that were known before the stretch began."""

INPUTS: Final = tuple(
    local_name(name, home, "us")
    for name, topic in TOPICS.items()
    for home in topic.homes
    if name.partition(".")[0] in {"book", "market", "group", "control"}
)
"""Origins of what is re-published."""

NOT_OF_A_RUN: Final = ("raw.", "trade.", "eu.trade.", "eu.alert", "eu.heartbeat", "eu.metric", "deadletter.")


class RunNameError(ValueError):
    """A run cannot have this name; the message says why."""


def check_run_name(run: str) -> str:
    """The name itself; raises RunNameError."""
    if RUN_NAME.fullmatch(run) is None:
        raise RunNameError(f"{run!r} is no name of a run: lower-case letters, digits and inner hyphens, at most 48")
    if run in REGIONS:
        raise RunNameError(f"{run!r} is no name of a run: it is the alias of a cluster")
    return run


def run_topic(run: str, origin: str) -> str:
    """The topic of a run that stands for `origin`; without a run, `origin` itself."""
    if not run:
        return origin
    for region in REGIONS:
        if origin.startswith(f"{region}."):
            return f"{PREFIX}.{run}.{region}-{origin[len(region) + 1 :]}"
    return f"{PREFIX}.{run}.{origin}"


def group_of(base: str, run: str) -> str:
    """The name of a consumer group in a run; without a run, `base` itself."""
    return f"{base}.{run}" if run else base


def is_whole(manifest: bytes) -> bool:
    """Whether a record of a run's manifest says that nothing more of its inputs will be published."""
    try:
        content = json.loads(manifest)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("state") in WHOLE


def run_prefixes(run: str) -> tuple[str, str]:
    """What the names of all topics of a run begin with: its own, and its dead letters'."""
    return f"{PREFIX}.{run}.", dead_letter_name(f"{PREFIX}.{run}.")


def run_of(topic: str) -> str | None:
    """The run whose manifest this topic is; None when it is something else."""
    found = re.fullmatch(rf"{PREFIX}\.({RUN_NAME.pattern})\.{MANIFEST}", topic)
    return None if found is None else found[1]


def run_creations(run: str) -> list[Creation]:
    """Every topic of a run: partitioned as its origin, kept until the run is removed."""
    kept = {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "CreateTime"}
    origins = {
        creation.name: creation.partitions for creation in creations("us") if not creation.name.startswith(NOT_OF_A_RUN)
    }
    plan = [Creation(run_topic(run, name), partitions, kept) for name, partitions in origins.items()]
    plan += [Creation(dead_letter_name(run_topic(run, name)), 1, kept) for name in origins]
    plan += [Creation(run_topic(run, name), 1, kept) for name in (MANIFEST, EARLIER)]
    return sorted(plan, key=lambda creation: creation.name)
