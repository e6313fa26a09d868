"""The supervisor with small real children: order, restarts, stops, and that nothing outlives it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from infra.local.bootstrap import ROOT
from infra.local.child import ChildSpec, NotReady, RestartBudget, Run
from infra.local.datadir import DataDir, DataDirUnusable, keep_small, last_lines, read_run, resident_bytes
from infra.local.supervise import ChildFailed, StopRequested, Supervisor

PATIENCE_S = 30.0


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-u", "-c", code)


SLEEPER = python("import time; time.sleep(600)")


def exists(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        await asyncio.sleep(0.01)


def says(file: Path, word: str) -> Callable[[], Awaitable[None]]:
    """Ready when the word is in the file."""

    async def probe() -> None:
        if not file.exists() or word not in file.read_text():
            raise NotReady(f"no {word!r} yet")

    return probe


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 2 * PATIENCE_S))


class TestRestartBudget:
    def test_waits_double_up_to_the_longest(self) -> None:
        budget = RestartBudget(limit=6, window_s=60, first_wait_s=0.5, longest_wait_s=3)
        assert [budget.death(float(second)) for second in range(6)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]

    def test_one_death_more_than_the_limit_within_the_window_is_too_many(self) -> None:
        budget = RestartBudget(limit=2, window_s=60)
        assert budget.death(0.0) is not None
        assert budget.death(30.0) is not None
        assert budget.death(59.9) is None

    def test_old_deaths_are_forgotten(self) -> None:
        budget = RestartBudget(limit=1, window_s=60, first_wait_s=0.25)
        assert budget.death(0.0) == 0.25
        assert budget.death(60.0) == 0.25


def test_children_start_after_those_they_need_and_stop_before_them(tmp_path: Path) -> None:
    story = tmp_path / "story"
    code = (
        "import signal, sys, time\n"
        "def tell(what): open(sys.argv[1], 'a').write(what + ' ' + sys.argv[2] + '\\n')\n"
        "def stop(*_): tell('stop'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); tell('start')\n"
        "while True: time.sleep(600)\n"
    )

    def spec(name: str, *after: str) -> ChildSpec:
        argv = (*python(code), str(story), name)
        return ChildSpec(name, argv, after=after, ready=says(story, f"start {name}"))

    async def scenario() -> None:
        async with Supervisor(tmp_path / "data", lambda line: None) as supervisor:
            await supervisor.start(spec("mirror", "broker"), spec("sink", "broker", "mirror"), spec("broker"))
            assert {record.state for record in supervisor.records.values()} == {"ready"}
        assert {record.state for record in supervisor.records.values()} == {"stopped"}

    run(scenario())
    assert story.read_text().split("\n")[:-1] == [
        *("start broker", "start mirror", "start sink"),
        *("stop sink", "stop mirror", "stop broker"),
    ]


def test_a_dead_child_is_started_again_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        said: list[str] = []
        async with Supervisor(tmp_path, said.append) as supervisor:
            await supervisor.start(ChildSpec("worker", SLEEPER))
            first = supervisor.records["worker"].pid
            supervisor.signal("worker", signal.SIGKILL)
            await until(
                lambda: (
                    supervisor.records["worker"].pid not in (None, first)
                    and supervisor.records["worker"].state == "ready"
                ),
                "second life",
            )
            assert supervisor.records["worker"].restarts == 1
            assert said == ["worker: ended with signal SIGKILL; starting it again in 0.2 s"]

    run(scenario())


def test_a_child_that_keeps_dying_fails_the_stack_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = "print(*range(1000), sep='\\n'); print('no such broker'); raise SystemExit(3)"

    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            spec = ChildSpec("sink", python(code), ready=says(tmp_path / "never", "x"), restart_limit=1)
            with pytest.raises(ChildFailed) as failure:
                await supervisor.start(ChildSpec("other", SLEEPER), spec)
            text = str(failure.value)
            assert text.startswith("sink ended with code 3 before it was ready, for the 2th time")
            assert text.endswith("no such broker")
            assert len(text.splitlines()) == 22
            assert supervisor.records["sink"].state == "failed"
            other = supervisor.records["other"].pid
            assert other is not None
        assert not exists(other)

    run(scenario())


def test_a_failure_while_the_stack_runs_reaches_who_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            await supervisor.start(ChildSpec("worker", SLEEPER, restart_limit=0))
            waiting = asyncio.create_task(supervisor.wait())
            supervisor.signal("worker", signal.SIGKILL)
            with pytest.raises(ChildFailed, match="worker ended with signal SIGKILL"):
                await waiting

    run(scenario())


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            spec = ChildSpec("broker", ("/no/such/java",), ready=says(tmp_path / "never", "x"), restart_limit=0)
            with pytest.raises(ChildFailed, match="/no/such/java: No such file or directory"):
                await supervisor.start(spec)

    run(scenario())


def test_a_child_not_ready_in_time_fails_with_the_probes_last_word(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            spec = ChildSpec("broker", SLEEPER, ready=says(tmp_path / "never", "hello"), ready_within_s=0.2)
            with pytest.raises(ChildFailed, match=r"broker was not ready within 0.2 s \(no 'hello' yet\)"):
                await supervisor.start(spec)
            assert supervisor.records["broker"].pid is None

    run(scenario())


def test_a_child_that_may_finish_is_not_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            await supervisor.start(ChildSpec("tape", python("pass"), may_finish=True))
            await until(lambda: supervisor.records["tape"].state == "finished", "finished")
            assert supervisor.records["tape"].restarts == 0

    run(scenario())


def test_finishing_one_child_leaves_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            await supervisor.start(ChildSpec("feed", SLEEPER), ChildSpec("sink", SLEEPER))
            await supervisor.finish("feed")
            assert supervisor.records["feed"].state == "finished"
            assert supervisor.records["feed"].pid is None
            assert supervisor.records["sink"].state == "ready"

    run(scenario())


def test_preparation_runs_before_and_its_failure_is_named(tmp_path: Path) -> None:
    async def good(run_command: Run) -> None:
        await run_command(python(f"open({str(tmp_path / 'made')!r}, 'w').write('x')"))

    async def bad(run_command: Run) -> None:
        await run_command(python("print('cannot format'); raise SystemExit(1)"))

    async def scenario() -> None:
        async with Supervisor(tmp_path / "data", lambda line: None) as supervisor:
            await supervisor.start(ChildSpec("good", SLEEPER, prepare=good, ready=says(tmp_path / "made", "x")))
            with pytest.raises(ChildFailed, match=r"bad its preparation .* ended with code 1[\s\S]*cannot format"):
                await supervisor.start(ChildSpec("bad", SLEEPER, prepare=bad))

    run(scenario())


def test_a_child_that_ignores_its_stop_signal_is_killed_and_so_is_what_it_started(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0: time.sleep(600)\n"
        "print('deaf', flush=True); time.sleep(600)"
    )

    async def scenario() -> None:
        said: list[str] = []
        async with Supervisor(tmp_path, said.append) as supervisor:
            spec = ChildSpec("deaf", python(code), ready=says(tmp_path / "logs/deaf.log", "deaf"), stop_within_s=0.2)
            await supervisor.start(spec)
            pid = supervisor.records["deaf"].pid
            assert pid is not None
            family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
            assert len(family) == 2
        assert said == ["deaf: did not stop within 0.2 s; killing it"]
        await until(lambda: not any(map(exists, family)), "family gone")

    run(scenario())


def test_a_stop_asked_for_while_starting_ends_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            supervisor.handle_signals()
            starting = asyncio.create_task(
                supervisor.start(ChildSpec("broker", SLEEPER, ready=says(tmp_path / "never", "x")))
            )
            await until(lambda: supervisor.records.get("broker") is not None, "registered")
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(StopRequested):
                await starting

    run(scenario())


def test_the_run_record_tells_pids_ports_and_commands_but_no_environment(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None, ports={"us-kafka": 19092}) as supervisor:
            await supervisor.start(ChildSpec("worker", SLEEPER, env={"SECRET": "hush"}))
            record = read_run(tmp_path)
            assert record["supervisor_pid"] == os.getpid()
            assert record["ports"] == {"us-kafka": 19092}
            assert record["children"]["worker"]["pid"] == supervisor.records["worker"].pid
            assert record["children"]["worker"]["argv"] == list(SLEEPER)
            assert "hush" not in json.dumps(record)
            await until(lambda: supervisor.records["worker"].peak_rss_bytes > 1_000_000, "memory measured")

    run(scenario())


def test_memory_counts_descendants() -> None:
    child = "x = bytearray(80_000_000); print(1, flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert resident_bytes([parent.pid])[parent.pid] > 80_000_000
        parent.communicate("\n")
    assert resident_bytes([parent.pid]) == {parent.pid: 0}


def test_a_data_folder_in_use_is_named_with_its_owner(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    folder.write_run({"supervisor_pid": 4711})
    with pytest.raises(DataDirUnusable, match=rf"{tmp_path} is in use by another stack \(process 4711\)"):
        DataDir(tmp_path)
    folder.close()
    DataDir(tmp_path).close()


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match=f"the data folder {tmp_path}/file/data cannot be written"):
        DataDir(tmp_path / "file" / "data")


def test_a_data_folder_that_fills_up_fails_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Supervisor(tmp_path, lambda line: None) as supervisor:
            await supervisor.start(ChildSpec("worker", SLEEPER))

            def full(self: DataDir, record: object) -> None:
                raise DataDirUnusable(f"{self.run_file} cannot be written: No space left on device")

            monkeypatch.setattr(DataDir, "write_run", full)
            supervisor.signal("worker", signal.SIGKILL)
            with pytest.raises(ChildFailed, match=r"run\.json cannot be written: No space left on device"):
                await supervisor.wait()

    run(scenario())


def test_a_grown_log_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        keep_small(log, limit=20)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "worker.log.1").read_bytes() == b"old\n" * 10


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(5000)))
    assert last_lines(tmp_path / "log", 2) == "line 4998\nline 4999"
    assert last_lines(tmp_path / "none") == ""


PARENT = """
import asyncio, sys
from pathlib import Path
from infra.local.child import ChildSpec
from infra.local.supervise import Supervisor
DEAF = (
    "import signal, time\\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\\n"
    "print('up', flush=True)\\ntime.sleep(600)"
)
async def main(folder):
    async with Supervisor(folder) as supervisor:
        supervisor.handle_signals()
        async def up(name):
            assert "up" in (folder / "logs" / f"{name}.log").read_text()
        specs = [
            ChildSpec(name, (sys.executable, "-c", DEAF), ready=lambda name=name: up(name), stop_within_s=0.2)
            for name in ("one", "two", "three")
        ]
        await supervisor.start(*specs)
        print(*(record.pid for record in supervisor.records.values()), flush=True)
        await supervisor.wait()
asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_the_supervisor_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(exists, pids))
        parent.send_signal(number)
        parent.wait(PATIENCE_S)
    wait_until(lambda: not any(map(exists, pids)), "children gone")
    assert parent.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    DataDir(tmp_path).close()  # the folder is free again
