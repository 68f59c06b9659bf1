"""The schemas of Airflow's and MLflow's SQLite databases beside those of the installed programs.

Both use Alembic: a table holds the revision of the database, and each migration names its own revision and the one
before it. The migrations are read as text, because importing them imports Airflow (4 s) and MLflow (5 s).
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged
from pipeline.operations.airflow_home import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings

_MIGRATIONS = {"Airflow": ("airflow", "migrations/versions"), "MLflow": ("mlflow", "store/db_migrations/versions")}
_REVISION = re.compile(r'^revision(?:: str)? = "(\w+)"', re.MULTILINE)
_BEFORE = re.compile(r"^down_revision(?:: [^=]+)? = (.+)$", re.MULTILINE)


class Schema(NamedTuple):
    """One database."""

    program: str  # Airflow or MLflow
    file: Path
    revision: str  # of the database
    known: bool  # whether the installed program has a migration to it: otherwise a newer version made the database
    is_current: bool


def schemas(settings: Settings) -> Iterator[Schema]:
    """Yield the schema of each SQLite database below `var` that exists.

    Raises:
        Damaged: a file is no database with a revision.
    """
    for program, file in {"Airflow": sqlite_file(settings), "MLflow": settings.mlflow_database}.items():
        if file.exists():
            revision = revision_of(file)
            known, newest = migrations(program)
            yield Schema(program, file, revision, revision in known, revision == newest)


def revision_of(file: Path) -> str:
    """Return the revision of a SQLite database.

    Raises:
        Damaged: the file is no database, or has none.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            (revision,) = connection.execute("select version_num from alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise Damaged(
            "A database must hold the revision of its schema.",
            f"{file}: {type(error).__name__}: {error}",
            "Bring the file back from a backup. Without one, move it away: the next start makes an empty one.",
        ) from error
    return str(revision)


class Migrations(NamedTuple):
    """The revisions that an installed program knows, and the newest."""

    known: frozenset[str]
    newest: str


def migrations(program: str) -> Migrations:
    """Return the migrations of the installed Airflow or MLflow."""
    package, folder = _MIGRATIONS[program]
    spec = importlib.util.find_spec(package)
    assert spec, f"{package} is not installed"  # noqa: S101 - a dependency
    assert spec.origin, package  # noqa: S101 - the same
    known: set[str] = set()
    before: set[str] = set()
    for file in (Path(spec.origin).parent / folder).glob("*.py"):
        text = file.read_text()
        known.update(_REVISION.findall(text))
        for names in _BEFORE.findall(text):
            before.update(re.findall(r'"(\w+)"', names))
    (newest,) = known - before
    return Migrations(frozenset(known), newest)
