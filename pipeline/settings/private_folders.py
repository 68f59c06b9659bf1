"""The folders of all state below `var`, which only their owner may enter, and the folder of the installation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipeline.errors import UsageError

NAMES = ("airflow", "cache", "log", "mlflow", "run", "store")
PRIVATE = 0o700
# PostgreSQL, started by root, runs under an account of its own and must reach its folder through `var`.
TRAVERSABLE = 0o711


def make_private_folders(var_dir: Path) -> None:
    """Create `var` and its folders, and take the rights of other users away from existing ones.

    Older versions left databases, artifacts, prices and logs readable by every user. A folder of another owner keeps
    its mode, and so does every folder of a `var` directly below the root: /var/log belongs to the system.

    Raises:
        UsageError: the folders cannot be made, as in a read-only checkout.
    """
    try:
        _make(var_dir)
    except OSError as error:
        raise UsageError(
            "The folder of all state must be writable.",
            f"{error.filename or var_dir}: {error.strerror}",
            "Set CLOSECAST_VAR to a folder that belongs to you and has room.",
        ) from None


def check_paths(var_dir: Path, installation: str = sys.prefix) -> None:
    """Check that the libraries can work in the folder of all state and in the folder in which they are installed.

    MLflow 3.17 writes its own path into a configuration file, where % has a meaning. An address of SQLite ends at a ?.

    Raises:
        UsageError: a path has a character that a library misreads.
    """
    if "?" in str(var_dir):
        raise UsageError(
            "The path of all state must not contain the sign ?.",
            str(var_dir),
            "Move the folder, or set CLOSECAST_VAR to another one.",
        )
    if "%" in installation:
        raise UsageError(
            "The path of the installation must not contain the sign %.",
            installation,
            "Move the checkout to another folder, then run `make setup` there. CLOSECAST_VAR may stay as it is.",
        )


def _make(var_dir: Path) -> None:
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
