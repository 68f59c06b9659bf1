"""`python -m pipeline.operations.supervised COMMAND`: starts one program of the stack under supervisord.

It first ends the processes that an earlier, killed start of the program left: LocalExecutor's workers outlive their
scheduler and continue to train, and a child of MLflow's server keeps the port. The program ends with supervisord.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

from pipeline.operations import servers
from pipeline.operations.lifeline import die_with_parent
from pipeline.operations.processes import PROGRAM, STACK, VAR, VAR_URL, members


def exec_program(arguments: list[str]) -> None:
    """Kill the rest of an earlier start, then replace this process by the program.

    Args:
        arguments: a Python module with its arguments, or a program by its absolute path with its arguments. In
            them, `VAR` becomes the stack's folder, and `VAR_URL` its URL.
    """
    for process in members(os.environ[STACK], os.environ[PROGRAM]):
        with contextlib.suppress(psutil.Error):
            process.kill()
    if os.environ[PROGRAM] == "postgres":
        servers.drop_root()
        die_with_parent(signal.SIGINT)  # on TERM, PostgreSQL waits for its last client
    else:
        die_with_parent(signal.SIGTERM)
    var = Path(os.environ[STACK])
    command = [word.replace(VAR, str(var)).replace(VAR_URL, var.as_uri()) for word in arguments]
    if not Path(command[0]).is_absolute():
        command = [sys.executable, "-m", *command]
    os.execv(command[0], command)


if __name__ == "__main__":
    exec_program(sys.argv[1:])
