"""`make up` and `make up-cluster`: Airflow and MLflow on this machine, kept alive by supervisord.

What belongs to the stack carries `CLOSECAST_STACK=<var>` in its environment, which forks and execs pass on: it is found
without trusting pid files, after a reboot, or when supervisord itself was killed. Airflow's workers and tasks hide
their environment from all but root; those are found by the session that supervisord opened for everything it starts.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import psutil

from pipeline.errors import PipelineError
from pipeline.operations.servers import PROGRAM, STACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.settings import Settings
STOP_SECONDS = 10


def members(var: str, program: str | None = None, sessions: Iterable[int] = ()) -> list[psutil.Process]:
    """Return the living processes of the stack, or those of one program.

    A process that hides its environment, as Airflow's workers do from their first task on, is known by its session:
    that of a process with the mark, or one of `sessions`. It belongs to the program of its nearest ancestor with the
    mark; when those were killed it belongs to every program, for nobody else would end it.
    """
    marked: dict[psutil.Process, str] = {}
    hidden = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                environment = process.environ()
            except psutil.AccessDenied:
                hidden.append(process)
                continue
            if environment.get(STACK) == var:
                marked[process] = environment.get(PROGRAM, "")
    found = [process for process, its in marked.items() if process.pid != os.getpid() and program in {None, its}]
    ours = _sessions(marked) | set(sessions)
    for process in hidden:
        with contextlib.suppress(psutil.NoSuchProcess):
            if program != "" and _sessions([process]) & ours and process.status() != psutil.STATUS_ZOMBIE:
                its = next((marked[one] for one in process.parents() if marked.get(one)), program)
                if program in {None, its}:
                    found.append(process)
    return found


def _sessions(processes: Iterable[psutil.Process]) -> set[int]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):  # it is gone
            found.add(os.getsid(process.pid))
    return found


def supervisord(settings: Settings) -> psutil.Process | None:
    """Return the supervisor of the stack, None when the stack is down."""
    return next(iter(members(str(settings.var_dir), "")), None)


def stop(settings: Settings) -> bool:
    """End the stack, its orphans too; return whether there was any."""
    var = str(settings.var_dir)
    known = members(var)
    sessions = _sessions(known)  # of those who hide, when nobody with the mark lives any more
    if boss := supervisord(settings):
        boss.terminate()
        psutil.wait_procs([boss], timeout=STOP_SECONDS + 10)
    for end in ("terminate", "kill", "kill", "kill"):
        rest = members(var, sessions=sessions)
        for process in rest:
            with contextlib.suppress(psutil.Error):
                getattr(process, end)()
        psutil.wait_procs(rest, timeout=5)
    if rest := members(var, sessions=sessions):
        pids = ", ".join(str(process.pid) for process in rest)
        raise PipelineError("All processes must end.", f"still there: {pids}", "End them by hand with kill -9.")
    return bool(known)
