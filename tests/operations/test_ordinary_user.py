"""A user who is not root finds what `make up` started, though Airflow's workers hide their environment from that user.

Root sees all, so tests that run as root start both, the stack's stand-in and who looks for it, as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from pipeline.operations.scheduler_guard import SCHEDULER
from pipeline.operations.servers import PROGRAM, STACK
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hides what Airflow hides")
ROOT = Path(__file__).resolve().parents[2]


class Stack(NamedTuple):
    """A stand-in for a stack: a scheduler under supervisord, with one worker."""

    var: str
    supervisord: psutil.Popen
    scheduler: psutil.Process
    worker: psutil.Process

    def first_task(self) -> psutil.Process:
        """Have the worker take a task, and return the process of the task: both hide from now on."""
        self.supervisord.stdin.write(b"\n")
        self.supervisord.stdin.flush()
        (task,) = {int(self.supervisord.stdout.readline()) for _ in range(2)} - {self.worker.pid}
        return psutil.Process(task)


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Stack]:
    """Start one in a session of its own."""
    mark = {STACK: str(tmp_path), PROGRAM: "", "SPT_NOENV": "1"}
    words = [sys.executable, "-m", "tests.support.hiding", "supervisord"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with psutil.Popen(words, cwd=ROOT, env=os.environ | mark, start_new_session=True, **pipes) as boss:
        worker = psutil.Process(int(boss.stdout.readline()))
        yield Stack(str(tmp_path), boss, worker.parent(), worker)
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if os.getsid(pid) == boss.pid:
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def look(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run code that uses `guard` and `stack`, as the stand-in's user, for as long as the block lasts."""
    begin = "from pipeline import guard, stack; from tests.support import hiding; hiding.drop_root()"
    with subprocess.Popen([sys.executable, "-c", f"{begin}; {code}"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def seen(var: str, program: str | None = None) -> set[int]:
    """Return the pids of the members that this user sees."""
    with look(f"print(*(one.pid for one in stack.members({var!r}, {program!r})))") as process:
        pids = process.communicate()[0].split()
    assert process.returncode == 0
    return set(map(int, pids))


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_who_hides_is_found_with_its_program(standin: Stack, tmp_path: Path) -> None:
    """Worker and task are the scheduler's and nobody else's: not another program's, not another stack's."""
    family = {standin.scheduler.pid, standin.worker.pid, standin.first_task().pid}
    assert seen(standin.var) == family | {standin.supervisord.pid}
    assert seen(standin.var, SCHEDULER) == family
    assert seen(standin.var, "mlflow") == set()
    assert seen(standin.var, "") == {standin.supervisord.pid}
    assert seen(str(tmp_path / "another")) == set()


def test_orphans_that_hide_are_found_when_a_program_starts_again(standin: Stack) -> None:
    """Else the worker of a killed scheduler would train on beside that of the new one."""
    orphans = {standin.worker.pid, standin.first_task().pid}
    standin.scheduler.kill()
    assert eventually(lambda: standin.worker.ppid() != standin.scheduler.pid, 10)
    assert seen(standin.var, SCHEDULER) == orphans
    assert seen(standin.var, "") == {standin.supervisord.pid}


def test_guard_takes_no_worker_that_hides_for_a_dead_one(standin: Stack) -> None:
    """The scheduler lives on when its worker takes its first task, and ends when somebody kills that worker."""
    with look(f"print(flush=True); guard.guard({standin.var!r}, 0.1)") as guard:
        assert guard.stdout is not None
        guard.stdout.readline()
        time.sleep(1)
        standin.first_task()
        time.sleep(1)
        assert lives(standin.scheduler)
        standin.worker.kill()
        assert eventually(lambda: not lives(standin.scheduler), 10)


def test_down_ends_who_hides(standin: Stack) -> None:
    """Also when everybody with the mark has ended before."""
    family = [standin.scheduler, standin.worker, standin.first_task()]
    with look(f"import types; print(stack._stop(types.SimpleNamespace(var_dir={standin.var!r})))") as down:
        assert eventually(lambda: standin.supervisord.poll() is not None, 10)  # and is no zombie then
        assert down.communicate()[0] == b"True\n"
    assert not [one for one in family if lives(one)]
