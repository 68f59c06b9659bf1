"""One ticker of one run, read from the store."""

import pytest

from pipeline.reporting.recorded import recorded
from pipeline.steps import FLOW
from pipeline.store.history import past_run
from tests.support.nights import sample_prices
from tests.support.past_runs import leave_failure, leave_plan, leave_unit

STEPS = [step.name for step in FLOW]


def test_a_promoted_ticker_has_data_decision_and_scores(tiny):
    """The version that was registered, the verdict of each rule, the scores by their name in MLflow."""
    plan = leave_plan(tiny, "manual__1", "2025-11-20")
    prices = sample_prices("AAA")
    leave_unit(tiny, plan, prices, version=7, mase=0.9)
    found = recorded(tiny.store_url, "AAA", past_run(tiny.store_url, "manual__1"), STEPS)
    assert found.data == {"as of": "2025-11-20", "currency": "USD", "first session": "2022-01-03"}
    assert found.prices().equals(prices)
    assert found.scores["mase"] == pytest.approx(0.9)
    assert (found.decision["result"], found.decision["version"], found.decision["rule rmse"]) == (
        "promoted",
        "v7",
        "holds",
    )


def test_a_failed_ticker_has_its_finding_and_no_scores(tiny):
    """The step is named; one that never ran was stopped."""
    run = leave_plan(tiny, "manual__1", "2025-11-20", tickers=("AAA", "BBB"))
    leave_failure(tiny, run)
    past = past_run(tiny.store_url, "manual__1")
    found = recorded(tiny.store_url, "AAA", past, STEPS)
    assert found.decision["result"] == "failed in ingest"
    assert found.decision["critical: The file must have a close"] == "Price"
    assert (found.scores, found.snapshot) == ({}, "")
    assert recorded(tiny.store_url, "BBB", past, STEPS).decision["result"] == "stopped after plan"
