"""The copy of the core and its tests in which mutants are made and tested."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PLACE: Final = ROOT / "build" / "mutants"
MUTATED: Final = PLACE / "mutants"
"""Where mutmut works; its layout is that of PLACE."""
CORE: Final = Path("streams/core")
TESTS: Final = Path("tests/unit/streams/core")
CANARY: Final = "streams.core.canary."
CANARY_PATH: Final = CORE / "canary.py"
CANARY_SOURCE: Final = '''"""A function whose result nobody reads: its mutants change nothing."""


def canary() -> int:
    return 0
'''


def prepare(tests: Sequence[Path], *, fresh: bool) -> None:
    """Bring the copy up to date, and forget every verdict that no longer stands."""
    if fresh:
        shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    wanted = set(sources(tests))
    for folder in (PLACE, MUTATED):
        remove_others(folder, {*wanted, CANARY_PATH})
    for path in wanted:
        bring(path, (ROOT / path).read_bytes())
    bring(CANARY_PATH, CANARY_SOURCE.encode())
    forget(digest(path for path in wanted if path.parent != CORE))


def sources(tests: Sequence[Path]) -> Iterator[Path]:
    """Every file that the copy needs, relative to the root: with `tests`, only those test files of the core."""
    yield Path("pyproject.toml")
    yield Path("streams/__init__.py")
    for folder in (CORE, Path("schemas"), Path("tests")):
        for file in (ROOT / folder).rglob("*"):
            path = file.relative_to(ROOT)
            if file.is_dir() or "__pycache__" in path.parts:
                continue
            if not tests or path in tests or path.parent != TESTS or not path.name.startswith("test_"):
                yield path


def remove_others(folder: Path, wanted: set[Path]) -> None:
    """Remove copies of files that are no longer there, with the verdicts on them."""
    for top in ("streams", "schemas", "tests"):
        for file in (folder / top).rglob("*"):
            path = file.relative_to(folder)
            source = path.with_suffix("") if path.suffix in (".meta", ".spans") else path
            if file.is_file() and source not in wanted and "__pycache__" not in path.parts:
                file.unlink()


def bring(path: Path, content: bytes) -> None:
    """Write a file of the copy, but leave its time alone when it says the same: mutmut goes by the time."""
    target = PLACE / path
    if not target.exists() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 over files of the copy."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path).encode() + b"\0" + (PLACE / path).read_bytes() + b"\0")
    return total.hexdigest()


def forget(now: str) -> None:
    """When tests or schemas changed: measure anew which tests call what, and test every mutant again but the killed.

    mutmut itself forgets the verdicts on a function that changed. A kill stays a kill when only tests changed.
    """
    record = PLACE / "digest"
    before = record.read_text() if record.exists() else ""
    if before == now:
        return
    (MUTATED / "mutmut-stats.json").unlink(missing_ok=True)
    for file in MUTATED.rglob("*.meta"):
        meta = json.loads(file.read_text())
        verdicts = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {name: code if code == 1 else None for name, code in verdicts.items()}
        file.write_text(json.dumps(meta))
    record.write_text(now)
