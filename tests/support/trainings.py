"""Trainings in a running stack that a test can break."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.support.stacks import eventually

if TYPE_CHECKING:
    from tests.support.running import Running

PATIENCE = 900  # seconds for a run in which something died; a quiet machine needs an eighth of it
LONG = {"epochs": 100, "patience": 100}  # some ten seconds of training: time to break something
SCHEDULER = "airflow-scheduler"


def trainers(running: Running) -> list[psutil.Process]:
    """Return the processes of tasks that have loaded TensorFlow."""
    found = []
    for process in running.processes(SCHEDULER):
        with contextlib.suppress(psutil.Error, OSError):
            if process.is_running() and "tensorflow" in Path(f"/proc/{process.pid}/maps").read_text():
                found.append(process)
    return found


def training(running: Running) -> psutil.Process:
    """Wait until `train` has loaded TensorFlow, and return its process a moment later."""
    assert eventually(lambda: bool(trainers(running)), 300)
    time.sleep(2)
    return trainers(running)[0]
