"""``python -m infra.docker.parts FOLDER``: Java and Kafka's jars for the image `mirrormaker`, by the set-up's own code.

Afterwards `FOLDER/java/bin/java` and, in `FOLDER/kafka/libs`, the jars of Kafka and the one that signs in to Amazon MSK
are there, and nothing else that was downloaded.
"""

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from infra.local.install import Progress, obtain_java, run_step
from infra.local.obtain import PartFailed
from infra.local.obtain_kafka import obtain_kafka, obtain_msk


def obtain(folder: Path) -> None:
    """Bring both parts into the folder; PartFailed says which could not be obtained, and what to do."""
    progress = Progress()
    with tempfile.TemporaryDirectory() as cache:
        for part, jars in (("kafka", obtain_kafka), ("msk", obtain_msk)):
            found = run_step(part, partial(jars, Path(cache)), progress)
            shutil.copytree(found, folder / "kafka" / "libs", dirs_exist_ok=True)
    java = run_step("java", obtain_java, progress)
    shutil.copytree(java.parents[1], folder / "java", symlinks=True)


def main(arguments: list[str]) -> int:
    """Obtain the parts; 1, with the failure and its advice, when one is missing."""
    try:
        obtain(Path(arguments[0]))
    except PartFailed as failure:
        print(f"parts: {failure}\n  what to do: {failure.advice}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
