"""The prepared views, on a real MLflow: what the page would ask for finds the runs of the night."""

import datetime as dt
import json

import pytest

from pipeline import runs
from pipeline.store.runs import read_plan
from pipeline.tracking import views
from pipeline.tracking.runs import Runs
from tests.support.nights import logged_runs

KEYS = {"last-night", "over-time", "presets"}


@pytest.fixture
def plan(tiny):
    """Return the plan of a run of AAA and BBB."""
    runs.plan(tiny, "manual__plan")
    return read_plan(tiny.store_url, "manual__plan")


def states(tags):
    """Return the state of each view by its key, as MLflow's page reads it, and the names of the views."""
    prefix = "mlflow.sharedViewState."
    found = {name.removeprefix(prefix): json.loads(text) for name, text in tags.items() if name.startswith(prefix)}
    return {key: json.loads(one["state"]) for key, one in found.items()}, [one["name"] for one in found.values()]


def shown(tracking, state):
    """Return the tickers that a view shows, in its order."""
    order = [f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"]
    found = tracking.client.search_runs([tracking.experiment], state["searchFilter"], order_by=order)
    return [run.data.tags["ticker"] for run in found]


def test_a_new_experiment_has_its_views(tiny, plan):
    """`make up` prints the address of one before the first run."""
    state, names = states(views.experiment_tags())
    assert set(state) == KEYS
    assert names[0] == "Last night, one row per ticker"
    assert logged_runs(tiny).experiment.tags.items() >= views.experiment_tags().items()
    assert plan.tickers == ("AAA", "BBB")


def test_the_last_night_has_one_row_per_ticker(tiny, plan):
    """Neither the parent, nor an earlier night, nor the series of served forecasts."""
    tracking = Runs(tiny)
    tracking.live_run("AAA", synthetic=True)
    for name in ("manual__1", "manual__2"):
        night = plan.model_copy(update={"dag_run_id": name, "run": name})
        for ticker in ("BBB", "AAA"):
            tracking.unit_run(night, ticker)
        tracking.close_parent(night, failed=False, metrics={}, files={})
        state, _ = states(logged_runs(tiny).experiment.tags)
        assert f"'{name}'" in state["last-night"]["searchFilter"]
        assert shown(tracking, state["last-night"]) == ["AAA", "BBB"]
    assert shown(tracking, state["over-time"]) == ["AAA"] * 3  # two nights and the served forecasts
    assert sorted(shown(tracking, state["presets"])) == ["AAA", "AAA", "BBB", "BBB"]


def test_a_backfill_of_past_sessions_changes_no_view(tiny, plan):
    """The last night stays the last night."""
    tracking = Runs(tiny)
    tracking.close_parent(plan, failed=False, metrics={}, files={})
    before = logged_runs(tiny).experiment.tags
    backfill = plan.model_copy(update={"dag_run_id": "backfill__2024-01-02T14:30:00+00:00"})
    tracking.close_parent(backfill, failed=False, metrics={}, files={})
    assert logged_runs(tiny).experiment.tags == before


def test_a_comparison_of_presets_leaves_the_last_night(tiny, plan):
    """It is shown where presets are beside each other."""
    tracking = Runs(tiny)
    tracking.close_parent(plan, failed=False, metrics={}, files={})
    before, _ = states(logged_runs(tiny).experiment.tags)
    compared = plan.model_copy(update={"dag_run_id": "compare__1", "as_of": dt.date(2024, 1, 3)})
    tracking.close_compared(compared, "1", [], {}, failed=False)
    after, _ = states(logged_runs(tiny).experiment.tags)
    assert after["last-night"] == before["last-night"]
    assert "2024-01-03" in after["presets"]["searchFilter"]


def test_the_longest_names_fit_into_a_tag(plan):
    """MLflow refuses a tag of an experiment above 5,000 characters."""
    longest = plan.model_copy(update={"dag_run_id": "x" * 250, "tickers": ("A" * 32,)})
    assert max(map(len, views.view_tags(longest).values())) < 5000


def test_the_charts_begin_with_the_figures_that_decide(plan):
    """Each chart is in a section of the view, and the sections of a closer look are folded."""
    state, _ = states(views.view_tags(plan))
    for one in state.values():
        sections = {section["uuid"]: section for section in one["compareRunSections"]}
        charts = one["compareRunCharts"]
        assert {chart["metricSectionId"] for chart in charts} <= {
            name for name in sections if sections[name]["display"]
        }
        assert one["compareRunSections"][0]["uuid"] == charts[0]["metricSectionId"]
        assert not sections["step"]["display"]
    assert state["last-night"]["compareRunCharts"][0]["metricKey"] == "skill"
    assert state["over-time"]["compareRunCharts"][0]["metricKey"] == "skill_60"


def test_addresses_open_the_pages_of_training_runs():
    """Without `workflowType` MLflow opens a page of traces."""
    assert views.view_page("http://x:1", "7", views.PRESETS) == (
        "http://x:1/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=presets"
    )
    assert views.run_page("http://x:1", "7", "abc") == (
        "http://x:1/#/experiments/7/runs/abc?workflowType=machine_learning"
    )
