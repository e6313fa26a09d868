"""Java's parts of the stack: exactly the jars of a lock file, each checked by its SHA-256.

`locks/kafka.txt` is Apache Kafka, Connect and MirrorMaker 2; `locks/msk.txt` is what a Java client needs to sign in to
Amazon MSK, which nothing on one machine does.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.obtain import LOCKS, PartFailed, Say, exclusive
from infra.local.parts import KAFKA_VERSION

DOWNLOADS_AT_ONCE = 6
ATTEMPTS = 3
GIVE_UP_AFTER = 5  # jars that failed: the rest would fail the same way


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: Maven coordinates and the SHA-256 of the file in lower-case hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        """The file's name in a Maven repository and in our folder."""
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"


# Brings one jar into a scratch folder and returns its path; raises anything on failure.
Fetch = Callable[[Jar, Path], Path]


def read_lock(file: Path) -> tuple[Jar, ...]:
    """The jars of a lock file. Any line that is not an entry is an error: an entry is never skipped."""
    jars = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        coordinates, _, sha256 = line.strip().partition(" ")
        names = coordinates.split(":")
        if len(names) not in (3, 4) or len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise PartFailed(
                f"{file}, line {number}: not `group:artifact:version sha256`: {line!r}", f"git checkout -- {file}"
            )
        jars.append(Jar(names[0], names[1], names[2], sha256, "".join(names[3:])))
    if not jars or len({jar.file_name for jar in jars}) != len(jars):
        raise PartFailed(f"{file} is empty or names a jar twice", f"git checkout -- {file}")
    return tuple(jars)


def obtain_kafka(cache: Path, say: Say, lock_file: Path = LOCKS / "kafka.txt", fetch: Fetch | None = None) -> Path:
    """The folder with exactly the jars of Kafka, Connect and MirrorMaker 2."""
    return obtain_jars(cache, f"kafka-{KAFKA_VERSION}", say, lock_file, fetch)


def obtain_msk(cache: Path, say: Say, lock_file: Path = LOCKS / "msk.txt", fetch: Fetch | None = None) -> Path:
    """The folder with the jar that signs in to Amazon MSK."""
    return obtain_jars(cache, "msk", say, lock_file, fetch)


def obtain_jars(cache: Path, name: str, say: Say, lock_file: Path, fetch: Fetch | None = None) -> Path:
    """The folder with exactly the locked jars. Jars that are there and right are kept, so a second run continues.

    The folder's name carries the lock's hash: clones with different locks share the cache undisturbed.
    """
    jars = read_lock(lock_file)
    key = hashlib.sha256("".join(sorted(jar.sha256 for jar in jars)).encode()).hexdigest()[:12]
    libs = cache / f"{name}-{key}" / "libs"
    with exclusive(cache / f"{name.partition('-')[0]}.lock", say):
        libs.mkdir(parents=True, exist_ok=True)
        for unfinished in libs.parent.glob("jars-*"):
            shutil.rmtree(unfinished)  # the scratch folder of a killed set-up
        for stray in set(libs.iterdir()) - {libs / jar.file_name for jar in jars}:
            stray.unlink()  # an interrupted copy, or a jar that would get onto the class path unlocked
        missing = [jar for jar in jars if sha256_of(libs / jar.file_name) != jar.sha256]
        if missing:
            fetch_all(missing, libs, len(jars), say, fetch or fetch_with_jgo)
        say(f"{len(jars)} jars, each as locked")
    return libs


def fetch_all(missing: list[Jar], libs: Path, total: int, say: Say, fetch: Fetch) -> None:
    """Bring the missing jars into `libs`, several at once. What came before a failure stays."""
    present = total - len(missing)
    failures: list[PartFailed] = []
    with (
        tempfile.TemporaryDirectory(prefix="jars-", dir=libs.parent) as scratch,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):
        for done in as_completed([pool.submit(place_jar, jar, libs, Path(scratch), fetch) for jar in missing]):
            try:
                done.result()
            except PartFailed as failure:
                failures.append(failure)
                if len(failures) == GIVE_UP_AFTER:
                    pool.shutdown(wait=False, cancel_futures=True)
                    break
                continue
            present += 1
            say(f"{present} of {total} jars")
    if failures:
        others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise PartFailed(f"{failures[0]}{others}", failures[0].advice)


def place_jar(jar: Jar, libs: Path, scratch: Path, fetch: Fetch) -> None:
    """Bring one jar, check it against the lock, and put it into `libs` in one step."""
    for attempt in range(1, ATTEMPTS + 1):
        folder = scratch / f"{jar.file_name}.{attempt}"
        try:
            found = fetch(jar, folder)
        except Exception as problem:  # whatever the download library raises
            if attempt == ATTEMPTS:
                raise PartFailed(
                    f"{jar.file_name} could not be downloaded: {problem}",
                    "check the network (or the repositories in jgo's own settings file) and the free space, "
                    "then run it again: the jars that came are kept",
                ) from problem
            continue
        actual = sha256_of(found)
        if actual == jar.sha256:
            found.replace(libs / jar.file_name)
            return
    raise PartFailed(
        f"{jar.file_name} has SHA-256 {actual} but {jar.sha256} is locked",
        "the repository (or a proxy before it) serves another file than the one this project was made with: "
        "do not use it; try another network, or review the change and run `make lock`",
    )


def fetch_with_jgo(jar: Jar, folder: Path) -> Path:
    """Take the jar from the user's local Maven repository when it is right there, else download it as jgo is set up."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    trust_as_pip_does()
    settings = GlobalSettings.load()
    local = MavenContext(repo_cache=settings.repo_cache)
    present = _component(local, jar).cached_path
    if present is not None and sha256_of(present) == jar.sha256:
        folder.mkdir(parents=True)
        return Path(shutil.copyfile(present, folder / jar.file_name))
    remote = {"central": MAVEN_CENTRAL_URL, **settings.repositories}
    context = MavenContext(repo_cache=folder, remote_repos=remote, timeout=60)
    return Path(_component(context, jar).resolve())


def _component(context: Any, jar: Jar) -> Any:
    """What jgo calls the artifact: the jar in one of the repositories that `context` knows."""
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact(classifier=jar.classifier)


def trust_as_pip_does() -> None:
    """Users behind a proxy with an authority of its own tell pip or OpenSSL; the download library looks elsewhere."""
    if "REQUESTS_CA_BUNDLE" not in os.environ and "CURL_CA_BUNDLE" not in os.environ:
        authority = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
        if authority:
            os.environ["REQUESTS_CA_BUNDLE"] = authority


def sha256_of(file: Path) -> str | None:
    """SHA-256 of a file in hexadecimal; None when there is no such file."""
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        return None
