"""The guard kills a scheduler whose worker died or whose heartbeat stopped, on a stand-in of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pipeline.operations.processes import PROGRAM, STACK, is_alive
from pipeline.operations.scheduler_guard import SCHEDULER, workers
from tests.support.observer import look
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from tests.operations.conftest import StandIn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hides these environments")


def test_the_guard_kills_a_scheduler_only_after_the_death_of_a_worker(standin: StandIn) -> None:
    """A worker that hides with its first task counts as alive; a killed worker does not."""
    with look(f"print(flush=True); scheduler_guard.guard({standin.var!r}, 0.1)") as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        time.sleep(1)
        standin.first_task()
        time.sleep(1)
        assert is_alive(standin.scheduler)
        standin.worker.kill()
        assert eventually(lambda: not is_alive(standin.scheduler), 10)


def test_workers_are_listed_under_their_scheduler(standin: StandIn) -> None:
    """A process with another title is no worker, and a worker without its scheduler in the list is left out."""
    family = [standin.scheduler, standin.worker]
    assert eventually(lambda: workers([*family, psutil.Process(os.getpid())]) == {standin.scheduler: {standin.worker}})
    assert workers([standin.worker]) == {}


STOPS_AFTER_2_SECONDS = (
    "import time, types; begin = time.monotonic(); "
    "beat = types.SimpleNamespace(is_due=lambda: True, has_stopped=lambda born: time.monotonic() > begin + 2)"
)


def test_the_guard_kills_a_scheduler_whose_heartbeat_stopped(standin: StandIn) -> None:
    """It kills the process below supervisord, even a stopped one, and no worker."""
    standin.scheduler.suspend()
    with look(f"{STOPS_AFTER_2_SECONDS}; print(flush=True); scheduler_guard.guard({standin.var!r}, 0.1, beat)") as run:
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(1)
        assert is_alive(standin.scheduler)
        assert eventually(lambda: not is_alive(standin.scheduler), 20)
        assert is_alive(standin.worker)
        assert is_alive(standin.supervisord)


SUPERVISORD = f"""
import os, subprocess, sys
mark = os.environ | {{"{PROGRAM}": "{SCHEDULER}"}}
while True:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=mark) as one:
        print(one.pid, flush=True)
        one.wait()
"""


def test_each_scheduler_that_another_one_has_followed_is_one_message(tmp_path):
    """Whatever killed it. The first one, and the last one of a stack that ends, are none."""
    mark = os.environ | {STACK: str(tmp_path), PROGRAM: ""}
    begin = "from pipeline.operations.scheduler_guard import guard; print('begun', flush=True)"
    said = "replaced=lambda pid, reason: print(pid, reason, flush=True)"
    guard = f"{begin}; guard({str(tmp_path)!r}, 0.1, {said})"
    with (
        psutil.Popen([sys.executable, "-c", SUPERVISORD], env=mark, stdout=subprocess.PIPE) as boss,
        subprocess.Popen([sys.executable, "-c", guard], stdout=subprocess.PIPE, text=True) as watching,
    ):
        try:
            pids = [int(boss.stdout.readline())]
            assert watching.stdout.readline() == "begun\n"
            for _ in range(2):
                time.sleep(1)
                os.kill(pids[-1], 9)
                pids.append(int(boss.stdout.readline()))
            for pid in pids[:2]:
                assert watching.stdout.readline() == f"{pid} it ended by itself, or something killed it\n"
            boss.kill()
            os.kill(pids[-1], 9)
            time.sleep(1)
        finally:
            boss.kill()
            watching.kill()
        assert watching.stdout.read() == ""
