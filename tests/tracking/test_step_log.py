"""Logging of steps, on a real MLflow with SQLite."""

import datetime as dt
import json

import pytest
from mlflow.entities import Metric

from pipeline import runner, runs
from pipeline.outcome import Manifest, Outcome
from pipeline.plan import make_plan
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan, run_folder, unit_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from pipeline.tracking.step_log import _log_live, log_step
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
    assert run.data.tags["currency"] == "unknown"  # of files, unless CURRENCY states it
    assert not [name for name in run.data.metrics if "usd" in name]
    assert run.data.params["lookback"] == "5"
    assert run.data.params["seed"] == "0"
    for curve in ("loss", "val_loss", "gradient_norm"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, curve)] == [1, 2, 3]
    kept = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert {"forecast.png", "loss.png", "close.png", "validation.html", "metrics.json", "predictions.parquet"} <= kept
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "GOOD files"


def test_the_seconds_in_mlflow_are_logged_for_each_step_and_reported(finished):
    """In the ticker's run, in results.json and in the run of the whole DAG run."""
    settings, batch = finished
    found = {run.data.tags["ticker"]: run for run in logged_runs(settings).runs}
    waited = {
        ticker: {
            name.removeprefix("tracking_seconds."): float(value)
            for name, value in run.data.tags.items()
            if name.startswith("tracking_seconds.")
        }
        for ticker, run in found.items()
    }
    assert set(waited["GOOD"]) == {step.name for step in FLOW}
    assert set(waited["BAD"]) == {"ingest"}
    assert all(seconds > 0 for seconds in waited["GOOD"].values())
    reported = json.loads(run_folder(settings.store_url, batch["run"]).read("results.json"))["tickers"]
    sums = {one["ticker"]: one["tracking_seconds"] for one in reported}
    assert sums["GOOD"] == pytest.approx(sum(waited["GOOD"].values()))
    assert sums["BAD"] > 0  # other tests try BAD again
    assert found[""].data.metrics["tracking_seconds"] == pytest.approx(sum(sums.values()))


def test_many_points_of_curves_are_all_logged(tiny, tmp_path):
    """More than one request takes: each point is there, and the step counts as logged by its last request."""
    runs.plan(tiny, "manual__1")
    plan = read_plan(tiny.store_url, "manual__1")
    tracking = Runs(tiny)
    curves = {"loss": [float(epoch) for epoch in range(1, 1_501)]}
    manifest = Manifest(
        step="evaluate", key="this training", inputs={}, outputs={},
        outcome=Outcome(curves=curves, metrics={"weight": 0.5}),
        started=dt.datetime(2025, 11, 21, tzinfo=dt.UTC), seconds=1.0, peak_memory_mb=1.0, versions={"keras": "3"},
    )  # fmt: skip
    for _ in range(2):
        log_step(tracking, plan, "AAA", manifest, Folder(str(tmp_path)), last=False)
    run = tracking.unit_run(plan, "AAA")
    history = tracking.client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(epoch, epoch) for epoch in range(1, 1_501)]
    assert (run.data.metrics["weight"], run.data.tags["step.evaluate"]) == (0.5, "this training")


def test_the_series_of_an_earlier_version_goes_on_under_the_name_of_today(tiny):
    """Its points, `error_usd`, are in the chart of `error`, each once; a session that it has is not logged again."""
    now = dt.datetime(2025, 11, 24, 23, tzinfo=dt.UTC)
    plan = make_plan(tiny, "manual__1", now=now, moment=now, overrides={})
    tracking = Runs(tiny)
    run_id = tracking.live_run("AAA", synthetic=True).info.run_id
    days = [dt.date(2025, 11, 19), dt.date(2025, 11, 20)]
    old = [("error_usd", 1.5), ("rmse_usd_20", 2.5), ("sessions", 1.0)]
    tracking.client.log_batch(
        run_id, [Metric(name, value + day.day, 7, day.toordinal()) for day in days for name, value in old]
    )
    for day in (days[1], dt.date(2025, 11, 21), dt.date(2025, 11, 24)):
        _log_live(tracking, plan, "AAA", Outcome(live={"error": 0.5, "rmse_20": 0.6, "sessions": 3.0}), day)

    def series(name):
        points = tracking.client.get_metric_history(run_id, name)
        return [(dt.date.fromordinal(point.step).day, point.value) for point in points]

    assert series("error") == [(19, 20.5), (20, 21.5), (21, 0.5), (24, 0.5)]
    assert series("rmse_20") == [(19, 21.5), (20, 22.5), (21, 0.6), (24, 0.6)]
    assert series("error_usd") == [(19, 20.5), (20, 21.5)]
