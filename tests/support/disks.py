"""A disk without room, for real: a small tmpfs that can be filled up. Takes root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTES = 64
MOUNT, UMOUNT = "/bin/mount", "/bin/umount"


class Disk:
    """A file system of its own that can be filled up to the last byte."""

    def __init__(self, place: Path) -> None:
        self.place, self.writes_left = place, -1

    def fill(self) -> None:
        """Leave no room."""
        with (self.place / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    def make_room(self) -> None:
        """Take the filler away."""
        (self.place / "filler").unlink(missing_ok=True)


@contextlib.contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """Mount a small disk for as long as the block lasts."""
    if os.geteuid():
        pytest.skip("mounting a small disk takes root")
    place.mkdir(parents=True)
    command = [MOUNT, "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield Disk(place)
    finally:
        subprocess.run([UMOUNT, "--lazy", str(place)], check=True)
