"""Airflow's home below `var`: its settings, its secrets, its database."""

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
from pipeline.operations.servers import write_secret

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.settings import Settings


PROCESSES = max(2, min(4, os.cpu_count() or 2))  # tasks at once
# How patient Airflow is depends on the machine: what a user sets there stands, and tests need it short.
PATIENCE = ("AIRFLOW__SCHEDULER__", "AIRFLOW__WORKERS__", "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__", "MLFLOW_HTTP")


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that every Airflow process of this checkout needs; no secret is among them."""
    home, log = settings.var_dir / "airflow", settings.var_dir / "log" / "airflow"
    url = f"http://127.0.0.1:{settings.airflow_port}"
    airflow = {
        "CORE__DAGS_FOLDER": settings.home / "dags",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,  # `make up` means: the schedule is on
        "CORE__PARALLELISM": PROCESSES,
        "CORE__DAGBAG_IMPORT_TIMEOUT": 120,  # two busy cores import Airflow in 10 s
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",  # user and role
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
        # Longer than SQLite may wait for a lock: a scheduler that waits takes itself for dead and, when it goes on,
        # starts everything that runs a second time.
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 120,
        "WORKERS__MAX_FAILED_HEARTBEATS": 15,
        "WORKERS__EXECUTION_API_RETRIES": 8,
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": 30,
        "WORKERS__EXECUTION_API_TIMEOUT": 30,
    }
    airflow |= _cluster(settings) if settings.cluster else _this_machine(settings)
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
        "PYTHONDONTWRITEBYTECODE": "",  # each task is a process: compiling Airflow again takes longer than the task
        **{name: value for name, value in os.environ.items() if name.startswith(PATIENCE)},
    }


def _this_machine(settings: Settings) -> dict[str, object]:
    url = f"sqlite:///{_sqlite(settings)}?timeout=30"  # seconds to wait for a lock
    return {"CORE__EXECUTOR": "LocalExecutor", "DATABASE__SQL_ALCHEMY_CONN": url}


def _cluster(settings: Settings) -> dict[str, object]:
    return {
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__PARALLELISM": 4 * PROCESSES,  # tasks that wait for queue `gpu` must not keep the others from theirs
        "DATABASE__SQL_ALCHEMY_CONN": servers.database_url(settings, "airflow"),
        "SCHEDULER__TASK_QUEUED_TIMEOUT": 3600,  # a queue may be long; by default Airflow gives up after 10 minutes
        "CELERY__OPERATION_TIMEOUT": 10,  # seconds to hand a task to Redis, also while it restarts
        # Longer than any task: Redis hands out again what was not finished by then. What a dead worker held comes
        # back much sooner, by Airflow's own heartbeats.
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 86400,
    }


def prepare(settings: Settings) -> None:
    """Create folders and secrets, and bring both databases to the installed versions; quick when they are there.

    Raises:
        PipelineError: a database could not be migrated, or a server is not installed.
    """
    home, log = settings.var_dir / "airflow", settings.var_dir / "log" / "db-migrate.log"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (log.parent, settings.mlflow_artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    write_secret(password_file(settings), json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n")
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    write_secret(  # one place for what all processes must share; else each of them makes up its own
        home / "airflow.cfg",
        f"[core]\nfernet_key = {fernet_key}\n"
        f"[api]\nsecret_key = {secrets.token_urlsafe(32)}\n"
        f"[api_auth]\njwt_secret = {secrets.token_urlsafe(64)}\n",
    )
    if settings.cluster:
        servers.prepare(settings)
    place = settings.var_dir / "postgres" if settings.cluster else home  # it goes when the database goes
    marker, versions = place / "migrated-by", installed()
    if (settings.cluster or _sqlite(settings).exists()) and marker.exists() and marker.read_text() == versions:
        return
    needed = servers.postgres_for_a_moment(settings) if settings.cluster else contextlib.nullcontext()
    with log.open("a") as out, needed:
        for name, command in _migrations(settings).items():
            words, environment = [sys.executable, "-m", *command], os.environ | airflow_environment(settings)
            code = subprocess.run(words, env=environment, stdout=out, stderr=out, check=False).returncode
            if code:
                rule = f"{name}'s database must be migrated."
                raise PipelineError(rule, f"exit code {code}", f"Read the end of {log}.")
    marker.write_text(versions)


def installed() -> str:
    """Return the versions that decide on the schemas of both databases."""
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in ("apache-airflow-core", "mlflow"))


def _migrations(settings: Settings) -> dict[str, list[str]]:
    found = {"Airflow": ["airflow", "db", "migrate"]}
    file = settings.var_dir / "mlflow" / "mlflow.db"
    if settings.cluster:
        found["MLflow"] = ["mlflow", "db", "upgrade", servers.database_url(settings, "mlflow")]
    elif file.exists():  # MLflow makes a new one itself, but refuses an old one
        found["MLflow"] = ["mlflow", "db", "upgrade", f"sqlite:///{file}"]
    return found


def _sqlite(settings: Settings) -> Path:
    return settings.var_dir / "airflow" / "airflow.db"


def password_file(settings: Settings) -> Path:
    """Return where Airflow keeps the password of the one who logs in."""
    return settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated"
