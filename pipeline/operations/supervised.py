"""`python -m pipeline.operations.supervised ...`: what supervisord runs for each program of the stack."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil

from pipeline.operations import servers
from pipeline.operations.processes import members
from pipeline.operations.servers import PROGRAM, STACK


def _become(arguments: list[str]) -> None:
    """Turn into a supervised program, after ending what its killed predecessor left.

    LocalExecutor's workers outlive their scheduler and go on training; MLflow's server keeps the port of its parent.
    """
    for process in members(os.environ[STACK], os.environ[PROGRAM]):
        with contextlib.suppress(psutil.Error):
            process.kill()
    if os.environ[PROGRAM] == "postgres":
        servers.drop_root()
    command = arguments if Path(arguments[0]).is_absolute() else [sys.executable, "-m", *arguments]
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(sys.argv[1:])
