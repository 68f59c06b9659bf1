"""The figures of the test rows, through the real steps."""

import mlflow
import pandas as pd
import pytest

from tests.support.nights import night


def test_walk_forward_shows_each_fold_and_the_whole(tiny):
    """Each test row once, each by a network that could know no more than the row two before it."""
    folder = night("walked", "2025-11-21", walk_forward=3)
    rows = pd.read_parquet(folder.path("walk_forward.parquet"))
    tested = pd.read_parquet(folder.path("predictions.parquet"))
    assert rows.index.tolist() == tested.index.tolist()
    assert (pd.to_datetime(rows["cutoff"]) < rows.index - pd.Timedelta(days=1)).all()
    metrics = folder.manifest("evaluate").outcome.metrics
    assert metrics["walk_forward/naive_rmse"] == pytest.approx(metrics["naive_rmse"])
    client = mlflow.MlflowClient(tiny.mlflow_uri)
    (run,) = client.search_runs(["1"], "tags.ticker = 'AAA'")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "fold/skill")] == [1, 2, 3]
    assert run.data.metrics["walk_forward/skill"] == metrics["walk_forward/skill"]
