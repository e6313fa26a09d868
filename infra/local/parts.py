"""The foreign programs the stack is made of, and where the set-up put them.

`infra.local.install` writes their paths to `parts.json` in the virtual environment; `find_parts` reads it back.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

KAFKA_VERSION = "4.3.0"
INFLUXD_VERSION = "1.8.10"


@dataclass(frozen=True, slots=True)
class Parts:
    """Absolute paths of the foreign programs.

    java: the `java` program (17 or newer); kafka_libs: folder of the Kafka, Connect and MirrorMaker 2 jars;
    influxd: the InfluxDB 1.8 server program; postgres_bin: folder with `initdb` and `postgres`.
    """

    java: Path
    kafka_libs: Path
    influxd: Path
    postgres_bin: Path


class PartMissing(Exception):
    """A part was never installed or has been removed since."""


def parts_file() -> Path:
    """Where the set-up records the parts: beside the interpreter that runs, so each clone has its own record."""
    return Path(sys.prefix) / "parts.json"


def cache_folder() -> Path:
    """The folder all clones of a user share: `$DUTCHBOOK_CACHE`, `$XDG_CACHE_HOME/dutchbook`, `~/.cache/dutchbook`."""
    own = os.environ.get("DUTCHBOOK_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "dutchbook"


def write_parts(parts: Parts, file: Path | None = None) -> None:
    """Record the parts, replacing an older record in one step."""
    target = file or parts_file()
    fresh = target.with_suffix(".json.new")
    fresh.write_text(json.dumps({name: str(path) for name, path in asdict(parts).items()}, indent=2) + "\n")
    fresh.replace(target)


def find_parts(file: Path | None = None) -> Parts:
    """The installed parts; `PartMissing` names the first one that is not there and says what to run."""
    source = file or parts_file()
    try:
        record = json.loads(source.read_text())
        paths = {field.name: Path(record[field.name]) for field in fields(Parts)}
    except FileNotFoundError:
        raise PartMissing(f"the parts are not installed ({source} is missing): run `make setup`") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise PartMissing(f"{source} is not a record of parts ({problem!r}): run `make setup`") from None
    for name, path in paths.items():
        if not path.exists():
            raise PartMissing(f"{name} is no longer at {path}: run `make setup`")
    return Parts(**paths)
