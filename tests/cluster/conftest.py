"""One cluster for all tests here, with time-outs so short that each fault is over within minutes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.operations import stack
from pipeline.settings import load_settings
from tests.cluster.cluster import Cluster
from tests.support.postgres import home_of_servers
from tests.support.running import TINY
from tests.support.stacks import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKERS = ("AAPL", "ADM", "AFL", "AON")
CLOSECAST = TINY | {
    "CLUSTER": "true",
    "GPU": "queue",
    "TICKERS": json.dumps(TICKERS),
    "SOURCE": "files",
    "START": "2016-01-04",
    "AS_OF": "2020-12-11",
    "BATCH_SIZE": "2",  # fewer tasks, and each has to load its libraries
}
AIRFLOW = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "WORKERS__MAX_FAILED_HEARTBEATS": "5",
    "WORKERS__EXECUTION_API_RETRIES": "5",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MIN": "0.5",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "3",
    "WORKERS__EXECUTION_API_TIMEOUT": "10",
    "WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "45",
}
MLFLOW = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}


@pytest.fixture(scope="session")
def cluster(test_data: Path) -> Iterator[Cluster]:
    """Start a cluster in a folder of its own; its schedule starts a run of `TICKERS` at once."""
    home = home_of_servers()
    variables = CLOSECAST | {"VAR": str(home), "PRICES": str(test_data / "panel")}
    ports = {f"{name}_port": free_port() for name in ("airflow", "mlflow", "postgres", "redis")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"CLOSECAST_{name}", value)
        for name, value in MLFLOW.items():
            patch.setenv(name, value)
        for name, value in AIRFLOW.items():
            patch.setenv(f"AIRFLOW__{name}", value)
        settings = load_settings(**ports)
        try:
            stack.up(settings, print)
            yield Cluster(settings)
        finally:
            stack.down(settings, print)
            if keep := os.environ.get("CLUSTER_LOGS"):
                shutil.copytree(home / "log", keep, dirs_exist_ok=True)
            shutil.rmtree(home)
