"""`python -m pipeline.operations.code_watch`: restarts the programs of the stack after the code has changed.

The programs of the stack keep the modules that they have imported, and each task is a fork of such a program. After a
`git pull` a task would mix old modules with new ones and fail in each try. So this program compares the files with
those of its own start. When they have changed and stay as they are, it has supervisord restart every program, itself
included. It waits for running tasks, but not longer than their retries last.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pipeline.operations.processes import STACK, members
from pipeline.settings import CHECKOUT, Settings, load_settings

log = logging.getLogger("closecast")
_TASK = "airflow worker -- "  # Airflow's title for the process of a task; a worker of LocalExecutor has a longer one
_WORKER = f"{_TASK}LocalExecutor"
_SECONDS = 5.0
_LONGEST_WAIT = 300.0  # a task that starts meanwhile fails, and its retries last for half an hour


def is_task_running(var: str) -> bool:
    """Return whether a task of the stack runs."""
    for process in members(var):
        with contextlib.suppress(psutil.Error):  # the process has ended in the meantime
            title = " ".join(process.cmdline())
            if title.startswith(_TASK) and not title.startswith(_WORKER):
                return True
    return False


def wait_for_change(
    started: str, now: Callable[[], str], is_busy: Callable[[], bool], *, seconds: float = _SECONDS
) -> None:
    """Return when the code has changed, did not change between two checks, and no task runs.

    Args:
        started: hash of the code that the programs have imported.
        now: returns the hash of the code on the disk.
        is_busy: returns whether a task runs.
        seconds: pause between two checks.
    """
    last = started
    waited = 0.0
    while True:
        time.sleep(seconds)
        found = now()
        if found == started or found != last:  # unchanged, or a pull is in progress
            waited = 0.0
        elif not is_busy() or waited >= _LONGEST_WAIT:
            return
        last = found
        waited += seconds


def hash_now(*folders: Path) -> str:
    """Return a hash of the modules and page templates in the folders; empty while a file comes or goes."""
    files = [file for folder in folders for pattern in ("*.py", "*.j2") for file in sorted(folder.rglob(pattern))]
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(f"{file}\0".encode() + file.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()


def has_changed(settings: Settings) -> bool:
    """Return whether the code differs from the code that the running programs have imported."""
    try:
        imported = _file(str(settings.var_dir)).read_text()
    except OSError:  # the program has not started yet
        return False
    return imported != hash_now(*_folders(settings))


def restart(var: str) -> None:
    """Have supervisord stop and start every program of the stack."""
    for process in members(var, ""):
        process.send_signal(signal.SIGHUP)


def _folders(settings: Settings) -> tuple[Path, Path]:
    return CHECKOUT / "pipeline", settings.home / "dags"


def _file(var: str) -> Path:
    return Path(var) / "run" / "code"


def main() -> None:
    """Watch the code, for ever: supervisord starts this program again after each restart."""
    var = os.environ[STACK]
    folders = _folders(load_settings())
    imported = hash_now(*folders)
    _file(var).write_text(imported)
    wait_for_change(imported, lambda: hash_now(*folders), lambda: is_task_running(var))
    log.warning("The code has changed. Restarting the stack.")
    restart(var)
    time.sleep(60)  # supervisord ends this process


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    main()
