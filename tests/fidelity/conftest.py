from pathlib import Path

import pytest

from infra.simulator.tape import Tape
from tests.fidelity.harness import small_tape


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    folder: Path = tmp_path_factory.mktemp("catalogue")
    return small_tape(folder)
