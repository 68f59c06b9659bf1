"""The layout of runs in the store, on folders written by hand."""

import datetime as dt
import json

import pytest

from pipeline import runs
from pipeline.errors import Damaged, StoreError
from pipeline.store.folder import Folder
from pipeline.store.runs import earlier_folders, read_plan, run_folder, runs_in_progress, unit_folder


@pytest.fixture
def plan(tiny):
    """Return the plan of a run as of 2025-11-21 that is written to the store."""
    (batch, *_) = runs.plan(tiny, "manual__runs")
    return read_plan(tiny.store_url, batch["run"])


def evaluated(store_url, day, run, plan, **changes):
    """Write a run of AAA on a day that got to the evaluation."""
    planned = plan.model_dump(mode="json") | {"created": f"{day}T22:00:00Z"} | changes
    run_folder(store_url, run).write("plan.json", json.dumps(planned).encode())
    Folder(f"{store_url}/AAA/{day}/{run}").write("metrics.json", b"{}")


def test_a_unit_lies_below_ticker_day_and_run_and_a_run_below_an_underscore(plan):
    """These addresses are public: the store outlives the code."""
    assert unit_folder("/s", "AAA", plan).url == f"/s/AAA/2025-11-21/{plan.run}"
    assert run_folder("/s", plan.run).url == f"/s/_runs/{plan.run}"


def test_a_missing_or_damaged_plan_is_an_error_of_its_own(tiny, plan):
    """A missing file is a StoreError; a file that is not a plan is damaged, and the error names it."""
    with pytest.raises(StoreError, match=r"plan\.json"):
        read_plan(tiny.store_url, "manual__never")
    run_folder(tiny.store_url, plan.run).write("plan.json", b'{"run": 1}')
    with pytest.raises(Damaged, match=r"plan\.json: \d+ problem"):
        read_plan(tiny.store_url, plan.run)


def test_earlier_folders_are_the_newest_evaluated_sessions_oldest_first(tiny, plan):
    """Runs without metrics, of another preset and on the day itself do not count."""
    for day, run in (("2025-11-18", "a"), ("2025-11-19", "b"), ("2025-11-20", "c"), ("2025-11-21", "d")):
        evaluated(tiny.store_url, day, run, plan)
    evaluated(tiny.store_url, "2025-11-17", "e", plan, preset_name="gru")
    Folder(f"{tiny.store_url}/AAA/2025-11-14/f").write("history.json", b"{}")
    found = earlier_folders(tiny.store_url, plan)["AAA"]
    assert list(found) == [dt.date(2025, 11, day) for day in (18, 19, 20)]
    newest = earlier_folders(tiny.store_url, plan, most=2)["AAA"]
    assert [folder.url.rpartition("/")[2] for folder in newest.values()] == ["b", "c"]


def test_of_several_runs_on_a_day_the_one_planned_last_counts(tiny, plan):
    """The name of a run does not matter."""
    evaluated(tiny.store_url, "2025-11-20", "late", plan, created="2025-11-20T23:00:00Z")
    evaluated(tiny.store_url, "2025-11-20", "newest-by-name", plan, created="2025-11-20T22:00:00Z")
    (folder,) = earlier_folders(tiny.store_url, plan)["AAA"].values()
    assert folder.url.endswith("/late")


def test_an_empty_store_has_no_earlier_runs(tiny, plan):
    """The first night compares nothing."""
    assert earlier_folders(tiny.store_url, plan) == {ticker: {} for ticker in plan.tickers}


def test_a_run_is_in_progress_until_it_has_results(tiny, plan):
    """A run that was planned long ago was killed."""
    assert runs_in_progress(tiny.store_url, plan.created - dt.timedelta(hours=1)) == [plan.run]
    assert runs_in_progress(tiny.store_url, plan.created) == []
    run_folder(tiny.store_url, plan.run).write("results.json", b"[]")
    assert runs_in_progress(tiny.store_url, plan.created - dt.timedelta(hours=1)) == []
