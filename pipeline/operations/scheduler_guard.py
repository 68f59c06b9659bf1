"""Watches over LocalExecutor: a worker that is killed while it waits takes the lock of their queue along.

Airflow starts another worker, which waits for that lock for ever, and so do all tasks. Workers end by themselves only
with their scheduler; so when one is gone and its scheduler is not, the scheduler is ended and supervisord starts it
again. What ran then is tried again, and goes on from its finished steps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import psutil

from pipeline.operations.processes import members
from pipeline.operations.servers import STACK

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("closecast")
SCHEDULER = "airflow-scheduler"
_TITLE = "airflow worker -- LocalExecutor"
_SECONDS = 2.0


def workers(processes: Iterable[psutil.Process]) -> dict[psutil.Process, set[psutil.Process]]:
    """Return the living workers of LocalExecutor among `processes`, by the scheduler that they belong to."""
    titled: set[psutil.Process] = set()
    others: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended in the meantime
            (titled if " ".join(process.cmdline()).startswith(_TITLE) else others).add(process)
    found: dict[psutil.Process, set[psutil.Process]] = {}
    for process in titled:
        with contextlib.suppress(psutil.Error):
            # A task inherits its worker's title for a moment, and a killed scheduler's workers get another parent.
            if (scheduler := process.parent()) in others:
                found.setdefault(scheduler, set()).add(process)
    return found


def guard(var: str, seconds: float = _SECONDS) -> None:
    """Look every few seconds, for ever."""
    before: dict[psutil.Process, set[psutil.Process]] = {}
    while True:
        now = workers(members(var, SCHEDULER))
        for scheduler, known in before.items():
            gone = {worker for worker in known if not _lives(worker)}  # who is not seen may live
            if gone and _lives(scheduler):
                with contextlib.suppress(psutil.NoSuchProcess):
                    scheduler.kill()
                pids = ", ".join(str(process.pid) for process in gone)
                log.warning("Worker %s was killed: scheduler %d is started again.", pids, scheduler.pid)
        before = now
        time.sleep(seconds)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    guard(os.environ[STACK])
