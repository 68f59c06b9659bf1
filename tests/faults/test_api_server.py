"""Stops Airflow's API server during a run, with the time-outs of a night: the run completes."""

from __future__ import annotations

import time

import pytest

from pipeline.operations import stack
from pipeline.settings import load_settings
from tests.support.running import Running, check, set_tiny
from tests.support.signals import stopped
from tests.support.stacks import free_port
from tests.support.trainings import LONG, PATIENCE, SCHEDULER, training

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """Start a stack with the default time-outs."""
    ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
    with pytest.MonkeyPatch.context() as patch:
        settings = set_tiny(patch, tmp_path_factory.mktemp("patient"), **ports)
        try:
            stack.up(settings, print)
            patch.setenv("CLOSECAST_TRACKING_URI", f"http://127.0.0.1:{settings.mlflow_port}")
            running = Running(load_settings())
            assert running.end_of(running.scheduled_run(), PATIENCE) == "success"
            yield running
        finally:
            stack.down(settings, print)


@pytest.mark.parametrize("seconds", [20, 120])
def test_silent_while_it_trains(patient, seconds):
    """Airflow kills no task, and tries no task again."""
    run, ticker = f"silent-{seconds}", f"API{seconds}"
    patient.trigger(run, [ticker], LONG)
    task = training(patient)
    with stopped(patient.processes("airflow-api-server")):
        time.sleep(seconds)
    assert patient.end_of(run, PATIENCE) == "success"
    check(patient.settings, run, [ticker])
    tried = {one["task_id"]: one["try_number"] for one in patient.tasks(run)}
    assert set(tried.values()) == {1}, tried
    assert task.pid not in {one.pid for one in patient.processes(SCHEDULER)}
