"""The connection to MLflow, and its failures as errors of ours."""

import os
import sqlite3
import traceback

import mlflow
import pytest
from mlflow.exceptions import MlflowException, RestException

from pipeline.errors import PipelineError, Unavailable
from pipeline.settings import load_settings
from pipeline.tracking import client
from pipeline.tracking.client import answering, connect, gone_is_fine
from pipeline.tracking.server import check_answers

SERVER = "http://user:secret@127.0.0.1:9"


def test_an_mlflow_server_that_does_not_answer_is_told_at_once(monkeypatch):
    """Before its client starts minutes of retries, and without a password in the message."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9.*\n.*CLOSECAST_TRACKING_URI") as error:
        check_answers(SERVER, seconds=1)
    assert "secret" not in str(error.value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable) as error, answering(SERVER):
        mlflow.MlflowClient(SERVER).create_run("0")
    assert "127.0.0.1:9" in str(error.value)
    assert "secret" not in "".join(traceback.format_exception(error.value))  # what a task's log gets


def test_the_folder_and_the_tables_of_a_new_database_are_made(tiny):
    """The first run finds nothing below var/."""
    assert not tiny.var_dir.exists()
    client = connect(tiny)
    assert client.create_experiment("first") == "1"
    assert mlflow.get_tracking_uri() == tiny.mlflow_uri
    with sqlite3.connect(tiny.mlflow_uri.removeprefix("sqlite:///")) as database:
        assert database.execute("select count(*) from experiments").fetchone() == (2,)  # with MLflow's own default


def test_a_var_may_have_signs_of_sql_in_its_path(tmp_path, monkeypatch):
    """MLflow writes the place of its default experiment into a statement without escaping a '."""
    monkeypatch.setenv("CLOSECAST_VAR", str(tmp_path / "o'neill" / "var"))
    settings = load_settings()
    settings.mlflow_database.parent.mkdir(parents=True)
    settings.mlflow_database.touch()  # an empty file: MLflow makes all tables, none are copied
    assert connect(settings).get_experiment("0").artifact_location.endswith("/o%27neill/var/mlflow/artifacts/0")


def test_a_server_that_is_away_is_no_connection(tiny):
    """It fails before MLflow's client starts its retries."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as error:
        connect(tiny.model_copy(update={"tracking_uri": SERVER}))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [f"API request to {SERVER}/api/2.0/mlflow/runs/create failed with exception", "timed out", "database is locked"],
)
def test_a_failure_that_passes_is_unavailable_and_shows_no_password(text):
    """The original error holds the whole URL, so it is no part of the new one."""
    with pytest.raises(Unavailable) as error, answering(SERVER):
        raise MlflowException(text)
    assert error.value.retryable
    assert "secret" not in "".join(traceback.format_exception(error.value))


def test_a_full_disk_of_mlflow_is_unavailable():
    """The database's words are kept without MLflow's stack."""
    text = "Traceback ... OperationalError: (sqlite3.OperationalError) database or disk is full\n[SQL: INSERT]"
    with pytest.raises(Unavailable, match="must be able to write") as error, answering(SERVER):
        raise MlflowException(text)
    assert error.value.received == "(sqlite3.OperationalError) database or disk is full"
    with pytest.raises(Unavailable, match="No space left"), answering(SERVER):
        raise OSError(28, "No space left on device")


def test_an_old_schema_names_the_command_that_migrates_it():
    """A retry does not help."""
    with pytest.raises(PipelineError, match="mlflow db upgrade") as error, answering(SERVER):
        raise MlflowException("Detected out-of-date database schema (found version 1, but expected 2).")
    assert not error.value.retryable
    assert "secret" not in str(error.value)


def test_every_other_error_of_mlflow_stays_as_it_is():
    """It is a bug, and keeps its traceback."""
    with pytest.raises(MlflowException, match="a bug"), answering(SERVER):
        raise MlflowException("a bug")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("RESOURCE_DOES_NOT_EXIST", "Model Version (name=closecast-NFLX, version=1) not found"),
        ("INVALID_PARAMETER_VALUE", "The run abe2 must be in the 'active' state. Current state is deleted."),
    ],
)
def test_what_a_person_deleted_is_named_and_not_tried_again(code, text):
    """It is neither a bug nor an outage."""
    with pytest.raises(PipelineError, match="must not be deleted") as error, answering(SERVER):
        raise RestException({"error_code": code, "message": text})
    assert text in error.value.received
    assert not error.value.retryable


def test_only_a_missing_object_may_be_gone():
    """A deletion whose answer was lost is repeated, and finds nothing."""
    with gone_is_fine():
        raise RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"})
    with pytest.raises(RestException, match="no right"), gone_is_fine():
        raise RestException({"error_code": "PERMISSION_DENIED", "message": "no right"})


def test_variables_of_another_mlflow_change_no_connection(tiny, monkeypatch, tmp_path):
    """Neither runs nor models go to another server, and no other run is continued."""
    for name in ("TRACKING_URI", "REGISTRY_URI"):
        monkeypatch.setenv(f"MLFLOW_{name}", f"sqlite:///{tmp_path}/other.db")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mine")
    client = connect(tiny)
    client.create_registered_model("ours")
    assert mlflow.get_registry_uri() == mlflow.get_tracking_uri() == tiny.mlflow_uri
    assert not (tmp_path / "other.db").exists()
    assert "MLFLOW_RUN_ID" not in os.environ
    assert "MLFLOW_EXPERIMENT_NAME" not in os.environ
    assert os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] == "false"
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "mine"  # noqa: S105 - of this test


def test_the_stopwatch_counts_blocks_once_and_laps_inside_a_block(monkeypatch):
    """Requests are made in nested blocks; a step logs its seconds with its last request."""
    now = iter([10.0, 13.0, 17.0, 20.0, 20.5])
    monkeypatch.setattr(client.time, "perf_counter", lambda: next(now))
    stopwatch = client.Stopwatch()
    with stopwatch.running(), stopwatch.running():  # at 10
        assert stopwatch.lap() == 3
    # left at 17
    assert stopwatch.lap() == 4
    assert stopwatch.lap() == 0
    with pytest.raises(KeyError), stopwatch.running():  # at 20
        raise KeyError
    assert stopwatch.lap() == 0.5
