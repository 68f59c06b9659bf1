"""After `make setup` with newer versions, the databases of the older ones are migrated before anything opens them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import alembic.command
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as db

from pipeline.errors import PipelineError
from pipeline.operations.airflow_home import prepare
from pipeline.tracking.client import answering
from tests.support.stacks import settings_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def older(tmp_path: Path):
    """Return the settings of a home with a database of MLflow one schema back, and its engine."""
    settings = settings_for(tmp_path / "100% #1")
    (settings.var_dir / "mlflow").mkdir(parents=True)
    url = f"sqlite:///{settings.var_dir}/mlflow/mlflow.db"
    engine = db.create_sqlalchemy_engine(url)
    db._initialize_tables(engine)
    with engine.begin() as connection:
        config = db._get_alembic_config(url)
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "-1")
    with pytest.raises(MlflowException, match="out-of-date"):
        db._verify_schema(engine)
    yield settings, engine
    engine.dispose()


def test_mlflows_database_is_migrated_once(older, monkeypatch):
    """Beside Airflow's. When nothing is new, nothing is started."""
    settings, engine = older
    with pytest.raises(PipelineError, match="schema of the installed MLflow") as error, answering(settings.mlflow_uri):
        db._verify_schema(engine)  # as its client does for `closecast run`, which starts no Airflow
    assert "make run" in error.value.todo
    prepare(settings)
    db._verify_schema(engine)
    monkeypatch.setattr(subprocess, "run", None)
    prepare(settings)


def test_a_migration_that_fails_is_told_and_tried_again(older):
    """With the name of the database, and where to read on."""
    settings, engine = older
    file = settings.var_dir / "mlflow" / "mlflow.db"
    kept = file.read_bytes()
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(PipelineError, match="MLflow's database must be migrated") as error:
        prepare(settings)
    assert "db-migrate.log" in error.value.todo
    engine.dispose()
    file.write_bytes(kept)
    prepare(settings)
    db._verify_schema(engine)
