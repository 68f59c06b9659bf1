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

from pipeline.servers import STACK
from pipeline.stack import members

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("closecast")
SCHEDULER = "airflow-scheduler"
_TITLE = "airflow worker -- LocalExecutor"
_SECONDS = 2.0


def workers(processes: Iterable[psutil.Process]) -> dict[psutil.Process, set[psutil.Process]]:
    """Return the living workers of LocalExecutor among `processes`, by the scheduler that they belong to."""
    found: dict[psutil.Process, set[psutil.Process]] = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended in the meantime
            scheduler = process.parent()
            titled = " ".join(process.cmdline()).startswith(_TITLE)
            # A task inherits its worker's title for a moment; only a worker is a child of what is no worker.
            if titled and scheduler and not " ".join(scheduler.cmdline()).startswith(_TITLE):
                found.setdefault(scheduler, set()).add(process)
    return found


def guard(var: str, seconds: float = _SECONDS) -> None:
    """Look every few seconds, for ever."""
    before: dict[psutil.Process, set[psutil.Process]] = {}
    while True:
        now = workers(members(var, SCHEDULER))
        for scheduler, known in before.items():
            gone = known - now.get(scheduler, set())
            with contextlib.suppress(psutil.NoSuchProcess):
                if gone and scheduler.status() != psutil.STATUS_ZOMBIE:
                    scheduler.kill()
                    pids = ", ".join(str(process.pid) for process in gone)
                    log.warning("Worker %s was killed: scheduler %d is started again.", pids, scheduler.pid)
        before = now
        time.sleep(seconds)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    guard(os.environ[STACK])
