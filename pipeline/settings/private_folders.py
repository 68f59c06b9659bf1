"""The folders of all state below `var`, which only their owner may enter."""

from __future__ import annotations

import os
from pathlib import Path

NAMES = ("airflow", "cache", "log", "mlflow", "run", "store")
PRIVATE = 0o700
# PostgreSQL, started by root, runs under an account of its own and must reach its folder through `var`.
TRAVERSABLE = 0o711


def make_private_folders(var_dir: Path) -> None:
    """Create `var` and its folders, and take the rights of other users away from existing ones.

    Older versions left databases, artifacts, prices and logs readable by every user. A folder of another owner keeps
    its mode, and so does every folder of a `var` directly below the root: /var/log belongs to the system.
    """
    if not var_dir.exists():
        var_dir.mkdir(parents=True)
        var_dir.chmod(TRAVERSABLE)
    for name in NAMES:
        folder = var_dir / name
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        found = folder.stat()
        ours = found.st_uid == os.geteuid() and var_dir.parent != Path(var_dir.anchor)
        if ours and found.st_mode & 0o077:
            folder.chmod(PRIVATE)
