"""Airflow's home below `var`: its settings and secrets, and the schemas of Airflow's and MLflow's databases."""

from __future__ import annotations

import base64
import contextlib
import importlib.metadata
import json
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.operations import servers
from pipeline.operations.secret_file import write_secret
from pipeline.settings.foreign import TIME_OUTS, foreign_variables
from pipeline.settings.private_folders import make_private_folders
from pipeline.tracking.moved import follow_var

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.settings import Settings

PARALLEL_TASKS = max(2, min(4, os.cpu_count() or 2))


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the variables, none of them secret, that every Airflow process of this checkout needs."""
    home = settings.var_dir / "airflow"
    log = settings.var_dir / "log" / "airflow"
    url = f"http://127.0.0.1:{settings.airflow_port}"
    airflow = {
        "CORE__DAGS_FOLDER": settings.home / "dags",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,  # `make up` starts the schedule
        "CORE__PARALLELISM": PARALLEL_TASKS,
        "CORE__DAGBAG_IMPORT_TIMEOUT": 120,  # two busy cores need 10 s to import Airflow
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",  # <user>:<role>
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": False,
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": password_file(settings),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__BASE_URL": url,
        "API__HOST": "127.0.0.1",
        "API__PORT": settings.airflow_port,
        "API__WORKERS": 1,
        "OPERATORS__DEFAULT_QUEUE": "default",
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 30,
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": 180,
        "LOGGING__BASE_LOG_FOLDER": log,
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": log / "dag_processor",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 60,
        # Longer than the wait for a lock of SQLite: a scheduler that misses its own heartbeat while it waits would
        # start every running task a second time.
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 120,
        "WORKERS__MAX_FAILED_HEARTBEATS": 15,
        "WORKERS__EXECUTION_API_RETRIES": 8,
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": 30,
        "WORKERS__EXECUTION_API_TIMEOUT": 30,
    }
    airflow |= _celery_executor(settings) if settings.cluster else _local_executor(settings)
    return {
        **{f"AIRFLOW__{name}": str(value) for name, value in airflow.items()},
        **(servers.environment(settings) if settings.cluster else {}),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "CLOSECAST_HOME": str(settings.home),
        "CLOSECAST_VAR": str(settings.var_dir),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "DO_NOT_TRACK": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONDONTWRITEBYTECODE": "",  # each task would compile Airflow again, which takes longer than the task
        **{name: value for name, value in os.environ.items() if name.startswith(TIME_OUTS)},
    }


def process_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of this process as one of Airflow's needs it, without variables of other programs."""
    foreign = foreign_variables(os.environ)
    ours = {name: value for name, value in os.environ.items() if name not in foreign}
    return ours | airflow_environment(settings)


def _local_executor(settings: Settings) -> dict[str, object]:
    url = f"sqlite:///{sqlite_file(settings)}?timeout=30"  # seconds to wait for a lock
    return {"CORE__EXECUTOR": "LocalExecutor", "DATABASE__SQL_ALCHEMY_CONN": url}


def _celery_executor(settings: Settings) -> dict[str, object]:
    return {
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__PARALLELISM": 4 * PARALLEL_TASKS,  # tasks that wait for queue `gpu` must not block the others
        "DATABASE__SQL_ALCHEMY_CONN": servers.database_url(settings, "airflow"),
        "SCHEDULER__TASK_QUEUED_TIMEOUT": 3600,  # seconds, because a queue may be long; Airflow's default is 10 minutes
        "CELERY__WORKER_CONCURRENCY": PARALLEL_TASKS,
        "CELERY__OPERATION_TIMEOUT": 10,  # seconds to send a task to Redis; it may be restarting
        # Longer than any task: Redis delivers an unfinished task again after this time. Airflow's heartbeats return
        # the task of a dead worker much sooner.
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 86400,
    }


def prepare(settings: Settings) -> None:
    """Create folders and secrets, and migrate both databases to the installed versions, unless that is done already.

    Raises:
        PipelineError: a database could not be migrated, or a server is not installed.
    """
    log = settings.var_dir / "log" / "db-migrate.log"
    make_private_folders(settings.var_dir)
    settings.mlflow_artifacts.mkdir(exist_ok=True)
    follow_var(settings.mlflow_database, settings.mlflow_artifacts)
    _write_secrets(settings)
    if settings.cluster:
        servers.prepare(settings)
    marker = migration_marker(settings)
    versions = schema_versions()
    exists = settings.cluster or sqlite_file(settings).exists()
    if exists and marker.exists() and marker.read_text() == versions:
        return
    database = servers.temporary_postgres(settings) if settings.cluster else contextlib.nullcontext()
    with database:
        _migrate(settings, log)
    marker.write_text(versions)


def migration_marker(settings: Settings) -> Path:
    """Return the file with the `schema_versions` that the databases have; it is deleted together with Airflow's."""
    return settings.var_dir / ("postgres" if settings.cluster else "airflow") / "migrated-by"


def schema_versions() -> str:
    """Return the installed versions of the packages that define the schemas of both databases."""
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in ("apache-airflow-core", "mlflow"))


def _write_secrets(settings: Settings) -> None:
    write_secret(password_file(settings), json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n")
    write_secret(settings.mlflow_password_file, secrets.token_urlsafe(24))
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    write_secret(  # all processes must share these; without the file each would generate its own
        settings.var_dir / "airflow" / "airflow.cfg",
        f"[core]\nfernet_key = {fernet_key}\n"
        f"[api]\nsecret_key = {secrets.token_urlsafe(32)}\n"
        f"[api_auth]\njwt_secret = {secrets.token_urlsafe(64)}\n",
    )


def _migrate(settings: Settings, log: Path) -> None:
    environment = process_environment(settings)
    with log.open("a") as out:
        for name, command in _migrations(settings).items():
            words = [sys.executable, "-m", *command]
            code = subprocess.run(words, env=environment, stdout=out, stderr=out, check=False).returncode
            if code:
                rule = f"{name}'s database must be migrated to the installed version."
                raise PipelineError(rule, f"exit code {code}", f"Read the end of {log}.")


def _migrations(settings: Settings) -> dict[str, list[str]]:
    commands = {"Airflow": ["airflow", "db", "migrate"]}
    file = settings.mlflow_database
    if settings.cluster:
        commands["MLflow"] = ["mlflow", "db", "upgrade", servers.database_url(settings, "mlflow")]
    elif file.exists():  # MLflow creates a missing database itself, but refuses an old one
        commands["MLflow"] = ["mlflow", "db", "upgrade", f"sqlite:///{file}"]
    return commands


def sqlite_file(settings: Settings) -> Path:
    """Return the SQLite database of Airflow below `var`."""
    return settings.var_dir / "airflow" / "airflow.db"


def password_file(settings: Settings) -> Path:
    """Return the file in which Airflow keeps the password of the user `admin`."""
    return settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated"
