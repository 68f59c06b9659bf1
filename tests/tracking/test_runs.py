"""MLflow's runs: found again by their tags, and ended as what they are."""

import mlflow
import pytest

from pipeline import runs
from pipeline.errors import PipelineError
from pipeline.store.runs import read_plan
from pipeline.tracking import runs as tracking_runs
from pipeline.tracking.runs import Runs
from tests.support.nights import logged_runs


@pytest.fixture
def plan(tiny):
    """Return the plan of a run of AAA and BBB that has no MLflow run yet."""
    runs.plan(tiny, "manual__plan")
    return read_plan(tiny.store_url, "manual__plan").model_copy(update={"dag_run_id": "manual__1", "run": "manual__1"})


def statuses(settings):
    """Return the status of each run of `manual__1`, by ticker."""
    found = [run for run in logged_runs(settings).runs if run.data.tags["dag_run_id"] == "manual__1"]
    return {run.data.tags["ticker"]: run.info.status for run in found}


def test_there_is_one_parent_and_one_child_per_ticker(finished):
    """Found by tags; the child of the broken file is failed, and so is the parent."""
    settings, _ = finished
    found = logged_runs(settings).runs
    by_ticker = {run.data.tags["ticker"]: run for run in found}
    assert len(found) == 3
    assert {ticker: run.info.status for ticker, run in by_ticker.items()} == {
        "": "FAILED", "GOOD": "FINISHED", "BAD": "FAILED",
    }  # fmt: skip
    parent = by_ticker[""].info.run_id
    assert {by_ticker[t].data.tags["mlflow.parentRunId"] for t in ("GOOD", "BAD")} == {parent}
    assert "'Date', 'Price'" in by_ticker["BAD"].data.tags["findings.ingest"]


def test_a_run_is_opened_once_and_found_again(tiny, plan):
    """By another process too; a child is below the parent."""
    first = Runs(tiny)
    parent = first.open_parent(plan)
    child = first.unit_run(plan, "AAA")
    second = Runs(tiny)
    assert second.open_parent(plan) == parent
    assert second.unit_run(plan, "AAA").info.run_id == child.info.run_id
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.info.run_name == "AAA 2025-11-21 daily, synthetic prices"
    assert statuses(tiny) == {"": "RUNNING", "AAA": "RUNNING"}


def test_the_runs_of_all_tickers_are_read_in_one_request(tiny, plan, monkeypatch):
    """And then each of them by its id and anew: another step may have logged meanwhile."""
    opened = {ticker: Runs(tiny).unit_run(plan, ticker).info.run_id for ticker in ("AAA", "BBB", "CCC")}
    monkeypatch.setattr(tracking_runs, "_ids", {})  # as in another process
    tracking = Runs(tiny, together=True)
    searches = []
    search = mlflow.MlflowClient.search_runs

    def counted(self, *given, **named):
        searches.append(given)
        return search(self, *given, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "search_runs", counted)
    assert {ticker: tracking.unit_run(plan, ticker).info.run_id for ticker in opened} == opened
    assert len(searches) == 1
    tracking.client.set_tag(opened["BBB"], "model_id", "m-1")
    assert tracking.unit_run(plan, "BBB").data.tags["model_id"] == "m-1"
    assert Runs(tiny).unit_run(plan, "CCC").info.run_id == opened["CCC"]
    assert len(searches) == 1


def test_runs_beyond_one_page_are_found_too(tiny, plan, monkeypatch):
    """MLflow gives 1,000 runs at once; a night may have more."""
    tracking = Runs(tiny)
    for ticker in ("AAA", "BBB", "CCC"):
        tracking.unit_run(plan, ticker)
    search = mlflow.MlflowClient.search_runs
    monkeypatch.setattr(
        mlflow.MlflowClient,
        "search_runs",
        lambda self, *given, **named: search(self, *given, **{"max_results": 1} | named),
    )
    tracking.kill(plan)
    assert set(statuses(tiny).values()) == {"KILLED"}


def test_of_two_runs_that_were_opened_at_once_the_oldest_is_kept(tiny, plan, monkeypatch):
    """Both processes look before either has opened its run."""
    tracking = Runs(tiny)
    tracking.open_parent(plan)
    monkeypatch.setattr(Runs, "_find", lambda *_: None)
    kept = []
    for _ in range(2):
        monkeypatch.setattr(tracking_runs, "_ids", {})
        kept.append(tracking.unit_run(plan, "AAA").info.run_id)
    assert kept[0] == kept[1]
    assert statuses(tiny) == {"": "RUNNING", "AAA": "RUNNING"}
    assert len(logged_runs(tiny).runs) == 3  # with the run of the fixture


def test_a_closed_run_has_its_figures_its_page_and_no_open_child(tiny, plan):
    """A child that did not end was killed; one that ended keeps its status."""
    tracking = Runs(tiny)
    tracking.unit_run(plan, "AAA")
    done = tracking.unit_run(plan, "BBB").info.run_id
    tracking.set_status(done, "FINISHED")
    for _ in range(2):  # the answer of the first call was lost
        tracking.close_parent(
            plan,
            failed=True,
            metrics={"tickers_done": 1.0},
            files={"report.html": b"<p>page</p>", "manifests/AAA.json": b"[]"},
            note="**1** done",
        )
    assert statuses(tiny) == {"": "FAILED", "AAA": "KILLED", "BBB": "FINISHED"}
    parent = tracking.client.get_run(tracking.unit_run(plan, "").info.run_id)
    history = tracking.client.get_metric_history(parent.info.run_id, "tickers_done")
    assert [(point.value, point.timestamp) for point in history] == [(1.0, int(plan.created.timestamp() * 1000))]
    assert [one.path for one in tracking.client.list_artifacts(parent.info.run_id)] == ["manifests", "report.html"]


def test_a_killed_run_has_no_open_run_left_and_another_run_stays_open(tiny, plan):
    """Only what belongs to the stopped DAG run is ended."""
    tracking = Runs(tiny)
    tracking.unit_run(plan, "AAA")
    tracking.kill(plan)
    assert statuses(tiny) == {"": "KILLED", "AAA": "KILLED"}
    other = [run.info.status for run in logged_runs(tiny).runs if run.data.tags["dag_run_id"] == "manual__plan"]
    assert other == ["RUNNING"]


def test_a_run_that_is_opened_again_has_no_end(tiny, plan):
    """A task that is cleared continues its run."""
    tracking = Runs(tiny)
    run_id = tracking.open_parent(plan)
    tracking.set_status(run_id, "FINISHED")
    assert tracking.client.get_run(run_id).info.end_time is not None
    assert tracking.open_parent(plan) == run_id
    assert tracking.client.get_run(run_id).info.status == "RUNNING"


def test_served_forecasts_have_one_run_per_ticker_and_market(tiny):
    """Scores of synthetic prices never join those of real prices."""
    tracking = Runs(tiny)
    synthetic = tracking.live_run("AAA", synthetic=True).info.run_id
    assert tracking.live_run("AAA", synthetic=True).info.run_id == synthetic
    assert len({synthetic, *(tracking.live_run(one, synthetic=False).info.run_id for one in ("AAA", "BBB"))}) == 3


def test_the_experiment_names_its_first_metric_and_its_page(tiny, plan):
    """MLflow's page sorts by it; links in alerts lead to a run of it."""
    tracking = Runs(tiny)
    experiment = logged_runs(tiny).experiment
    assert experiment.tags["mlflow.experiment.primaryMetric.name"] == "skill"
    run_id = tracking.open_parent(plan)
    assert tracking.page(run_id).endswith(
        f"/#/experiments/{experiment.experiment_id}/runs/{run_id}?workflowType=machine_learning"
    )


def test_a_deleted_experiment_ends_a_run_with_one_message(tiny):
    """Neither restored nor replaced: a person decided. The message has the command, after which all runs are there."""
    runs.plan(tiny, "manual__1")
    client = mlflow.MlflowClient(tiny.mlflow_uri)
    number = Runs(tiny).experiment
    client.delete_experiment(number)
    for call in (lambda: Runs(tiny), lambda: runs.plan(tiny, "manual__2")):
        with pytest.raises(PipelineError, match="must not be deleted") as error:
            call()
        assert not error.value.retryable
        assert f"'closecast', id {number}" in error.value.received
        assert f"mlflow experiments restore --experiment-id {number}" in error.value.todo
        assert "CLOSECAST_EXPERIMENT" in error.value.todo
    client.restore_experiment(number)
    assert Runs(tiny).experiment == number
    assert statuses(tiny) == {"": "RUNNING"}


def test_a_renamed_experiment_stays_and_a_new_one_is_made(tiny):
    """The settings name the experiment of the next run."""
    number = Runs(tiny).experiment
    mlflow.MlflowClient(tiny.mlflow_uri).rename_experiment(number, "of last year")
    assert Runs(tiny).experiment != number
    assert Runs(tiny.model_copy(update={"experiment": "of last year"})).experiment == number


def test_an_id_that_is_of_no_run_or_of_another_one_is_not_used(tiny, plan):
    """A database was replaced while a process lived: the run is found by its tags."""
    tracking = Runs(tiny)
    parent = tracking.open_parent(plan)
    known = tracking.unit_run(plan, "AAA").info.run_id
    other = tracking.unit_run(plan.model_copy(update={"dag_run_id": "manual__2"}), "AAA").info.run_id
    for wrong in ("0" * 32, other, parent):
        tracking_runs._ids.update(dict.fromkeys(tracking_runs._ids, wrong))
        assert tracking.unit_run(plan, "AAA").info.run_id == known


def test_deleted_runs_are_opened_again(tiny, plan):
    """Parent and child, while their run is in progress."""
    tracking = Runs(tiny)
    deleted = [tracking.open_parent(plan), tracking.unit_run(plan, "AAA").info.run_id]
    for run in deleted:
        tracking.client.delete_run(run)
    assert tracking.open_parent(plan) not in deleted
    assert tracking.unit_run(plan, "AAA").info.run_id not in deleted
    tracking.close_parent(plan, failed=False, metrics={}, files={})
    assert statuses(tiny) == {"": "FINISHED", "AAA": "KILLED"}
