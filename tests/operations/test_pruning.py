"""Where MLflow's garbage is collected: only in a database of this checkout."""

import pytest

from pipeline import runs
from pipeline.errors import Unavailable
from pipeline.operations import airflow_tasks, pruning
from pipeline.operations.pruning import mlflow_backend
from tests.support.old_nights import leave_nights


def test_only_a_database_of_this_checkout_is_collected(tiny, monkeypatch):
    """SQLite below var, the server of `make up` on it, and the cluster's PostgreSQL; no other server or file."""
    own = f"sqlite:///{tiny.mlflow_database}"
    assert mlflow_backend(tiny) == own
    server = tiny.model_copy(update={"tracking_uri": "http://127.0.0.1:5000"})
    assert mlflow_backend(server) == ""
    tiny.mlflow_database.parent.mkdir(parents=True)
    tiny.mlflow_database.touch()
    assert mlflow_backend(server) == own
    assert mlflow_backend(tiny.model_copy(update={"tracking_uri": "http://elsewhere:5000"})) == ""
    assert mlflow_backend(tiny.model_copy(update={"tracking_uri": "sqlite:////elsewhere/mlflow.db"})) == ""
    for name in ("PGPASSFILE", "PGDATA", "AIRFLOW__CELERY__BROKER_URL_CMD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that the fixture puts it back
    cluster = mlflow_backend(tiny.model_copy(update={"cluster": True}))
    assert cluster == "postgresql+psycopg2://closecast@127.0.0.1:55432/mlflow"


def test_the_task_of_the_dag_deletes_and_counts(tiny, monkeypatch):
    """It waits for a night: the error is one that Airflow tries again."""
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "1")
    monkeypatch.setenv("CLOSECAST_KEEP_ROWS", "0")
    leave_nights(tiny, ("AAA",), 3, promoted=(2, 3))
    counts = airflow_tasks.prune()
    assert counts["units"] == 1
    assert counts["bytes"] > 500
    assert airflow_tasks.prune()["units"] == 0
    runs.plan(tiny, "manual__now")
    with pytest.raises(Unavailable, match="manual__now"):
        airflow_tasks.prune()
    assert pruning.look(tiny).pruned.units == 0
