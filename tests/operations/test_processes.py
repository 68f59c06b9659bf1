"""Processes of the stack are found and ended, also by a user from whom Airflow's workers hide their environment."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from pipeline.operations.processes import PROGRAM, STACK, is_alive, members
from pipeline.operations.scheduler_guard import SCHEDULER
from tests.support.observer import look, seen
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operations.conftest import StandIn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hides these environments")


def test_hidden_processes_are_found_with_their_program(standin: StandIn, tmp_path: Path) -> None:
    """Worker and task belong to the scheduler, and to no other program or stack."""
    family = {standin.scheduler.pid, standin.worker.pid, standin.first_task().pid}
    assert seen(standin.var) == family | {standin.supervisord.pid}
    assert seen(standin.var, SCHEDULER) == family
    assert seen(standin.var, "mlflow") == set()
    assert seen(standin.var, "") == {standin.supervisord.pid}
    assert seen(str(tmp_path / "another")) == set()


def test_orphans_that_hide_are_found_when_a_program_starts_again(standin: StandIn) -> None:
    """Otherwise the worker of a killed scheduler would train beside the worker of the new one."""
    orphans = {standin.worker.pid, standin.first_task().pid}
    standin.scheduler.kill()
    assert eventually(lambda: standin.worker.ppid() != standin.scheduler.pid, 10)
    assert seen(standin.var, SCHEDULER) == orphans
    assert seen(standin.var, "") == {standin.supervisord.pid}


def test_stop_ends_hidden_processes(standin: StandIn) -> None:
    """Also after every marked process has ended."""
    family = [standin.scheduler, standin.worker, standin.first_task()]
    with look(f"import types; print(processes.stop(types.SimpleNamespace(var_dir={standin.var!r})))") as down:
        assert eventually(lambda: standin.supervisord.poll() is not None, 10)  # collects the zombie
        assert down.communicate()[0] == b"True\n"
    assert not [one for one in family if is_alive(one)]


def test_marked_processes_are_found_by_stack_and_program(tmp_path: Path) -> None:
    """By the two variables alone; another stack or program does not match."""
    var = str(tmp_path)
    marks = {STACK: var, PROGRAM: "mlflow"}
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    # In a session of its own, as supervisord opens them: a hidden process of the session counts too.
    with subprocess.Popen(sleep, env=os.environ | marks, start_new_session=True) as process:
        assert [one.pid for one in members(var)] == [process.pid]
        assert [one.pid for one in members(var, "mlflow")] == [process.pid]
        assert members(var, "redis") == []
        assert members(f"{var}2") == []
        process.kill()


def test_sessions_from_outside_the_container_join_no_processes(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the system names every such session 0, that of the container's first process too."""
    monkeypatch.setattr(os, "getsid", lambda _pid: 0)
    hidden = psutil.Process()
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([standin.supervisord, hidden]))
    monkeypatch.setattr(hidden, "environ", lambda: (_ for _ in ()).throw(psutil.AccessDenied()))
    assert members(standin.var) == [standin.supervisord]


def test_a_zombie_is_not_alive() -> None:
    """A dead child stays in the process table until its parent collects it."""
    with psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert is_alive(process)
        os.kill(process.pid, 9)
        assert eventually(lambda: process.status() == psutil.STATUS_ZOMBIE, 10)
        assert not is_alive(process)
