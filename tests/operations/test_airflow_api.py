"""Airflow's API on a real stack. tests/faults/test_dag.py repeats the failed tasks of a real run with it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import Unavailable
from pipeline.operations import airflow_api
from pipeline.operations.airflow_api import clear_failed
from pipeline.operations.airflow_home import password_file
from pipeline.operations.processes import is_ours
from tests.support.stacks import free_port, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stacks import Started


def test_without_a_stack_there_is_no_run(tmp_path: Path) -> None:
    """The caller repeats the run itself."""
    assert clear_failed(settings_for(tmp_path), "manual__1") is None


def test_a_run_that_airflow_does_not_know(started: Started) -> None:
    """The login works, and the answer is 404; signs of a run's name stay in the path."""
    assert clear_failed(started.settings, "manual__2025-11-21T00:00:00+00:00") is None


def test_the_password_is_sent_to_a_process_of_the_stack_only(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program on the port of an Airflow that has died would read it."""
    assert is_ours(started.settings, started.settings.airflow_port)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        record = airflow_api.started.read(started.settings)
        assert record is not None
        elsewhere = record.model_copy(update={"ports": {**record.ports, "airflow_port": port}})
        monkeypatch.setattr(airflow_api.started, "read", lambda _settings: elsewhere)
        with pytest.raises(Unavailable, match=f"no process of the stack listens on port {port}"):
            clear_failed(started.settings, "manual__1")


def test_an_airflow_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """Another try may succeed."""
    settings = settings_for(tmp_path, airflow_port=free_port())
    password_file(settings).parent.mkdir(parents=True)
    password_file(settings).write_text('{"admin": "x"}')
    with pytest.raises(Unavailable, match="Airflow must answer"):
        airflow_api._Airflow(settings)
