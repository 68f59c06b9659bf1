"""Lets MLflow's artifacts follow a `var` that was moved or copied.

MLflow records the absolute place of each file. After a move it would read nothing and make the old folder again. So the
records of the SQLite database below `var` are changed to the present place, before MLflow opens the database.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

from pipeline.errors import Unavailable

log = logging.getLogger("closecast")
_INSIDE_VAR = "/mlflow/artifacts"
_PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
_LOCK_SECONDS = 30


def follow_var(database: Path, artifacts: Path) -> None:
    """Change the places of artifacts below an earlier `var` to the present one; a second call changes nothing.

    Args:
        database: MLflow's SQLite database below `var`; it may not exist yet.
        artifacts: the present folder of artifacts, `<var>/mlflow/artifacts`.

    Raises:
        Unavailable: the database stays locked, or cannot be written.
    """
    if not database.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection:
            _follow(connection, artifacts)
    except sqlite3.OperationalError as error:
        raise Unavailable(
            "MLflow's database must answer and be writable, so that its records follow `var`.",
            f"{database}: {error}",
            "End what holds it, and look whether its disk has room and belongs to you.",
        ) from None
    except sqlite3.DatabaseError:
        log.debug("%s is no database. MLflow opens it next and reports that.", database)


def _follow(connection: sqlite3.Connection, artifacts: Path) -> None:
    for old in _earlier_roots(connection, artifacts):
        log.warning("MLflow's artifacts were in %s. Their records now name %s.", old, artifacts)
        with connection:
            for table, column in _PLACES.items():
                if _has_column(connection, table, column):
                    _replace_root(connection, table, column, old, _like(old, artifacts))


def _earlier_roots(connection: sqlite3.Connection, artifacts: Path) -> list[str]:
    """Return the folders of artifacts that the experiments name and that are not the present one."""
    if not _has_column(connection, "experiments", "artifact_location"):
        return []  # a killed process left a database without tables
    places = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    roots = set()
    for (place,) in places:
        var, inside, rest = str(place).rpartition(_INSIDE_VAR)
        root = f"{var}{inside}"
        is_ours = var.startswith(("/", "file:")) and not rest.strip("/0123456789")  # the rest is MLflow's number
        if inside and is_ours and root != _like(root, artifacts):
            roots.add(root)
    return sorted(roots)


def _like(root: str, artifacts: Path) -> str:
    """Return the present folder in the form of `root`: a file URL, or a path, which earlier versions wrote."""
    return artifacts.as_uri() if root.startswith("file:") else str(artifacts)


def _replace_root(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names of the table above
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )


def _has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Return whether a table has a column; the schema may be of an older MLflow."""
    return column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
