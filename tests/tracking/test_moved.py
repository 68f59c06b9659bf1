"""A `var` that was moved or copied: MLflow's files follow it."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import mlflow
import pytest

from pipeline.errors import PipelineError, Unavailable
from pipeline.tracking.client import connect
from pipeline.tracking.moved import follow_var
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs

PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def places(database):
    """Return every place of artifacts in MLflow's database."""
    with sqlite3.connect(database) as connection:
        return {
            str(place)
            for table, column in PLACES.items()
            for (place,) in connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608 - of this test
        }


@pytest.fixture
def a_run(tiny):
    """Return the settings of an experiment with one run that has a file."""
    runs = Runs(tiny)
    run_id = runs.client.create_run(runs.experiment).info.run_id
    runs.client.log_text(run_id, "before", "note.txt")
    return tiny, run_id


def log_later(settings):
    """Log a file to a new run; MLflow's client remembers the place of an old one in this process."""
    runs = Runs(settings)
    runs.client.log_text(runs.client.create_run(runs.experiment).info.run_id, "after", "later.txt")


def test_after_a_move_old_files_are_read_and_new_files_are_in_the_new_folder(a_run, tmp_path):
    """The old folder is not made again. The new path has signs that an address encodes."""
    settings, run_id = a_run
    moved = settings.model_copy(update={"var": tmp_path / "100% a #1"})
    settings.var_dir.rename(moved.var_dir)
    log_later(moved)
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/note.txt") == "before"
    assert not settings.var_dir.exists()
    assert len(list(moved.mlflow_artifacts.rglob("later.txt"))) == 1


def test_a_locked_database_is_an_error_and_its_records_follow_later(a_run, tmp_path, monkeypatch):
    """Otherwise this run would write into the old folder."""
    settings, _ = a_run
    new = tmp_path / "new" / "mlflow" / "artifacts"
    monkeypatch.setattr("pipeline.tracking.moved._LOCK_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(settings.mlflow_database)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="database is locked"):
            follow_var(settings.mlflow_database, new)
    follow_var(settings.mlflow_database, new)
    assert all(place.startswith(new.as_uri()) for place in places(settings.mlflow_database))


def test_a_copy_uses_its_own_files(a_run, tmp_path):
    """The original exists, and a trial in the copy must not change it."""
    settings, _ = a_run
    copied = settings.model_copy(update={"var": tmp_path / "copy"})
    shutil.copytree(settings.var_dir, copied.var_dir)
    log_later(copied)
    assert len(list(copied.mlflow_artifacts.rglob("later.txt"))) == 1
    assert list(settings.var_dir.rglob("later.txt")) == []


def test_a_champion_loads_after_a_move(two_nights, tmp_path):
    """Every record of runs, models and versions names the new folder."""
    moved = two_nights.model_copy(update={"var": tmp_path / "moved"})
    shutil.copytree(two_nights.var_dir, moved.var_dir)
    registry = Registry(moved)
    champion = registry.champion("AAA")
    assert champion is not None
    registry.load("AAA", champion)
    found = places(moved.mlflow_database)
    assert not [place for place in found if str(two_nights.var_dir) in place]
    assert [place for place in found if str(moved.var_dir) in place]


def test_a_champion_that_does_not_load_says_where_it_was_looked_for(two_nights, tmp_path):
    """A rollback cannot help when the whole folder is gone."""
    moved = two_nights.model_copy(update={"var": tmp_path / "moved"})
    shutil.copytree(two_nights.var_dir, moved.var_dir, ignore=shutil.ignore_patterns("artifacts"))
    registry = Registry(moved)
    champion = registry.champion("AAA")
    with pytest.raises(PipelineError, match="must load") as error:
        registry.load("AAA", champion)
    assert f"{moved.mlflow_artifacts}/models/{champion.model_id}/artifacts" in error.value.todo


def test_only_places_below_an_earlier_var_change(tmp_path):
    """Not an experiment in a bucket, on a server or in a folder of the user's own; a second call changes nothing."""
    database = tmp_path / "mlflow.db"
    rows = {
        "/old/var/mlflow/artifacts/1": "/new/var/mlflow/artifacts/1",
        "file:///old/a%20b/mlflow/artifacts": "file:///new/var/mlflow/artifacts",
        "s3://bucket/mlflow/artifacts/1": "s3://bucket/mlflow/artifacts/1",
        "mlflow-artifacts:/1": "mlflow-artifacts:/1",
        "/data/experiment": "/data/experiment",
        "/old/var/mlflow/artifacts2": "/old/var/mlflow/artifacts2",
    }
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE experiments (artifact_location TEXT)")
        connection.executemany("INSERT INTO experiments VALUES (?)", [(place,) for place in rows])
        connection.execute("CREATE TABLE runs (artifact_uri TEXT)")
        connection.execute("INSERT INTO runs VALUES ('/old/var/mlflow/artifacts/1/abc/artifacts')")
    for _ in range(2):
        follow_var(database, Path("/new/var/mlflow/artifacts"))
        with sqlite3.connect(database) as connection:
            assert [place for (place,) in connection.execute("SELECT * FROM experiments")] == list(rows.values())
            (run,) = connection.execute("SELECT * FROM runs").fetchone()
        assert run == "/new/var/mlflow/artifacts/1/abc/artifacts"


def test_a_new_database_makes_no_folder_in_the_current_folder(tiny, tmp_path, monkeypatch):
    """MLflow's own place for its experiment "Default" would be ./mlruns."""
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    client = connect(tiny)
    assert list(current.iterdir()) == []
    assert client.get_experiment("0").artifact_location == f"{tiny.mlflow_artifacts.as_uri()}/0"


def test_a_missing_and_an_empty_database_are_left_alone(tmp_path):
    """MLflow makes the tables itself."""
    follow_var(tmp_path / "none.db", tmp_path)
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "empty.db").touch()
    follow_var(tmp_path / "empty.db", tmp_path)
