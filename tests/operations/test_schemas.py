"""The schemas of real databases beside those of the installed programs."""

import os
import sqlite3
import subprocess
import sys

import mlflow
import pytest

from pipeline.errors import Damaged
from pipeline.operations import schemas
from tests.support.stacks import settings_for

HEAD = "from airflow.utils.db import _REVISION_HEADS_MAP as heads; print(list(heads.values())[-1])"


@pytest.fixture
def settings(tmp_path):
    """Return settings with an empty database of the installed MLflow."""
    made = settings_for(tmp_path)
    made.mlflow_database.parent.mkdir(parents=True)
    mlflow.MlflowClient(f"sqlite:///{made.mlflow_database}").search_experiments()
    return made


def set_revision(file, revision):
    """Let a database have another revision."""
    with sqlite3.connect(file) as connection:
        connection.execute("update alembic_version set version_num = ?", [revision])


def test_a_database_that_the_installed_mlflow_made_is_current(settings):
    """So the migrations are read as Alembic reads them."""
    (found,) = schemas.schemas(settings)
    assert (found.program, found.known, found.is_current) == ("MLflow", True, True)


def test_the_newest_migration_of_airflow_is_airflows_own_word(tmp_path):
    """Airflow keeps a list of its releases."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HEAD],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert schemas.migrations("Airflow").newest == done.stdout.split()[-1]


def test_an_older_and_a_newer_database_are_told_apart(settings):
    """An older one can be migrated; a newer one needs a newer program."""
    known = schemas.migrations("MLflow").known
    older = next(iter(known - {schemas.migrations("MLflow").newest}))
    for revision, is_known in ((older, True), ("ffffffffffff", False)):
        set_revision(settings.mlflow_database, revision)
        (found,) = schemas.schemas(settings)
        assert (found.revision, found.known, found.is_current) == (revision, is_known, False)


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_file_without_a_revision_is_damaged(tmp_path, content):
    """It names the file; a look makes no table."""
    file = tmp_path / "airflow.db"
    file.write_bytes(content)
    with pytest.raises(Damaged, match=r"airflow\.db"):
        schemas.revision_of(file)
    assert file.read_bytes() == content
