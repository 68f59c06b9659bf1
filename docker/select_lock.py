"""`select_lock.py requirements.lock NAME...`: prints the entries of packages and of their dependencies, with hashes.

The lock holds test tools, which the image does not need. Its `# via` comments name the dependent packages.
The name `closecast` selects all run-time dependencies of this project, without the group `dev`.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

RUNNING = "closecast (pyproject.toml)"


def select(lock: str, names: set[str]) -> str:
    """Return the entries of `names` and of all their dependencies."""
    entries: dict[str, list[str]] = defaultdict(list)  # a package has one entry per marker
    needed_by: dict[str, set[str]] = defaultdict(set)
    for entry in re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]:
        name = re.split(r"[=\[ ]", entry, maxsplit=1)[0]
        entries[name].append(entry)
        via = entry.partition("# via")[2]
        needed_by[name] |= {word for line in via.splitlines() if (word := line.strip().lstrip("#").strip())}
    wanted = {RUNNING if name == "closecast" else name for name in names}
    if unknown := wanted - set(entries) - {RUNNING}:
        raise SystemExit(f"Each name must be in the lock. Received: {', '.join(sorted(unknown))}.")
    while more := {name for name, others in needed_by.items() if name not in wanted and others & wanted}:
        wanted |= more
    return "".join(entry for name in sorted(wanted & set(entries)) for entry in entries[name])


if __name__ == "__main__":
    print(select(Path(sys.argv[1]).read_text(), set(sys.argv[2:])), end="")
