"""The connection to MLflow. Its failures become errors of ours."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("DO_NOT_TRACK", "true")  # before the import: no telemetry of a trading desk's job

import mlflow
from mlflow.exceptions import MlflowException

from pipeline.errors import PipelineError, Unavailable, without_secrets
from pipeline.settings.foreign import MLFLOW, drop_foreign
from pipeline.tracking.login import USER
from pipeline.tracking.moved import follow_var
from pipeline.tracking.server import check_answers, no_answer, refused_login

if TYPE_CHECKING:
    from pipeline.settings import Settings


def connect(settings: Settings) -> mlflow.MlflowClient:
    """Return a client, with the folder of a SQLite database made where it is missing.

    Raises:
        Unavailable: when a server does not answer.
    """
    uri = settings.mlflow_uri
    check_answers(uri)
    drop_foreign(os.environ, MLFLOW)
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # an answer means that MLflow keeps the value
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # the end of each run would cost a request more
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    _log_in(settings)
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)  # MLFLOW_REGISTRY_URI, read once, would send the models elsewhere
    with answering(uri), _sqlite_lock(uri):
        if uri == f"sqlite:///{settings.mlflow_database}":
            follow_var(settings.mlflow_database, settings.mlflow_artifacts)
        # On SQLite the files of MLflow's experiment "Default" would go to `mlruns` in the current folder.
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = settings.mlflow_artifacts.as_uri()
        return mlflow.MlflowClient(uri, uri)


def _log_in(settings: Settings) -> None:
    """Give MLflow's client the login of the server that this checkout starts; for other servers change nothing.

    The client reads the login from the environment, for artifacts too. A login of the shell belongs to another server
    and is replaced.
    """
    if not settings.uses_own_mlflow_server:
        return
    with contextlib.suppress(FileNotFoundError):  # the server was started without `make up`
        password = settings.mlflow_password_file.read_text().strip()
        os.environ["MLFLOW_TRACKING_USERNAME"] = USER
        os.environ["MLFLOW_TRACKING_PASSWORD"] = password


@contextlib.contextmanager
def _sqlite_lock(uri: str) -> Iterator[None]:
    """Let one client at a time create the tables of SQLite: migrations of two clients at once fail."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    database = Path(uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Stopwatch:
    """Sums up the seconds of this process in blocks of `answering`, where all of its requests to MLflow are made."""

    def __init__(self) -> None:
        """Start at 0."""
        self._seconds = 0.0
        self._since: float | None = None  # start of the outermost block, None outside

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds of a block; a block inside it counts once."""
        if self._since is not None:
            yield
            return
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._add_running()
            self._since = None

    def lap(self) -> float:
        """Return the seconds since the last lap, and start the next one."""
        self._add_running()
        seconds = self._seconds
        self._seconds = 0.0
        return seconds

    def _add_running(self) -> None:
        if self._since is not None:
            now = time.perf_counter()
            self._seconds += now - self._since
            self._since = now


tracking_time = Stopwatch()


@contextlib.contextmanager
def answering(uri: str) -> Iterator[None]:
    """Raise errors of ours for MLflow's, and count the seconds.

    Raises:
        Unavailable: MLflow is away, locked or full.
        PipelineError: it refuses the login, has an old schema, or an object was deleted.
    """
    with tracking_time.running(), _own_errors(uri):
        yield


@contextlib.contextmanager
def _own_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if "error code 401" in str(error):
            raise refused_login(uri) from None
        if "API request to" in str(error) or "timed out" in str(error) or "database is locked" in str(error):
            raise no_answer(uri, str(error)) from None  # its text holds the whole URL with the password
        if "out-of-date database schema" in str(error):
            raise PipelineError(
                "MLflow's database must have the schema of the installed MLflow.",
                without_secrets(uri),
                "Run `make run` or `make up` once, which migrate var/. Another one: .venv/bin/mlflow db upgrade URL.",
            ) from None
        if "OperationalError" in str(error):
            raise _refused(str(error)) from error
        if error.error_code == "RESOURCE_DOES_NOT_EXIST" or "must be in the 'active' state" in str(error):
            raise PipelineError(
                "What a run uses in MLflow must not be deleted before the run has ended.",
                without_secrets(str(error), uri)[:200],
                "Clear the failed task in Airflow, or start a new run: both make a deleted run or version again.",
            ) from error
        raise
    except OSError as error:  # of its artifacts
        raise _refused(str(error)) from error


@contextlib.contextmanager
def gone_is_fine() -> Iterator[None]:
    """Accept in this block that the object is gone: MLflow's client repeats a deletion whose answer was lost."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _refused(received: str) -> Unavailable:
    """Return the error of an MLflow with a full or locked disk. Another try may succeed."""
    words = received[received.find("(sqlite3") if "(sqlite3" in received else 0 :].partition("\n")[0]
    return Unavailable(
        "MLflow must be able to write.", words[:200], "Look whether its disk has room and belongs to you."
    )
