"""Finds and ends the processes of the stack.

Each process of the stack carries `CLOSECAST_STACK=<var>` in its environment, which forks and execs pass on. So it is
found without pid files: after a reboot, and after supervisord itself was killed. Airflow's workers and tasks hide
their environment from every user but root. They are found by their session, which supervisord opens for each program.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import psutil

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.settings import Settings

STACK = "CLOSECAST_STACK"  # the mark of the stack: its `var`
PROGRAM = "CLOSECAST_PROGRAM"  # the mark of one program: its name, empty for supervisord
# They stand for the stack's `var` in a command: a configuration file would misread signs of a path.
VAR = "@VAR@"
VAR_URL = "@VAR_URL@"  # as a file URL: MLflow 3.17 writes a path with a ' into a faulty statement
STOP_SECONDS = 10  # between SIGTERM and SIGKILL
_SUPERVISORD = ""


def members(var: str, program: str | None = None, sessions: Iterable[int] = ()) -> list[psutil.Process]:
    """Return the living processes of the stack, or those of one program.

    A process without a readable environment belongs to the stack if its session is that of a marked process, or one of
    `sessions`. It belongs to the program of its nearest marked ancestor. If all its ancestors were killed, it belongs
    to every program: otherwise no program would end it.

    Args:
        var: the folder of the stack, as in the mark.
        program: name of a program, "" for supervisord, None for the whole stack.
        sessions: sessions that belonged to the stack earlier.
    """
    marked: dict[psutil.Process, str] = {}
    hidden: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                environment = process.environ()
            except psutil.AccessDenied:
                hidden.append(process)
                continue
            if environment.get(STACK) == var:
                marked[process] = environment.get(PROGRAM, "")
    found = []
    for process, owner in marked.items():
        if process.pid != os.getpid() and program in {None, owner}:
            found.append(process)
    if program == _SUPERVISORD:  # supervisord hides nothing
        return found
    ours = _session_ids(marked) | set(sessions)
    for process in hidden:
        with contextlib.suppress(psutil.NoSuchProcess):
            if not _session_ids([process]) & ours or process.status() == psutil.STATUS_ZOMBIE:
                continue
            nearest = next((marked[parent] for parent in process.parents() if marked.get(parent)), program)
            if program in {None, nearest}:
                found.append(process)
    return found


def is_ours(settings: Settings, port: int) -> bool:
    """Return whether a process of the stack, of this user, listens on a port: a password sent there stays with us."""
    for process in members(str(settings.var_dir)):
        with contextlib.suppress(psutil.Error):
            if process.uids().effective != os.geteuid():
                continue
            ports = {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
            if port in ports:
                return True
    return False


def find_supervisord(settings: Settings) -> psutil.Process | None:
    """Return the supervisord of the stack, or None if the stack is down."""
    return next(iter(members(str(settings.var_dir), _SUPERVISORD)), None)


def stop(settings: Settings) -> bool:
    """End all processes of the stack, orphans included, and return whether any was running.

    Raises:
        PipelineError: a process survived SIGKILL.
    """
    var = str(settings.var_dir)
    known = members(var)
    sessions = _session_ids(known)  # a hidden process can outlive every marked one
    if supervisord := find_supervisord(settings):
        supervisord.terminate()
        psutil.wait_procs([supervisord], timeout=STOP_SECONDS + 10)
    for end in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill, psutil.Process.kill):
        rest = members(var, sessions=sessions)
        for process in rest:
            with contextlib.suppress(psutil.Error):
                end(process)
        psutil.wait_procs(rest, timeout=5)
    if rest := members(var, sessions=sessions):
        pids = ", ".join(str(process.pid) for process in rest)
        raise PipelineError("All processes of the stack must end.", f"still running: {pids}", "End them with kill -9.")
    return bool(known)


def is_alive(process: psutil.Process) -> bool:
    """Return whether `process` still runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session_ids(processes: Iterable[psutil.Process]) -> set[int]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):  # the process has ended
            found.add(os.getsid(process.pid))
    return found - {0}  # the system's word for every session that began outside this container
