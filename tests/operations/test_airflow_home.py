"""Airflow's environment, and the migration of old databases before any process opens them."""

from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING

import alembic.command
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as db

from pipeline.errors import PipelineError
from pipeline.operations.airflow_home import airflow_environment, password_file, prepare, process_environment
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
    """Together with Airflow's. A second call starts no process."""
    settings, engine = older
    with pytest.raises(PipelineError, match="schema of the installed MLflow") as error, answering(settings.mlflow_uri):
        db._verify_schema(engine)  # as its client does for `closecast run`, which starts no Airflow
    assert "make run" in error.value.todo
    prepare(settings)
    db._verify_schema(engine)
    monkeypatch.setattr(subprocess, "run", None)
    prepare(settings)


def test_a_failed_migration_is_reported_and_tried_again(older):
    """The error names the database and the log."""
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


def test_environment_holds_no_secret_and_no_open_door(tmp_path: Path) -> None:
    """Airflow listens on 127.0.0.1 only, asks for a password, and gets no secret by environment."""
    environment = airflow_environment(settings_for(tmp_path))
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert not [name for name in environment if "SECRET" in name or "FERNET" in name]
    assert not list(tmp_path.iterdir())


def test_time_outs_of_the_user_win_and_addresses_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs and retries of the environment replace the defaults; the address of Airflow does not change."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS", "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")  # noqa: S104 - is what must not happen
    environment = airflow_environment(settings_for(tmp_path))
    assert environment["AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS"] == "3"
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIRFLOW__CORE__XCOM_BACKEND", "nowhere.Backend"),
        ("AIRFLOW__LOGGING__REMOTE_LOGGING", "true"),
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "false"),
        ("MLFLOW_BACKEND_STORE_URI", "sqlite:////nowhere.db"),
    ],
)
def test_variables_of_another_airflow_reach_no_process(tmp_path, monkeypatch, variable, value):
    """Neither the migration nor the stack."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    environment = process_environment(settings_for(tmp_path))
    assert variable not in environment
    assert environment["https_proxy"] == "http://proxy:3128"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_environment_of_the_cluster_holds_addresses_and_no_password(tmp_path: Path) -> None:
    """URLs have a user and a port; the passwords are in files."""
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    url = f"postgresql+psycopg2://closecast@127.0.0.1:{settings.postgres_port}/airflow"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url
    assert environment["AIRFLOW__CELERY__BROKER_URL_CMD"].startswith("cat ")
    assert "AIRFLOW__CELERY__BROKER_URL" not in environment
    assert settings.mlflow_uri == f"http://127.0.0.1:{settings.mlflow_port}"
    assert "sqlite" not in " ".join(environment.values())


def test_deleted_logins_are_generated_again(tmp_path: Path) -> None:
    """As docs/operating.md rotates them; all other secrets stay."""
    settings = settings_for(tmp_path)
    settings.mlflow_artifacts.mkdir(parents=True)
    prepare(settings)
    files = (password_file(settings), settings.mlflow_password_file)
    before = [file.read_text() for file in files]
    configuration = (settings.var_dir / "airflow" / "airflow.cfg").read_text()
    for file in files:
        file.unlink()
    prepare(settings)
    assert not {file.read_text() for file in files} & set(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert (settings.var_dir / "airflow" / "airflow.cfg").read_text() == configuration
