"""The contract of a step, with the real steps, the real store and a real MLflow on SQLite."""

from pathlib import Path

import pytest

from pipeline import runner, runs
from pipeline.errors import DataError, PartlyFailed, Unavailable
from pipeline.prices import snapshot
from pipeline.steps import FLOW
from pipeline.tracking.runs import Runs
from tests.support.nights import folder_of, logged_runs, silent_for


def test_a_second_call_of_every_step_changes_nothing(finished, monkeypatch):
    """Finished work is reused: nothing is computed, no run, no model, no metric is added."""
    settings, batch = finished
    folder = Path(folder_of(settings, batch, "GOOD").url)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    client, experiment, found = logged_runs(settings)
    history = {run.info.run_id: client.get_metric_history(run.info.run_id, "loss") for run in found}
    monkeypatch.setattr("pipeline.forecasting.training.train", None)  # would be called by nobody
    assert runs.plan(settings, "manual__1") == [batch]
    runs.run_stage(settings, runs.Stage(FLOW, batch), None)
    with pytest.raises(DataError):
        runs.report("manual__1", settings=settings)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    again = logged_runs(settings).runs
    assert {run.info.run_id for run in again} == set(history)
    assert {run: [(p.step, p.value) for p in client.get_metric_history(run, "loss")] for run in history} == {
        run: [(p.step, p.value) for p in points] for run, points in history.items()
    }
    assert len(client.search_logged_models([experiment.experiment_id])) == 1


def test_a_lost_file_is_made_again_and_the_metrics_stay(finished):
    """A step whose output is gone runs again; the same inputs give the same figures."""
    settings, batch = finished
    folder = folder_of(settings, batch, "GOOD")
    before = folder.read("metrics.json")
    Path(folder.path("metrics.json")).unlink()
    runner.run("evaluate", batch, settings=settings)
    assert folder.read("metrics.json") == before


def test_the_broken_ticker_left_nothing_but_its_reason(finished):
    """One manifest with one critical finding; later steps did not touch it."""
    settings, batch = finished
    folder = folder_of(settings, batch, "BAD")
    assert [path.name for path in Path(folder.url).iterdir()] == ["ingest.manifest.json"]
    (finding,) = folder.manifest("ingest").outcome.findings
    assert finding.severity == "critical"
    assert "Price" in finding.observed


def test_a_failed_ticker_makes_its_step_red_and_no_later_one(finished):
    """Called again, the step names the ticker; the step after it goes on without it."""
    settings, batch = finished
    with pytest.raises(PartlyFailed, match="BAD failed") as failed:
        runner.run("ingest", batch, settings=settings)
    assert "GOOD" not in str(failed.value)
    assert runner.run("validate", batch, settings=settings) == batch


def test_inputs_and_outputs_are_named_by_their_hashes(finished):
    """What `train` read is what the steps before wrote."""
    settings, batch = finished
    folder = folder_of(settings, batch, "GOOD")
    train, scaled, laid = (folder.manifest(name) for name in ("train", "split_scale", "window"))
    assert train.inputs["scaled.npz"] == scaled.outputs["scaled.npz"]
    assert train.inputs["windows.json"] == laid.outputs["windows.json"]
    assert train.seconds > 0
    assert train.versions["keras"]


def test_a_service_that_is_away_is_worth_another_try(tiny, monkeypatch):
    """The task fails for a retry; on the last try only when no ticker is left; the retry then succeeds."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA", "BBB"), batch_size=2), "manual__away")
    real = snapshot.fetch
    monkeypatch.setattr(snapshot, "fetch", silent_for("BBB"))
    with pytest.raises(Unavailable, match="BBB failed"):
        runner.run("ingest", batch, settings=tiny, last_try=False)
    first = folder_of(tiny, batch, "AAA").manifest("ingest")
    with pytest.raises(PartlyFailed, match="BBB failed"):
        runner.run("ingest", batch, settings=tiny, last_try=True)
    monkeypatch.setattr(snapshot, "fetch", real)
    runner.run("ingest", batch, settings=tiny, last_try=False)
    assert not folder_of(tiny, batch, "BBB").manifest("ingest").failed
    assert folder_of(tiny, batch, "AAA").manifest("ingest") == first
    found = logged_runs(tiny).runs
    (run,) = (run for run in found if run.data.tags["ticker"] == "BBB")
    assert run.info.status == "RUNNING"
    assert (run.data.tags["findings.ingest"], run.data.tags["verdict"]) == ("", "in progress")
    assert "BBB failed" not in run.data.tags["mlflow.note.content"]


def test_a_lost_mlflow_costs_no_work(tiny, monkeypatch):
    """What was done stays in the store; the next call only logs it."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA",)), "manual__lost")

    def gone(*_args, **_kwargs):
        raise Unavailable("The MLflow server must answer.", "nothing", "Start it.")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "log_step", gone)
        with pytest.raises(Unavailable):
            runner.run("ingest", batch, settings=tiny)
    done = folder_of(tiny, batch, "AAA").manifest("ingest")
    monkeypatch.setattr(snapshot, "fetch", None)  # would be called by nobody
    runner.run("ingest", batch, settings=tiny)
    assert folder_of(tiny, batch, "AAA").manifest("ingest") == done
    found = logged_runs(tiny).runs
    logged = [run.data.tags for run in found if run.data.tags["ticker"] == "AAA"]
    assert [tags["data_sha256"] for tags in logged] == [done.outcome.tags["data_sha256"]]


def test_a_run_that_a_person_deleted_is_logged_again_before_its_version_is_registered(tiny):
    """The new run has the values of all steps, and the version belongs to it."""
    settings = runner.load_settings(tickers=("AAA",))
    (batch,) = runs.plan(settings, "manual__deleted")
    for step in FLOW[:-2]:
        runner.run(step.name, batch, settings=tiny)
    tracking = Runs(settings)
    (child,) = (run for run in logged_runs(tiny).runs if run.data.tags["ticker"] == "AAA")
    tracking.client.delete_run(child.info.run_id)
    runner.run("promote", batch, settings=tiny)
    (again,) = (run for run in logged_runs(tiny).runs if run.data.tags["ticker"] == "AAA")
    assert again.info.run_id != child.info.run_id
    assert set(child.data.metrics) <= set(again.data.metrics)
    (version,) = tracking.client.search_model_versions("name = 'closecast-AAA'")
    assert version.run_id == again.info.run_id
