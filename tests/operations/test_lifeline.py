"""A process that asked for it dies with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from pipeline.operations.lifeline import die_with_parent
from pipeline.operations.processes import is_alive
from tests.support.stacks import eventually, processes_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_orphan_dies_with_its_parent(tmp_path: Path) -> None:
    """Also when the parent gets no chance to end it."""
    child = (
        "from pipeline.operations.lifeline import die_with_parent; die_with_parent(); import time; print(1, flush=True)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {f'{child}; time.sleep(60)'!r}])"
    words = [sys.executable, "-c", parent, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        (orphan,) = psutil.Process(process.pid).children()
        process.kill()
        assert eventually(lambda: not is_alive(orphan), 10)
    assert processes_of(tmp_path) == {}


def test_the_call_itself_ends_nothing() -> None:
    """A process continues as long as its parent lives."""
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
