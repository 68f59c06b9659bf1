"""Real processes that hide their environment as Airflow's workers do, and somebody who looks at them without root.

Root sees all, so what root starts here becomes `nobody` first; only then, for such a user cannot read every checkout.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time

import setproctitle

from pipeline.operations import scheduler_guard
from pipeline.operations.lifeline import die_with_parent
from pipeline.operations.processes import PROGRAM

NOBODY = 65534
_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def drop_root() -> None:
    """Become an ordinary user with an ordinary environment, which others of that user may read."""
    if os.geteuid() == 0:
        os.chdir("/")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    _dumpable(1)


def _dumpable(flag: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, flag, 0, 0, 0)


def supervisord() -> None:
    """Start a scheduler, which ends with it."""
    subprocess.Popen(
        [sys.executable, "-m", "tests.support.hiding", "scheduler"],
        env=os.environ | {PROGRAM: scheduler_guard.SCHEDULER},
    )
    drop_root()
    _sleep()


def scheduler() -> None:
    """Have a worker, which takes a task once it is told so, and hides itself and the task from then on."""
    drop_root()
    die_with_parent()
    if not os.fork():
        setproctitle.setproctitle("airflow worker -- LocalExecutor: <idle>")
        _tell_pid()
        os.read(0, 1)
        _dumpable(0)  # as the first thing that Airflow's supervise_task does
        if not os.fork():
            os.setpgid(0, 0)
        _tell_pid()
    _sleep()


def _tell_pid() -> None:
    os.write(1, b"%d\n" % os.getpid())


def _sleep() -> None:
    while True:
        time.sleep(60)


if __name__ == "__main__":
    {"supervisord": supervisord, "scheduler": scheduler}[sys.argv[1]]()
