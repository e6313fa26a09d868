from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.simulator.tape import Tape
from tests.fidelity.harness import small_tape


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tape]:
    folder: Path = tmp_path_factory.mktemp("catalogue")
    yield small_tape(folder)
