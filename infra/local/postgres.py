"""PostgreSQL of the local stack. It refuses to run as root, so for root it runs as an unprivileged user."""

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.child import ChildSpec, Run, attempt
from infra.local.parts import Parts

USER = "dutchbook"
DATABASE = "dutchbook"
UNPRIVILEGED = "nobody"
PASSWORD_FILE = "postgres.password"  # noqa: S105 - a file name

# Loopback TCP only: a socket file's path has a length limit that a data folder may pass. Durability stays on.
SETTINGS = """listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 50
shared_buffers = 64MB
max_wal_size = 512MB
jit = off
log_min_messages = warning
"""


def unprivileged_user() -> tuple[int, int] | None:
    """(uid, gid) PostgreSQL runs as: None for an ordinary user, who runs it himself."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return entry.pw_uid, entry.pw_gid


def can_reach(user: tuple[int, int], command: list[str]) -> bool:
    """Whether the user can run this command, that is, pass every folder above it. No folder's mode is ever changed."""
    try:
        done = subprocess.run(
            command, user=user[0], group=user[1], extra_groups=[], cwd="/", capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def own_folder_in_temp(name: str) -> Path:
    """A folder of root's in the system's temporary folder that others can pass but not write to."""
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o755, exist_ok=True)
    state = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise PermissionError(1, "exists and is not ours alone; remove it", str(folder))
    return folder


def reachable_programs(bin_folder: Path, user: tuple[int, int] | None, say: Callable[[str], None]) -> Path:
    """The folder of PostgreSQL's programs, or of a copy where the user cannot reach the installed one."""
    if user is None or can_reach(user, [str(bin_folder / "postgres"), "--version"]):
        return bin_folder
    key = hashlib.sha256(str(bin_folder).encode()).hexdigest()[:12]
    copy = own_folder_in_temp(f"dutchbook-postgres-{key}") / "install"
    package = bin_folder.parent.parent
    programs = copy / package.name / bin_folder.parent.name / "bin"
    if not can_reach(user, [str(programs / "postgres"), "--version"]):
        say(f"postgres: {UNPRIVILEGED} cannot reach {bin_folder}; copying it to {copy}")
        copy_package(package, bin_folder.parent.name, copy)
    return programs


def copy_package(package: Path, installation: str, copy: Path) -> None:
    """Copy the wheel's installation and the shared libraries beside it, which its programs find by relative path."""
    fresh = copy.with_name(f"install.{os.getpid()}")
    for part in (Path(package.name) / installation, Path(f"{package.name}.libs")):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, fresh / part, symlinks=True)
    for folder in (fresh, fresh / package.name):
        folder.chmod(0o755)
    shutil.rmtree(copy, ignore_errors=True)
    fresh.rename(copy)


def reachable_data(wanted: Path, user: tuple[int, int] | None, say: Callable[[str], None]) -> Path:
    """The folder for the database: the wanted one, or one in the temporary folder where the user cannot reach it."""
    if user is None or can_reach(user, ["/bin/sh", "-c", 'cd -- "$0"', str(wanted.parent)]):
        folder = wanted
    else:
        key = hashlib.sha256(str(wanted).encode()).hexdigest()[:12]
        folder = own_folder_in_temp(f"dutchbook-data-{key}") / wanted.name
        say(f"postgres: {UNPRIVILEGED} cannot reach {wanted.parent}; the database lies in {folder}")
        if not (wanted.parent / PASSWORD_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier data folder of this name, since removed
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(folder, *user)
    return folder


def password(data_dir: Path) -> str:
    """The database user's password: made once per data folder and readable by its owner only."""
    file = data_dir / PASSWORD_FILE
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.replace(file)
    return file.read_text().strip()


def postgres_dsn(data_dir: Path, ports: Mapping[str, int]) -> str:
    """The address clients connect to. It holds the password: give it to children in their environment only."""
    return f"postgresql://{USER}:{password(data_dir)}@127.0.0.1:{ports['postgres']}/{DATABASE}"


def postgres(parts: Parts, data_dir: Path, ports: Mapping[str, int], say: Callable[[str], None] = print) -> ChildSpec:
    """PostgreSQL 18. Ready when the database `dutchbook` exists and takes connections."""
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    user = unprivileged_user()
    folder = reachable_data(data_dir / "postgres", user, say)
    programs = reachable_programs(parts.postgres_bin, user, say)
    cluster = folder / "cluster"
    secret = password(data_dir)

    async def prepare(run: Run) -> None:
        if not (cluster / "PG_VERSION").exists():
            await initialise(run, programs, folder, cluster, secret, user)
        settings = folder / "postgresql.conf"
        settings.write_text(SETTINGS.format(port=ports["postgres"]))
        settings.chmod(0o644)

    def probe() -> None:
        import psycopg

        address = f"postgresql://{USER}:{secret}@127.0.0.1:{ports['postgres']}/postgres?connect_timeout=2"
        with psycopg.connect(address, autocommit=True) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(f"create database {DATABASE}")

    return ChildSpec(
        name="postgres",
        argv=(str(programs / "postgres"), "-D", str(cluster), "-c", f"config_file={folder / 'postgresql.conf'}"),
        cwd=folder,
        prepare=prepare,
        ready=attempt(probe),
        ready_within_s=60,
        # "Fast shutdown" (PostgreSQL documentation, "Shutting Down the Server"); SIGTERM would wait for clients.
        stop_signal=signal.SIGINT,
        stop_within_s=15,
        user=user,
    )


async def initialise(
    run: Run, programs: Path, folder: Path, cluster: Path, secret: str, user: tuple[int, int] | None
) -> None:
    """Make the database cluster beside its place and move it there when it is whole: a killed one is begun again."""
    fresh = folder / "cluster.new"
    shutil.rmtree(fresh, ignore_errors=True)
    word = folder / "initdb.password"
    word.touch(mode=0o600)
    word.write_text(secret)
    if user is not None:
        os.chown(word, *user)
    try:
        options = [
            "--username",
            USER,
            "--pwfile",
            str(word),
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--no-locale",
        ]
        await run([str(programs / "initdb"), "-D", str(fresh), "--no-sync", *options])
    finally:
        word.unlink()
    fresh.rename(cluster)
