"""`python -m pipeline.operations.scheduler_guard`: restarts a scheduler that cannot work any more.

A worker that is killed while it waits keeps the lock of the workers' task queue. Airflow starts another worker, but
that one, and so every task, waits for the lock for ever. Workers end only with their scheduler. So the guard kills the
scheduler of a dead worker, supervisord starts a new one, and Airflow tries the interrupted tasks again. They reuse
their finished steps. The guard also kills a scheduler without a heartbeat. It sends one message for each scheduler that
was replaced, also when something else had ended it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil

from pipeline.alerting import notify
from pipeline.operations.heartbeat import Heartbeat
from pipeline.operations.late_watch import LateWatch
from pipeline.operations.processes import STACK, is_alive, members
from pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

log = logging.getLogger("closecast")
SCHEDULER = "airflow-scheduler"
_TITLE = "airflow worker -- LocalExecutor"
_SECONDS = 2.0
# Airflow reports a scheduler as unhealthy after its threshold. The guard waits longer: killing interrupts tasks.
_PATIENCE = 4


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


def guard(
    var: str,
    seconds: float = _SECONDS,
    heartbeat: Heartbeat | None = None,
    *,
    late: Callable[[], None] = lambda: None,
    replaced: Callable[[int, str], None] = lambda pid, reason: None,  # noqa: ARG005 - names of the parameters
) -> None:
    """Check the workers, the heartbeat and the last night every few seconds, for ever.

    Args:
        var: the folder of the stack.
        seconds: pause between two checks.
        heartbeat: of the scheduler; None checks the workers only.
        late: looks whether a night is late.
        replaced: receives the id of each scheduler that was replaced, and the reason.
    """
    before: dict[psutil.Process, set[psutil.Process]] = {}
    supervisords = members(var, "")  # the guard ends with it
    last: set[psutil.Process] = set()
    reasons: dict[psutil.Process, str] = {}  # of those that the guard has killed
    while True:
        processes = members(var, SCHEDULER)
        running = _children(processes, supervisords)
        if running - last:  # after a restart of the whole stack the guard is new too, and knows no other scheduler
            for gone in last - running:
                replaced(gone.pid, reasons.pop(gone, "it ended by itself, or something killed it"))
        last = running or last
        if heartbeat and heartbeat.is_due():
            reasons |= _kill_if_hung(running, heartbeat)
        late()
        now = workers(processes)
        for scheduler, known in before.items():
            dead = [worker for worker in known if not is_alive(worker)]  # a worker missing from `now` may be alive
            if dead and is_alive(scheduler):
                with contextlib.suppress(psutil.NoSuchProcess):
                    scheduler.kill()
                pids = ", ".join(str(worker.pid) for worker in dead)
                log.warning("Worker %s was killed. Restarting scheduler %d.", pids, scheduler.pid)
                reasons[scheduler] = f"its worker {pids} was killed"
        before = now
        time.sleep(seconds)


def _children(processes: Iterable[psutil.Process], parents: Collection[psutil.Process]) -> set[psutil.Process]:
    """Return those of `processes` that one of `parents` has started."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.parent() in parents:
                found.add(process)
    return found


def _kill_if_hung(schedulers: Iterable[psutil.Process], heartbeat: Heartbeat) -> dict[psutil.Process, str]:
    """Kill each scheduler without a heartbeat, and return the reason by process."""
    killed = {}
    for process in schedulers:
        with contextlib.suppress(psutil.NoSuchProcess):
            if heartbeat.has_stopped(process.create_time()):
                process.kill()
                log.warning("The heartbeat of scheduler %d has stopped. Restarting it.", process.pid)
                killed[process] = "its heartbeat has stopped"
    return killed


def main() -> None:
    """Guard the stack whose environment this process has, for ever."""
    var = os.environ[STACK]
    settings = load_settings()
    supervisord = next(iter(members(var, "")), psutil.Process())
    watch = LateWatch(settings, dt.datetime.fromtimestamp(supervisord.create_time(), dt.UTC))
    threshold = float(os.environ["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD"])
    guard(
        var,
        heartbeat=Heartbeat(os.environ["AIRFLOW__API__BASE_URL"], _PATIENCE * threshold),
        late=lambda: watch.look(dt.datetime.now(dt.UTC)),
        replaced=lambda pid, reason: notify.send_replaced(settings, SCHEDULER, pid, reason),
    )


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    main()
