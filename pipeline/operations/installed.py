"""The installed libraries beside requirements.lock."""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

# An entry: `numpy==2.4.6 ; python_full_version < '3.12' \`. The lock is universal: some entries are for other machines.
_ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(\s*;)?", re.MULTILINE)


class Differences(NamedTuple):
    """What differs from the lock, one text for each library."""

    checked: int  # libraries of the lock
    other: tuple[str, ...]  # "numpy 2.4.5 instead of 2.4.6"
    missing: tuple[str, ...]


def differences(lock: Path) -> Differences:
    """Return how the installed libraries differ from a lock. Further libraries, such as an extra's, do not count.

    A library whose entries all have a condition may be absent.
    """
    versions: Mapping[str, set[str]] = defaultdict(set)
    needed: set[str] = set()
    for name, version, condition in _ENTRY.findall(lock.read_text()):
        versions[name].add(version)
        if not condition:
            needed.add(name)
    other: list[str] = []
    missing: list[str] = []
    for name, allowed in versions.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name in needed:
                missing.append(name)
            continue
        if found not in allowed:
            other.append(f"{name} {found} instead of {' or '.join(sorted(allowed))}")
    return Differences(len(versions), tuple(other), tuple(missing))
