"""The last runs of the store, with filters."""

import datetime as dt

import pytest

from pipeline.errors import Damaged
from pipeline.reporting.run_list import Filters, last_runs, states
from pipeline.store.runs import run_folder
from tests.support.past_runs import leave_plan, leave_results, row


@pytest.fixture
def store(tiny):
    """Return a store with a promoted, a refused, a failed and an unfinished run, and a comparison."""
    leave_results(tiny, leave_plan(tiny, "promoted", "2025-11-18", 1), row(skill=0.02))
    leave_results(tiny, leave_plan(tiny, "refused", "2025-11-19", 2, preset_name="gru"), row(decision="refused"))
    both = leave_plan(tiny, "failed", "2025-11-20", 3, tickers=("AAA", "BBB"))
    leave_results(tiny, both, row(), row("BBB", decision="", reason="no close", skill=None))
    leave_plan(tiny, "unfinished", "2025-11-21", 4)
    leave_plan(tiny, "compare", "2025-11-21", 5, until="evaluate")
    return tiny.store_url


def test_runs_are_listed_from_the_one_planned_last(store):
    """A comparison is left out."""
    found = last_runs(store, 10, Filters())
    assert [(one.run, one.verdict) for one in found] == [
        ("unfinished", "unfinished"), ("failed", "failed"), ("refused", "done"), ("promoted", "done"),
    ]  # fmt: skip
    assert states(found) == {"done": 2, "failed": 1, "unfinished": 1}
    assert (found[1].tickers, found[1].failed, found[1].promoted) == (2, 1, 1)
    assert found[3].skill == pytest.approx(0.02)
    assert [one.run for one in last_runs(store, 2, Filters())] == ["unfinished", "failed"]


@pytest.mark.parametrize("content", [b"[{", b"{}", b"[1]", b'[{"ticker": "AAA"}]'])
def test_damaged_results_are_named(store, content):
    """No JSON, no rows, a row that is no object, a row without its fields."""
    run_folder(store, "promoted").write("results.json", content)
    with pytest.raises(Damaged, match=r"promoted/results\.json"):
        last_runs(store, 10, Filters())


@pytest.mark.parametrize(
    ("filters", "runs"),
    [
        (Filters(ticker="BBB"), ["failed"]),
        (Filters(since=dt.date(2025, 11, 20)), ["unfinished", "failed"]),
        (Filters(preset="gru"), ["refused"]),
        (Filters(verdict="done"), ["refused", "promoted"]),
        (Filters(verdict="promoted"), ["failed", "promoted"]),
        (Filters(verdict="refused"), ["refused"]),
        (Filters(ticker="AAA", verdict="failed"), []),  # BBB failed
        (Filters(ticker="ZZZ"), []),
    ],
)
def test_filters_choose_runs(store, filters, runs):
    """Together they all hold."""
    assert [one.run for one in last_runs(store, 10, filters)] == runs
