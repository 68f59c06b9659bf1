"""One stack for the tests of a module, with short time-outs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.operations import stack
from pipeline.settings import load_settings
from tests.support.running import Running, set_tiny
from tests.support.stacks import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "45",  # longer than SQLite's 30 s
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MIN": "0.5",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "3",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "10",
    "AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@pytest.fixture(scope="module")  # its environment must not reach the tests of another stack
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start Airflow and MLflow in a folder of their own; the schedule starts a run of NIGHT at once."""
    home = tmp_path_factory.mktemp("stack")
    ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
    with pytest.MonkeyPatch.context() as patch:
        settings = set_tiny(patch, home, **ports)
        for name, value in IMPATIENT.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(Path(__file__).with_name("site")))
        patch.setenv("DIE_AT", str(home / "die-at"))
        try:
            stack.up(settings, print)
            patch.setenv("CLOSECAST_TRACKING_URI", f"http://127.0.0.1:{settings.mlflow_port}")
            yield Running(load_settings())
        finally:
            stack.down(settings, print)
            if keep := os.environ.get("FAULT_LOGS"):
                shutil.copytree(home / "log", keep, dirs_exist_ok=True)
