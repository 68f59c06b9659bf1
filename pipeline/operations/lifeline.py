"""Ends a process together with its parent.

A task must end with its supervising process, because Airflow then starts the next try. A program of the stack must end
with supervisord: nothing else restarts the program when it fails.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send a signal to this process when its parent ends, even by SIGKILL; Linux only.

    The program that replaces this process keeps the request.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # the parent ended before the request
        os.kill(os.getpid(), number)
