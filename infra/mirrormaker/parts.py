"""Where Java and its jars are: named by the environment (in an image), else where the set-up of this machine put them.

`DUTCHBOOK_KAFKA_LIBS` is a folder with every jar that is locked in `infra/local/locks` (`kafka.txt`, and for Amazon MSK
`msk.txt`); Java is then that of `JAVA_HOME` or `PATH`.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from infra.local.parts import PartMissing, cache_folder, find_parts
from infra.local.services import Java

LIBS_VARIABLE: Final = "DUTCHBOOK_KAFKA_LIBS"


def find_java(*, iam: bool) -> Java:
    """A Java that can run MirrorMaker, and sign in to Amazon MSK with `iam`; PartMissing says what is not there."""
    named = os.environ.get(LIBS_VARIABLE)
    if named:
        libs = Path(named)
        _require(libs, "connect-mirror")
        if iam:
            _require(libs, "aws-msk-iam-auth")
        return Java(_java(), libs, full_compiler=True)
    parts = find_parts()
    return Java(parts.java, parts.kafka_libs, full_compiler=True, more_libs=(_obtain_msk(),) if iam else ())


def _require(libs: Path, artifact: str) -> None:
    if not list(libs.glob(f"{artifact}-*.jar")):
        raise PartMissing(f"{LIBS_VARIABLE}: {libs} has no {artifact}-*.jar")


def _java() -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise PartMissing(f"there is no Java in {f'JAVA_HOME ({home})' if home else 'PATH'}")
    return Path(found)


def _obtain_msk() -> Path:
    """The folder with the jar for Amazon MSK, brought when it is asked for: nothing on one machine needs it."""
    from infra.local.obtain import PartFailed, prepare_cache
    from infra.local.obtain_kafka import obtain_msk

    cache = cache_folder()
    try:
        prepare_cache(cache)
        return obtain_msk(cache, lambda _line: None)
    except PartFailed as failure:
        raise PartMissing(f"{failure}: {failure.advice}") from failure
