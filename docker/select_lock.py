"""Print the part of a lock that some packages need, hashes and all: `select_lock.py requirements.lock NAME...`.

The lock holds test tools too, and the image should not. Which package needs which stands in its `# via` comments.
`closecast` as a name means what runs: everything that this project needs outside the group `dev`.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

RUNNING = "closecast (pyproject.toml)"


def select(lock: str, names: set[str]) -> str:
    """Return the entries of `names` and of all that they need."""
    entries: dict[str, list[str]] = defaultdict(list)  # a package stands there once per marker
    needed_by: dict[str, set[str]] = defaultdict(set)
    for entry in re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]:
        name = re.split(r"[=\[ ]", entry, maxsplit=1)[0]
        entries[name].append(entry)
        via = entry.partition("# via")[2]
        needed_by[name] |= {word for line in via.splitlines() if (word := line.strip().lstrip("#").strip())}
    wanted = {RUNNING if name == "closecast" else name for name in names}
    if unknown := wanted - set(entries) - {RUNNING}:
        raise SystemExit(f"Each name must stand in the lock. Received: {', '.join(sorted(unknown))}.")
    while more := {name for name, others in needed_by.items() if name not in wanted and others & wanted}:
        wanted |= more
    return "".join(entry for name in sorted(wanted & set(entries)) for entry in entries[name])


if __name__ == "__main__":
    print(select(Path(sys.argv[1]).read_text(), set(sys.argv[2:])), end="")
