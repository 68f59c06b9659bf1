"""A side of a comparison: a run, a version or a snapshot by its name."""

import pytest

from pipeline.errors import UsageError
from pipeline.reporting.sides import compare, side
from pipeline.steps import FLOW
from tests.support.nights import sample_prices
from tests.support.past_runs import leave_plan, leave_unit

STEPS = [step.name for step in FLOW]


@pytest.fixture
def store(tiny):
    """Return a store with two nights of AAA; in the second one close is another."""
    prices = sample_prices("AAA")
    for night, (as_of, last) in enumerate([("2025-11-20", -1), ("2025-11-21", None)], start=1):
        shown = prices.iloc[:last].copy()
        if night == 2:
            shown.loc["2024-03-01", "close"] += 1
        leave_unit(tiny, leave_plan(tiny, f"manual__{night}", as_of, night), shown, version=night)
    return tiny.store_url


@pytest.mark.parametrize(
    ("name", "kind", "run"),
    [
        ("manual__1", "run", "manual__1"),
        ("AAA@2", "version", "manual__2"),
        ("aaa@v2", "version", "manual__2"),
        ("closecast-AAA/1", "version", "manual__1"),
        ("models:/closecast-AAA/1", "version", "manual__1"),
        ("AAA@2025-11-21", "snapshot", "manual__2"),
    ],
)
def test_a_name_leads_to_its_run(store, name, kind, run):
    """Versions and snapshots have one ticker, a run has all."""
    found = side(store, name)
    assert (found.kind, found.run.run, found.tickers) == (kind, run, ("AAA",))


@pytest.mark.parametrize("name", ["AAA@", "AAA@champion", "AAA@2025-13-01", "../x@1", "a/b/c", "manual__3", "AAA@9"])
def test_another_name_is_wrong_usage(store, name):
    """The message gives the forms, or the command that lists what exists."""
    with pytest.raises(UsageError):
        side(store, name)


def test_snapshots_are_compared_by_their_prices_alone(store):
    """Versions also by their decision and scores."""
    snapshots = compare(side(store, "AAA@2025-11-20"), side(store, "AAA@2025-11-21"), store, STEPS)
    assert set(snapshots.counts) == {"data"}
    assert any("2024-03-01" in row for line in snapshots.lines for row in line.rows)
    versions = compare(side(store, "AAA@1"), side(store, "AAA@2"), store, STEPS)
    assert set(versions.counts) == {"data", "decision"}


def test_sides_without_a_common_ticker_are_refused(store):
    """Both are named with their tickers."""
    with pytest.raises(UsageError, match="AAA@1: AAA"):
        compare(side(store, "AAA@1"), side(store, "manual__2"), store, STEPS, only="BBB")
