"""Deletion in MLflow, on SQLite: only what is named, never what is protected or has an alias."""

import pytest
from mlflow.entities import ViewType

from pipeline.operations.pruning import mlflow_backend
from pipeline.tracking import deletion
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.old_nights import leave_nights


@pytest.fixture
def two(tiny):
    """Return settings and two nights of two tickers."""
    return tiny, leave_nights(tiny, ("AAA", "BBB"), 2)


def runs_of(runs, plan, kind=ViewType.ALL):
    found = runs.client.search_runs([runs.experiment], f"tags.dag_run_id = '{plan.dag_run_id}'", run_view_type=kind)
    return sorted(run.data.tags["ticker"] for run in found)


def test_a_version_with_an_alias_is_left(two):
    """Although the caller names it: a person may have given the alias meanwhile."""
    settings, _ = two
    runs = Runs(settings)
    registry = Registry(settings)
    runs.client.set_registered_model_alias("closecast-AAA", "mine", "1")
    assert deletion.delete_versions(runs, "AAA", registry.versions("AAA")).versions == 0
    runs.client.delete_registered_model_alias("closecast-AAA", "mine")
    assert deletion.delete_versions(runs, "AAA", registry.versions("AAA")).versions == 1
    assert [one.number for one in registry.versions("AAA")] == [2]
    assert registry.aliases("AAA") == {"champion": 2, "challenger": 2}
    assert registry.aliases("NONE") == {}


def test_protected_runs_and_models_stay_and_other_tickers_too(two):
    """Garbage collection then removes the rest for good, with its files; a second one finds nothing."""
    settings, (first, second) = two
    runs = Runs(settings)
    champion = Registry(settings).champion("AAA")
    keep = deletion.protected([champion])
    assert champion.run_id in keep.run_ids  # the first night trained the weights that the second continues
    done = deletion.delete_runs(runs, first.dag_run_id, ("AAA", "BBB"), keep, lambda: None)
    assert done == (0, 1, 1)
    assert runs_of(runs, first, ViewType.ACTIVE_ONLY) == ["", "AAA"]
    done = deletion.delete_runs(runs, second.dag_run_id, ("AAA",), keep, lambda: None)
    assert done == (0, 0, 1)  # the run goes, and its model is the champion's
    files = sum(file.is_file() for file in settings.mlflow_artifacts.rglob("*"))
    gone = {("BBB", first.dag_run_id)}
    assert deletion.collect_garbage(runs, mlflow_backend(settings), gone, lambda: None) == 1
    assert sum(file.is_file() for file in settings.mlflow_artifacts.rglob("*")) == files - 3
    assert deletion.collect_garbage(runs, mlflow_backend(settings), gone, lambda: None) == 0
    assert runs_of(runs, second) == ["", "AAA", "BBB"]
