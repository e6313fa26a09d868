"""Break the core on purpose, one change at a time, and see whether its tests notice.

The core, its tests and `schemas/` are copied to `build/mutants`, where mutmut writes every mutant of every function
beside the original and has each tested by the tests that call that function, quickest first. What was decided is kept:
a run that was stopped goes on, and a later one tests only what changed (see `sandbox.forget`).

Exit codes: 0 when at least WANTED percent of the mutants were killed, 1 when fewer, 2 when the run proves nothing.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutants.report import Verdicts, read_verdicts, survivors
from tests.mutants.sandbox import CANARY, CORE, PLACE, ROOT, TESTS, prepare

WANTED: Final = 95.0
TOOL: Final = ROOT / "build" / "mutmut"
"""Where `make mutants` installs mutmut and what it needs."""
SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHOWN_EVERY_S: Final = 15.0
KNOWN: Final = "docs/mutants.md"
"""Survivors that change nothing one can see, each with its reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and print the score and the survivors."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="only the mutants of these files, every one anew")
    parser.add_argument("--tests", nargs="*", type=Path, default=[], help="only these test files (for a quick look)")
    parser.add_argument("--fresh", action="store_true", help="forget all earlier verdicts")
    options = parser.parse_args(arguments)
    for file, folder in [*((file, CORE) for file in options.files), *((file, TESTS) for file in options.tests)]:
        if file.parent != folder or not (ROOT / file).is_file():
            parser.error(f"not a file of {folder}: {file}")
    prepare(options.tests, fresh=options.fresh)
    patterns = [f"streams.core.{file.stem}.*" for file in options.files]
    try:
        code = run_mutmut([*patterns, f"{CANARY}*"] if patterns else [])
    except KeyboardInterrupt:
        print("mutants: interrupted; the next run goes on")
        return 130
    if code != 0:
        print("mutants: the run failed: the unmutated core must pass its tests first (see above)")
        return 2
    return judge(read_verdicts([file.stem for file in options.files]))


def run_mutmut(patterns: Sequence[str]) -> int:
    """Test the mutants that the patterns name, by default those without a verdict; the exit code of mutmut.

    Shows what mutmut says, its spinner and its counts only now and then.
    """
    command = [sys.executable, str(TOOL / "bin" / "mutmut"), "run", *patterns]
    environment = {**os.environ, "PYTHONPATH": str(TOOL), "PYTHONUNBUFFERED": "1"}
    shown = 0.0
    with subprocess.Popen(command, cwd=PLACE, env=environment, stdout=subprocess.PIPE, text=True) as mutmut:
        for line in mutmut.stdout or ():
            if line.startswith("Mutant results"):
                break
            passing = line[:1] in SPINNER
            if line.strip() and (not passing or time.monotonic() >= shown + SHOWN_EVERY_S):
                print(line.rstrip(), flush=True)
                shown = time.monotonic() if passing else shown
        mutmut.communicate()
    return mutmut.returncode


def judge(verdicts: Verdicts) -> int:
    """Print the survivors, the verdicts and the score; the exit code that they deserve."""
    known = (ROOT / KNOWN).read_text() if (ROOT / KNOWN).exists() else ""
    rows = [row for row in survivors(verdicts) if row not in known]
    for row in rows:
        print(row)
    for name, code in verdicts.odd.items():
        print(f"mutants: no verdict: {name} ended with {code}")
    print(
        f"mutants: {verdicts.total} mutants: {len(verdicts.killed)} killed, {len(verdicts.timeouts)} timeouts, "
        f"{len(verdicts.survived)} survived, {len(verdicts.untested)} that no test calls, "
        f"{len(verdicts.odd)} without a verdict, {len(verdicts.pending)} not tested yet; "
        f"{len(rows)} not in {KNOWN}"
    )
    if not verdicts.canary_survived:
        print("mutants: the canary, which changes nothing, did not survive: these figures prove nothing")
        return 2
    print(f"mutants: score {verdicts.score:.1f} %, at least {WANTED:.0f} % wanted")
    return 0 if verdicts.score >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
