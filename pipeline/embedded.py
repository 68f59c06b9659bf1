"""One run of the DAG `retrain` through Airflow in this process: no scheduler, no servers, SQLite below `var`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pipeline.settings import Settings


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[TextIO]:
    """Send everything that anything prints to `log`, and give the terminal itself to the caller.

    By file descriptor, because TensorFlow's C++ code and child processes know nothing of `sys.stdout`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with os.fdopen(os.dup(1), "w", buffering=1) as terminal, log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield terminal
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


def retrain(settings: Settings, params: Mapping[str, object]) -> str:
    """Run the DAG once and return the id of its run; whether it went well stands in the store.

    Args:
        settings: where things are. Its source of prices must be in the environment too, which the tasks read.
        params: of the DAG.

    Raises:
        PipelineError: when the stack of `make up` is running.
    """
    from pipeline.stack import airflow_environment, embedded_run, prepare

    os.environ.update(airflow_environment(settings))  # before Airflow is imported: it reads them then
    os.environ.setdefault("CLOSECAST_RETRY_SECONDS", "5")  # a person is waiting
    with embedded_run(settings):
        prepare(settings)
        return _run_dag(settings, params)


def _run_dag(settings: Settings, params: Mapping[str, object]) -> str:
    place = settings.home / "dags" / "retrain.py"
    spec = importlib.util.spec_from_file_location("closecast_retrain_dag", place)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - a path to a .py file has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.dag.test(run_conf=dict(params)).run_id)
