"""Helpers for stacks and servers on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.settings import Settings


class Started(NamedTuple):
    """A stack that is up, and what `up` said."""

    settings: Settings
    said: str


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(home: Path, **ports: int) -> Settings:
    """Return settings of a stack in `home`, on free ports."""
    names = ("airflow_port", "mlflow_port", "postgres_port", "redis_port")
    given = {name: free_port() for name in names} | ports
    return load_settings(var=Path("var"), **given).model_copy(update={"home": home})


def page(port: int, path: str) -> bytes:
    """Return what a server on loopback answers, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return bytes(answer.read())


def processes_of(home: Path) -> dict[int, str]:
    """Return what runs for `home`, by /proc alone: pid and command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            if int(entry.name) != os.getpid() and any(os.fsencode(home) in word for word in words):
                found[int(entry.name)] = words[0].replace(b"\0", b" ").decode()
    return found


def eventually(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Return whether the condition holds within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return met
