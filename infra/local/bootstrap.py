"""First step of `make setup`: the virtual environment and everything in it, with nothing but the standard library.

Run by whatever Python the machine has. Finished work is recorded in `.venv/setup.json` under the hash of what it was
made from (lock files, project file, place of the clone), so a second run looks at a few small files and returns.
The foreign parts (Java, Kafka, InfluxDB, Postgres) come after, from `infra.local.install` inside the environment.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "infra" / "local" / "locks"
VENV = ROOT / ".venv"
STAMP = VENV / "setup.json"
PARTS = VENV / "parts.json"
QUIET_PIP = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]


class SetupFailed(Exception):
    """Set-up cannot go on; the text says which part failed and what to do."""


def main() -> int:
    """Bring the clone to the state its lock files describe; 0 when it is there."""
    parser = argparse.ArgumentParser(prog="make setup", description="Fetch and build every part of dutchbook.")
    parser.add_argument("--dev", action="store_true", help="also the tools for `make test` and `make check`")
    parser.add_argument("--clean-cache", action="store_true", help="remove the parts shared by all clones of this user")
    options = parser.parse_args()
    try:
        check_python()
        if options.clean_cache:
            clean_cache()
            return 0
        wanted = wanted_state(options.dev)
        if is_done(wanted):
            return 0
        return install_everything(wanted)
    except SetupFailed as problem:
        print("setup: {}".format(problem), file=sys.stderr)  # noqa: UP032 - this line must run on an old Python
        return 1
    except OSError as problem:
        print(f"setup: {problem.filename or ROOT}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next run continues", file=sys.stderr)
        return 130


def check_python() -> None:
    """Go on under a newer Python when this one is too old and a newer one is installed beside it."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in ("python3.13", "python3.12", "python3.11", "python3.14"):
        newer = shutil.which(name)
        if newer and subprocess.call([newer, "-c", "pass"], stderr=subprocess.DEVNULL) == 0:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 - no shell is wanted
    raise SetupFailed(
        "Python {}.{} or newer is needed and this is {}.{}; install one, "
        "or name it: make PYTHON=/path/to/python3 setup".format(*OLDEST_PYTHON, *sys.version_info[:2])
    )


def wanted_state(dev: bool) -> "dict[str, str]":
    """What the finished environment is made from. `dev` is only there when asked for or already installed."""
    state = {
        "place": str(VENV),
        "python": "{}.{}".format(*sys.version_info[:2]),
        "project": digest(ROOT / "pyproject.toml"),
        "runtime": digest(LOCKS / "runtime.txt"),
        "parts": digest(LOCKS / "kafka.txt", LOCKS / "java.txt", LOCKS / "go.txt"),
    }
    if dev:
        state["dev"] = digest(LOCKS / "dev.txt")
    return state


def digest(*files: Path) -> str:
    """SHA-256 over the files' contents; a missing lock file is an error that names it."""
    total = hashlib.sha256()
    for file in files:
        try:
            total.update(file.read_bytes() + b"\0")
        except FileNotFoundError:
            raise SetupFailed(f"{file} is missing: the clone is incomplete, try `git checkout -- {file}`") from None
    return total.hexdigest()


def read_json(file: Path) -> "dict[str, str]":
    """The object in the file; empty when there is none or it is damaged (the work is then simply done again)."""
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def is_done(wanted: "dict[str, str]") -> bool:
    """Whether everything wanted is recorded as done and still there."""
    done = read_json(STAMP)
    parts = read_json(PARTS)
    return (
        all(done.get(name) == value for name, value in wanted.items())
        and (VENV / "bin" / "dutchbook").exists()
        and len(parts) > 0
        and all(Path(path).exists() for path in parts.values())
    )


def install_everything(wanted: "dict[str, str]") -> int:
    """All steps that are not done yet, each recorded as soon as it is; one set-up at a time per clone."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up of this clone is running; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_done(wanted):
            return 0
        start = time.monotonic()
        ensure_venv(wanted)
        done = read_json(STAMP)
        python = str(VENV / "bin" / "python")
        if done.get("runtime") != wanted["runtime"]:
            pip_install("python packages", "-r", str(LOCKS / "runtime.txt"), "--require-hashes")
            record(runtime=wanted["runtime"])
        if "dev" in wanted and done.get("dev") != wanted["dev"]:
            pip_install("test tools", "-r", str(LOCKS / "dev.txt"), "--require-hashes")
            record(dev=wanted["dev"])
        if done.get("project") != wanted["project"] or not (VENV / "bin" / "dutchbook").exists():
            pip_install(
                "dutchbook itself",
                "--no-deps",
                "--no-build-isolation",
                "--config-settings",
                "editable_mode=compat",
                "-e",
                str(ROOT),
            )
            record(project=wanted["project"])
        outcome = subprocess.call([python, "-m", "infra.local.install"], cwd=ROOT)
        if outcome == 0:
            record(parts=wanted["parts"])
            print(f"setup: done in {time.monotonic() - start:.0f} s", flush=True)
        return outcome


def ensure_venv(wanted: "dict[str, str]") -> None:
    """A virtual environment that works, made for this place and this Python; a half-made or moved one is made again."""
    done = read_json(STAMP)
    python = VENV / "bin" / "python"
    moved = bool(done) and (done.get("place") != wanted["place"] or done.get("python") != wanted["python"])
    if (
        not moved
        and python.exists()
        and subprocess.call([str(python), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    ):
        record(place=wanted["place"], python=wanted["python"])
        return
    print(f"setup: making {VENV} with Python {wanted['python']}", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        venv_with_foreign_pip(made.stdout + made.stderr)
    record(place=wanted["place"], python=wanted["python"])


def venv_with_foreign_pip(reason: str) -> None:
    """Some distributions split `ensurepip` off. Where the machine has a pip of its own, it can fill the environment."""
    bare = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]
    fill = [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "install", "-q", *QUIET_PIP, "pip"]
    for command in (bare, fill):
        step = subprocess.run(command, capture_output=True, text=True, check=False)
        if step.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SetupFailed(
                f"{sys.executable} cannot make a virtual environment at {VENV}:\n{reason.strip()}\n"
                f"{step.stderr.strip()}\n"
                "Install your distribution's venv package (for example python3-venv) or free space, then run it again."
            )


def pip_install(what: str, *arguments: str) -> None:
    """`pip install` in the environment, saying what it is at; the whole of pip's output only when it fails."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", *QUIET_PIP, *arguments]
    start = time.monotonic()
    lines = []
    shown = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as pip:
        for line in pip.stdout or ():
            lines.append(line)
            elapsed = time.monotonic() - start
            if elapsed >= shown + 2:
                print(f"  {what:<18} {elapsed:4.0f} s  {line.split(' (from ')[0].strip()[:90]}", flush=True)
                shown = elapsed
    if pip.returncode != 0:
        sys.stderr.writelines(lines[-40:])
        raise SetupFailed(
            f"{what}: pip failed with code {pip.returncode} (its last lines are above). "
            "Check the network and the free space, then run it again: what is already installed is kept."
        )
    print(f"  {what:<18} {time.monotonic() - start:4.0f} s  installed", flush=True)


def record(**steps: str) -> None:
    """Add finished steps to the stamp, replacing it in one step."""
    fresh = STAMP.with_suffix(".json.new")
    fresh.write_text(json.dumps({**read_json(STAMP), **steps}, indent=2) + "\n")
    fresh.replace(STAMP)


def clean_cache() -> None:
    """Remove the shared cache folder (see `infra.local.parts.cache_folder` for where it is)."""
    sys.path.insert(0, str(ROOT))
    from infra.local.parts import cache_folder

    folder = cache_folder()
    if folder.exists():
        shutil.rmtree(folder)
    print(f"removed {folder}")


if __name__ == "__main__":
    sys.exit(main())
