"""`python -m pipeline.operations.scheduler_guard`: restarts a scheduler after the death of a LocalExecutor worker.

A worker that is killed while it waits keeps the lock of the workers' task queue. Airflow starts another worker, but
that one, and so every task, waits for the lock for ever. Workers end only with their scheduler. So the guard kills the
scheduler of a dead worker, supervisord starts a new one, and Airflow tries the interrupted tasks again. They reuse
their finished steps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import psutil

from pipeline.operations.processes import STACK, is_alive, members

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("closecast")
SCHEDULER = "airflow-scheduler"
_TITLE = "airflow worker -- LocalExecutor"
_SECONDS = 2.0


def workers(processes: Iterable[psutil.Process]) -> dict[psutil.Process, set[psutil.Process]]:
    """Return the living LocalExecutor workers among `processes`, by their scheduler."""
    titled: set[psutil.Process] = set()
    others: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):  # the process has ended in the meantime
            is_worker = " ".join(process.cmdline()).startswith(_TITLE)
            (titled if is_worker else others).add(process)
    found: dict[psutil.Process, set[psutil.Process]] = {}
    for process in titled:
        with contextlib.suppress(psutil.Error):
            # A new task has its worker's title for a moment, and the workers of a killed scheduler get a new parent.
            if (scheduler := process.parent()) in others:
                found.setdefault(scheduler, set()).add(process)
    return found


def guard(var: str, seconds: float = _SECONDS) -> None:
    """Check the workers every few seconds, for ever.

    Args:
        var: the folder of the stack.
        seconds: pause between two checks.
    """
    before: dict[psutil.Process, set[psutil.Process]] = {}
    while True:
        now = workers(members(var, SCHEDULER))
        for scheduler, known in before.items():
            dead = [worker for worker in known if not is_alive(worker)]  # a worker missing from `now` may be alive
            if dead and is_alive(scheduler):
                with contextlib.suppress(psutil.NoSuchProcess):
                    scheduler.kill()
                pids = ", ".join(str(worker.pid) for worker in dead)
                log.warning("Worker %s was killed. Restarting scheduler %d.", pids, scheduler.pid)
        before = now
        time.sleep(seconds)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    guard(os.environ[STACK])
