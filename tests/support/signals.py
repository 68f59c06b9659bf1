"""Signals to real processes; each is checked for its effect, because a test without its fault proves nothing."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import psutil

from pipeline.operations.processes import is_alive
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


def kill(processes: list[psutil.Process]) -> None:
    """Send SIGKILL to processes, of which there must be at least one, and wait until all of them are dead."""
    assert processes, "no process to kill"
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child can end with its parent
            process.kill()
    assert eventually(lambda: not any(is_alive(process) for process in processes), 10), "a killed process lives"


@contextlib.contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """Stop processes, of which there must be at least one, during the block, and check that they stay stopped."""
    assert processes, "no process to stop"
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: _all_stopped(processes), 10), "a process did not stop"
        yield
        assert _all_stopped(processes), "a process continued or ended too early"
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def _all_stopped(processes: list[psutil.Process]) -> bool:
    return all(is_alive(process) and process.status() == psutil.STATUS_STOPPED for process in processes)
