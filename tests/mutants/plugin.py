"""The pytest plugin of the mutation run, loaded only there (see `[tool.mutmut]` in pyproject.toml).

It bounds every test in processor time, so that an endless loop costs seconds however busy the machine is; tells a
failed tool from a failed test; and calls the canary in every test.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

MUTANT = "MUTANT_UNDER_TEST"
TOOL_FAILED = 70
"""Exit code of a process that ended by an exception; Python's own is 1, which is pytest's for a failed test."""
DURATIONS = Path("mutmut-stats.json")
SLACK_S = 3.0
"""Processor time that any test may take beyond ten times what it took on the unmutated core."""
MEMORY_BYTES = 2 << 30
MOST_EXAMPLES = 50
"""Of a property: tests that ask for more get the first ones."""

took_s: dict[str, float] = {}


def under_test() -> bool:
    """Whether this process tests a mutant, and not the unmutated core (clean, measured, forced to fail)."""
    return "__mutmut_" in os.environ.get(MUTANT, "")


def pytest_configure() -> None:
    """The first run, which measures, is in the process of which those that test mutants are copies."""
    before = sys.excepthook

    def ended(*problem: object) -> None:
        if under_test():
            os._exit(TOOL_FAILED)
        before(*problem)  # type: ignore[arg-type]

    sys.excepthook = ended


def pytest_sessionstart() -> None:
    """Forget what earlier runs of this process cached, and bound it if it tests a mutant."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("streams.", "schemas.")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    if under_test():
        took_s.update(json.loads(DURATIONS.read_text())["duration_by_test"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bound the examples of a property; a state machine keeps its settings on its class."""
    test = getattr(item, "obj", None)
    for holder, name in (
        (getattr(test, "__func__", test), "_hypothesis_internal_use_settings"),
        (getattr(item, "cls", None), "settings"),
    ):
        asked = getattr(holder, name, None)
        if isinstance(asked, settings) and asked.max_examples > MOST_EXAMPLES:
            setattr(holder, name, settings(asked, max_examples=MOST_EXAMPLES))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Every test calls the canary, whose mutants change nothing: they must survive all tests."""
    if os.environ.get(MUTANT) != "fail":
        importlib.import_module("streams.core.canary").canary()
    if under_test():
        limit_processor_time(took_s.get(item.nodeid, 0.0))
    yield


def limit_processor_time(took: float) -> None:
    """Let SIGXCPU end the process when the test takes much longer than on the unmutated core."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(time.process_time() + 10 * took + SLACK_S)
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
