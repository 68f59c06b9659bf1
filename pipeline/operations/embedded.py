"""One run of the DAG `retrain` through Airflow in this process: no scheduler, no servers, SQLite below `var`."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.util
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from pipeline.settings import Settings

log = logging.getLogger(__name__)


def retrain(settings: Settings, overrides: Mapping[str, object]) -> str:
    """Run the DAG once and return the id of its run; whether it went well stands in the store.

    Airflow runs in a child process: it takes a Ctrl-C inside a task for a failure of that task, and tries it again.

    Args:
        settings: where things are. Its source of prices must be in the environment too, which the tasks read.
        overrides: fields of the preset to change for this run only.

    Raises:
        PipelineError: when the stack of `make up` is running, or Airflow came to no end.
    """
    from pipeline.operations.airflow_home import airflow_environment
    from pipeline.operations.stack import embedded_run

    os.environ.update(airflow_environment(settings))  # before Airflow is imported: it reads them then
    os.environ.setdefault("CLOSECAST_RETRIES", "1")  # a person is waiting
    os.environ.setdefault("CLOSECAST_RETRY_SECONDS", "5")
    params = settings.model_dump(
        mode="json",
        include={"tickers", "source", "preset", "start", "as_of", "fault", "accept_restated", "walk_forward"},
    )
    moment = dt.datetime.now(dt.UTC)
    dag_run_id = f"manual__{moment.isoformat()}"  # as Airflow will call it
    with embedded_run(settings):
        arguments = (settings.home / "dags" / "retrain.py", moment, {**params, "overrides": overrides})
        airflow = multiprocessing.get_context("fork").Process(target=_run_dag, args=arguments)
        airflow.start()
        try:
            airflow.join()
        finally:
            if airflow.exitcode != 0:  # None: the user had enough
                _kill(airflow)
                _end(dag_run_id, settings)
    if airflow.exitcode:
        found = f"exit code {airflow.exitcode}"
        raise PipelineError("Airflow must bring its run to an end.", found, "Read the end of the log in var/log.")
    return dag_run_id


def _run_dag(place: Path, moment: dt.datetime, conf: dict[str, object]) -> None:
    os.setsid()  # the terminal's Ctrl-C is for the parent
    spec = importlib.util.spec_from_file_location("closecast_retrain_dag", place)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - a path to a .py file has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.dag.test(run_after=moment, logical_date=moment, run_conf=conf)


def _kill(airflow: BaseProcess) -> None:
    with contextlib.suppress(ProcessLookupError):
        airflow.kill()
        os.killpg(airflow.pid or 0, signal.SIGKILL)
    airflow.join()


@contextlib.contextmanager
def _told(*errors: type[Exception]) -> Iterator[None]:
    """Log such an error and go on: what is told to the user is why the run ended, not that its end was not noted."""
    try:
        yield
    except errors:
        log.exception("The run could not be marked as ended.")


def _end(dag_run_id: str, settings: Settings) -> None:
    """Leave nothing that looks as if it still ran: the scheduler of `make up` would go on with it."""
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, State, TaskInstanceState
    from sqlalchemy import update
    from sqlalchemy.exc import OperationalError

    from pipeline import runs

    with _told(PipelineError):  # there may be no plan yet, or MLflow is what is away
        runs.stop(dag_run_id, settings)
    ended = {"end_date": dt.datetime.now(dt.UTC)}
    with _told(OperationalError), create_session() as session:
        tasks = update(TaskInstance).where(TaskInstance.run_id == dag_run_id)
        begun = TaskInstance.state == TaskInstanceState.RUNNING
        session.execute(tasks.where(begun).values(state=TaskInstanceState.FAILED, **ended))
        waiting = TaskInstance.state.is_(None) | TaskInstance.state.in_(State.unfinished)
        session.execute(tasks.where(waiting).values(state=TaskInstanceState.SKIPPED))
        run = update(DagRun).where(DagRun.run_id == dag_run_id)
        session.execute(run.values(state=DagRunState.FAILED, **ended))
