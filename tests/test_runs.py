"""The life of a run: its plan, its report and its early end."""

import json

import pytest

from pipeline import runner, runs
from pipeline.errors import DataError, StoreError, UsageError
from pipeline.settings import load_settings
from pipeline.store.runs import read_plan, run_folder
from tests.support.nights import logged_runs


def test_a_second_plan_of_a_run_is_the_first_one(tiny):
    """A retry uses the values of the first try, whatever the settings are by then; MLflow has one parent run."""
    first = runs.plan(tiny, "manual__1")
    written = run_folder(tiny.store_url, "manual__1").read("plan.json")
    assert runs.plan(load_settings(tickers=("ZZZ",), as_of="2025-11-20"), "manual__1") == first
    assert run_folder(tiny.store_url, "manual__1").read("plan.json") == written
    (parent,) = logged_runs(tiny).runs
    assert (parent.data.tags["dag_run_id"], parent.info.status) == ("manual__1", "RUNNING")


def test_two_runs_whose_names_give_one_folder_are_refused(tiny):
    """The second one would continue the first one's steps."""
    runs.plan(tiny, "manual__a:b")
    with pytest.raises(UsageError, match="Two runs must not share a folder") as error:
        runs.plan(tiny, "manual__a+b")
    assert "'manual__a+b' after 'manual__a:b'" in error.value.received


def test_a_ledger_that_refuses_ends_the_run_before_its_plan(tiny, tmp_path):
    """Hours of training would come before the step that writes there."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="CLOSECAST_LEDGER"):
        runs.plan(load_settings(ledger=str(tmp_path / "file" / "ledger")), "manual__1")
    assert not run_folder(tiny.store_url, "manual__1").exists("plan.json")


def test_a_comparison_ends_before_the_gate(tiny):
    """Its flow has neither `promote` nor `forecast`."""
    runs.plan(tiny, "manual__1")
    runs.plan(tiny, "compare__1", until="evaluate")
    whole = runs.flow(read_plan(tiny.store_url, "manual__1"))
    compared = runs.flow(read_plan(tiny.store_url, "compare__1"))
    assert [step.name for step in whole[len(compared) :]] == ["promote", "forecast"]


def test_a_report_needs_a_plan(tiny):
    """The reader is sent to the step `plan`."""
    with pytest.raises(UsageError, match="See why `plan` failed"):
        runs.report("manual__never", settings=tiny)


def test_a_run_that_was_stopped_before_its_steps_is_reported_as_failed(tiny):
    """Each ticker says so, in the results, on the page and in MLflow."""
    runs.plan(tiny, "manual__1")
    with pytest.raises(DataError, match="AAA in plan: The run was stopped"):
        runs.report("manual__1", settings=tiny)
    folder = run_folder(tiny.store_url, "manual__1")
    assert [one["step"] for one in json.loads(folder.read("results.json"))] == ["plan"] * len(tiny.tickers)
    assert b"The run was stopped before this ticker was done" in folder.read("report.html")
    statuses = {run.data.tags["ticker"]: run.info.status for run in logged_runs(tiny).runs}
    assert statuses == {"": "FAILED"} | dict.fromkeys(tiny.tickers, "KILLED")


def test_the_report_names_both_tickers_and_needs_nothing_else(finished):
    """Verdict, reason, pictures inline, no address of another place."""
    settings, batch = finished
    page = run_folder(settings.store_url, batch["run"]).read("report.html").decode()
    assert "1 of 2 ticker(s) done" in page
    assert "Failed in ingest" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("http-equiv", "")


def test_the_report_of_a_second_night_shows_the_skill_of_both(two_nights):
    """The first night had one value, which makes no curve."""
    for run, count in (("manual__1", 0), ("manual__2", 1)):
        runs.report(run, settings=load_settings(tickers=("AAA",)))
        page = run_folder(two_nights.store_url, run).read("report.html").decode()
        assert page.count("skill of the last runs") == count


def test_a_stopped_run_leaves_nothing_running(tiny):
    """Ctrl-C: parent and child are ended as killed."""
    (batch,) = runs.plan(load_settings(tickers=("AAA",)), "manual__stopped")
    runner.run("ingest", batch, settings=tiny)
    runs.stop("manual__stopped", tiny)
    found = logged_runs(tiny).runs
    assert {run.info.status for run in found} == {"KILLED"}
