"""What became of the mutants, and where the survivors are."""

import ast
import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.mutants.sandbox import CANARY, CORE, MUTATED

SURVIVED, KILLED = 0, 1
TIMEOUTS: Final = {-24}
"""A process ended by SIGXCPU: it took too much processor time, or too long."""
UNTESTED: Final = {5, 33}


@dataclass
class Verdicts:
    """Names of mutants by what became of them; `odd` has the exit codes of runs that ended in no known way."""

    killed: list[str] = field(default_factory=list)
    timeouts: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    untested: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    odd: dict[str, int] = field(default_factory=dict)
    canary_survived: bool = False

    @property
    def total(self) -> int:
        """All mutants but the canary's."""
        lists = (self.killed, self.timeouts, self.survived, self.untested, self.pending)
        return sum(map(len, lists)) + len(self.odd)

    @property
    def score(self) -> float:
        """Percentage of the mutants that a test noticed, by failing or by never ending."""
        return 100.0 * (len(self.killed) + len(self.timeouts)) / max(1, self.total)

    def add(self, name: str, code: int | None) -> None:
        """Enter a mutant with the exit code of the pytest run that tested it."""
        if code is None:
            self.pending.append(name)
        elif code == KILLED:
            self.killed.append(name)
        elif code in TIMEOUTS:
            self.timeouts.append(name)
        elif code == SURVIVED:
            self.survived.append(name)
        elif code in UNTESTED:
            self.untested.append(name)
        else:
            self.odd[name] = code


def read_verdicts(modules: Sequence[str]) -> Verdicts:
    """The verdicts on all mutants, or on those of some modules of the core."""
    verdicts = Verdicts()
    for file in sorted((MUTATED / CORE).glob("*.py.meta")):
        for name, code in json.loads(file.read_text())["exit_code_by_key"].items():
            if name.startswith(CANARY):
                verdicts.canary_survived = code == SURVIVED
            elif not modules or file.name.removesuffix(".py.meta") in modules:
                verdicts.add(name, code)
    return verdicts


def survivors(verdicts: Verdicts) -> Iterator[str]:
    """A table row per mutant that no test noticed, as `docs/mutants.md` has them, without the reason."""
    functions: dict[str, dict[str, list[str]]] = {}
    for name in [*verdicts.survived, *verdicts.untested]:
        module, _, mutant = name.rpartition(".")
        path = f"{module.replace('.', '/')}.py"
        if path not in functions:
            functions[path] = bodies((MUTATED / path).read_text())
        function = mutant.rpartition("__mutmut_")[0]
        old, new = changed(functions[path][f"{function}__mutmut_orig"], functions[path][mutant])
        shown = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        yield f"| `{Path(path).name}` | `{shown}` | `{cell(old)}` | `{cell(new)}` |"


def bodies(source: str) -> dict[str, list[str]]:
    """The lines of every function of a module, its name replaced so that mutants differ by their change alone."""
    lines = source.splitlines()
    return {
        node.name: [lines[node.lineno - 1].replace(node.name, "", 1), *lines[node.lineno : node.end_lineno]]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def changed(before: list[str], after: list[str]) -> tuple[str, str]:
    """The lines that differ, each side joined into one."""
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    spans = [span for span in matcher.get_opcodes() if span[0] != "equal"]
    old = [line.strip() for _, start, end, _, _ in spans for line in before[start:end]]
    new = [line.strip() for _, _, _, start, end in spans for line in after[start:end]]
    return " ".join(old), " ".join(new)


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return text.replace("|", "\\|")
