"""Runs code as the unprivileged user who looks for the processes of a stand-in stack."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def look(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run code that uses `processes` and `scheduler_guard` as the stand-in's user, until the block ends."""
    begin = (
        "from pipeline.operations import processes, scheduler_guard; "
        "from tests.support import hiding; hiding.drop_root()"
    )
    with subprocess.Popen([sys.executable, "-c", f"{begin}; {code}"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def seen(var: str, program: str | None = None) -> set[int]:
    """Return the pids of the members that this user finds."""
    with look(f"print(*(one.pid for one in processes.members({var!r}, {program!r})))") as process:
        pids = process.communicate()[0].split()
    assert process.returncode == 0
    return set(map(int, pids))
