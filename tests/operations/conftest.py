"""A stack that is up, and a stand-in for a stack whose processes hide their environment, as Airflow's workers do.

Root can read every environment, so tests that run as root start both the stand-in and the observer as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from pipeline.operations import stack
from pipeline.operations.processes import PROGRAM, STACK
from tests.support.stacks import Started, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


class StandIn(NamedTuple):
    """A stand-in for a stack: a scheduler under supervisord, with one worker."""

    var: str
    supervisord: psutil.Popen
    scheduler: psutil.Process
    worker: psutil.Process

    def first_task(self) -> psutil.Process:
        """Have the worker take a task, and return the task's process; both hide their environment from then on."""
        self.supervisord.stdin.write(b"\n")
        self.supervisord.stdin.flush()
        (task,) = {int(self.supervisord.stdout.readline()) for _ in range(2)} - {self.worker.pid}
        return psutil.Process(task)


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    """Start a stand-in in a session of its own."""
    mark = {STACK: str(tmp_path), PROGRAM: "", "SPT_NOENV": "1"}
    words = [sys.executable, "-m", "tests.support.hiding", "supervisord"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with psutil.Popen(words, cwd=ROOT, env=os.environ | mark, start_new_session=True, **pipes) as boss:
        worker = psutil.Process(int(boss.stdout.readline()))
        yield StandIn(str(tmp_path), boss, worker.parent(), worker)
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if os.getsid(pid) == boss.pid:
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """Start a stack in a folder with characters that configuration files misread, and that other users may enter."""
    home = Path(tempfile.mkdtemp(prefix="100% {a} 'b' \"c\" #1 ;home"))  # pytest's own folder keeps other users out
    home.chmod(0o755)
    settings = settings_for(home)
    (home / "dags").mkdir()
    said: list[str] = []
    try:
        stack.up(settings, said.append)
        yield Started(settings, "\n".join(said))
    finally:
        stack.down(settings, said.append)
        shutil.rmtree(home)
