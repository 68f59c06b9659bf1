"""Airflow's API on a real stack. tests/faults/test_dag.py repeats the failed tasks of a real run with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.errors import Unavailable
from pipeline.operations import airflow_api
from pipeline.operations.airflow_api import clear_failed
from pipeline.operations.airflow_home import password_file
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


def test_an_airflow_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """Another try may succeed."""
    settings = settings_for(tmp_path, airflow_port=free_port())
    password_file(settings).parent.mkdir(parents=True)
    password_file(settings).write_text('{"admin": "x"}')
    with pytest.raises(Unavailable, match="Airflow must answer"):
        airflow_api._Airflow(settings)
