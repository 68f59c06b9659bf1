"""Logging of steps, on a real MLflow with SQLite."""

import json

import pytest

from pipeline import runner, runs
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.nights import folder_of, logged_runs


@pytest.mark.usefixtures("tiny")
def test_logging_moves_no_alias_and_registers_no_version(monkeypatch):
    """All steps are logged and no effect is performed: the registry stays empty, though the gate promoted."""
    settings = runner.load_settings(tickers=("AAA",))
    (batch,) = runs.plan(settings, "manual__1")
    monkeypatch.setattr(runner, "_with_effects", lambda manifest, *_: manifest)
    for step in FLOW:
        runner.run(step.name, batch, settings=settings)
    run = Runs(settings).unit_run(read_plan(settings.store_url, batch["run"]), "AAA")
    assert {f"step.{step.name}" for step in FLOW} <= set(run.data.tags)
    assert run.data.tags["decision"].startswith("promoted")
    assert Registry(settings).versions("AAA") == []
    assert Registry(settings).champion("AAA") is None


@pytest.mark.usefixtures("tiny")
def test_a_step_that_was_killed_before_its_effects_performs_them_in_the_next_call(monkeypatch):
    """The manifest has no results: the step is reused, and its version is promoted once."""
    settings = runner.load_settings(tickers=("AAA",))
    (batch,) = runs.plan(settings, "manual__1")
    for step in FLOW[:-2]:
        runner.run(step.name, batch, settings=settings)

    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_with_effects", killed)
        with pytest.raises(KeyboardInterrupt):
            runner.run("promote", batch, settings=settings)
    assert Registry(settings).champion("AAA") is None
    runner.run("promote", batch, settings=settings)
    runner.run("promote", batch, settings=settings)
    plan = read_plan(settings.store_url, batch["run"])
    results = unit_folder(settings.store_url, "AAA", plan).manifest("promote").results
    assert (results.released.version, results.released.superseded) == (1, False)
    assert [one.number for one in Registry(settings).versions("AAA")] == [1]
    assert Registry(settings).champion("AAA").number == 1


def test_the_childs_figures_are_those_of_the_store(finished):
    """Metrics, parameters, one point per epoch, pictures, the dataset."""
    settings, batch = finished
    client, _, found = logged_runs(settings)
    run = next(run for run in found if run.data.tags["ticker"] == "GOOD")
    stored = json.loads(folder_of(settings, batch, "GOOD").read("metrics.json"))
    assert {name: run.data.metrics[name] for name in stored} == stored
    assert run.data.params["lookback"] == "5"
    assert run.data.params["seed"] == "0"
    for curve in ("loss", "val_loss", "gradient_norm"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, curve)] == [1, 2, 3]
    kept = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert {"forecast.png", "loss.png", "close.png", "validation.html", "metrics.json", "predictions.parquet"} <= kept
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "GOOD files"
