"""Runs the DAG `retrain` once through Airflow without a scheduler or servers, on SQLite below `var`."""

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
from pipeline.settings.foreign import drop_foreign
from pipeline.settings.parameters import PARAMETERS

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from pipeline.settings import Settings

log = logging.getLogger(__name__)


def retrain(settings: Settings, overrides: Mapping[str, object]) -> str:
    """Run the DAG once and return the id of the run. The store holds the result.

    Airflow runs in a child process, because it handles a Ctrl-C inside a task as a failure and tries the task again.

    Args:
        settings: folders and parameters. The source of prices must be in the environment too: the tasks read it there.
        overrides: fields of the preset to change for this run only.

    Raises:
        PipelineError: the stack of `make up` is running, or Airflow did not finish the run.
    """
    from pipeline.operations.airflow_home import airflow_environment
    from pipeline.operations.stack import embedded_run

    drop_foreign(os.environ)
    os.environ.update(airflow_environment(settings))  # Airflow reads them on import
    os.environ.setdefault("CLOSECAST_RETRIES", "1")  # a person is waiting
    os.environ["CLOSECAST_ASK_HOURS"] = "0"  # and no scheduler would take an answer
    os.environ.setdefault("CLOSECAST_RETRY_SECONDS", "5")
    in_form = {parameter.name for parameter in PARAMETERS if parameter.in_form and parameter.name != "overrides"}
    params = settings.model_dump(mode="json", include=in_form)
    moment = dt.datetime.now(dt.UTC)
    dag_run_id = f"manual__{moment.isoformat()}"  # the id that Airflow will give the run
    with embedded_run(settings):
        arguments = (settings.home / "dags" / "retrain.py", moment, {**params, "overrides": overrides})
        airflow = multiprocessing.get_context("fork").Process(target=_run_dag, args=arguments)
        airflow.start()
        try:
            airflow.join()
        finally:
            if airflow.exitcode != 0:  # None after a Ctrl-C
                _kill_group(airflow)
                _mark_ended(dag_run_id, settings)
    if airflow.exitcode:
        log_folder = settings.var_dir / "log"
        raise PipelineError(
            "Airflow must finish its run.", f"exit code {airflow.exitcode}", f"Read the end of the log in {log_folder}."
        )
    return dag_run_id


def _run_dag(path: Path, moment: dt.datetime, conf: dict[str, object]) -> None:
    os.setsid()  # only the parent receives the terminal's Ctrl-C
    spec = importlib.util.spec_from_file_location("closecast_retrain_dag", path)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - a path to a .py file has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ended = module.dag.test(run_after=moment, logical_date=moment, run_conf=conf)

    from airflow.listeners.listener import get_listener_manager
    from sqlalchemy.exc import OperationalError

    from pipeline.operations.run_note import write_note

    with _log_failure(OperationalError):
        write_note(ended.run_id)
    # As Airflow's own processes do. OpenLineage's listener has a pool of processes, for which this process would wait.
    get_listener_manager().hook.before_stopping(component=ended)


def _kill_group(airflow: BaseProcess) -> None:
    with contextlib.suppress(ProcessLookupError):
        airflow.kill()
        os.killpg(airflow.pid or 0, signal.SIGKILL)
    airflow.join()


@contextlib.contextmanager
def _log_failure(*errors: type[Exception]) -> Iterator[None]:
    """Log such an error instead of raising it: the user needs the reason why the run ended."""
    try:
        yield
    except errors:
        log.exception("The run could not be marked as ended.")


def _mark_ended(dag_run_id: str, settings: Settings) -> None:
    """Mark the run and its tasks as ended in MLflow and Airflow; else the scheduler of `make up` would continue it."""
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, State, TaskInstanceState
    from sqlalchemy import update
    from sqlalchemy.exc import OperationalError

    from pipeline import runs

    with _log_failure(PipelineError):  # the plan may not exist yet, or MLflow does not answer
        runs.stop(dag_run_id, settings)
    ended = {"end_date": dt.datetime.now(dt.UTC)}
    with _log_failure(OperationalError), create_session() as session:
        tasks = update(TaskInstance).where(TaskInstance.run_id == dag_run_id)
        running = TaskInstance.state == TaskInstanceState.RUNNING
        session.execute(tasks.where(running).values(state=TaskInstanceState.FAILED, **ended))
        waiting = TaskInstance.state.is_(None) | TaskInstance.state.in_(State.unfinished)
        session.execute(tasks.where(waiting).values(state=TaskInstanceState.SKIPPED))
        run = update(DagRun).where(DagRun.run_id == dag_run_id)
        session.execute(run.values(state=DagRunState.FAILED, **ended))
