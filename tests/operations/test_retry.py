"""Which run and which tickers a retry repeats."""

import pytest

from pipeline.errors import UsageError
from pipeline.operations.retry import _has_ended, _part_of, _repeated, _unfinished, run_to_retry
from pipeline.outcome import Finding
from pipeline.plan import Batch
from pipeline.store.runs import unit_folder
from pipeline.versions import code_version
from tests.support.nights import sample_prices
from tests.support.past_runs import leave_failure, leave_plan, leave_unit
from tests.support.report_units import write


def test_the_run_planned_last_is_retried(tiny):
    """A comparison is not; another run is named."""
    with pytest.raises(UsageError, match="no run in the store"):
        run_to_retry(tiny.store_url, None)
    leave_plan(tiny, "scheduled__1", "2025-11-20", 1)
    leave_plan(tiny, "manual__2", "2025-11-19", 2)
    leave_plan(tiny, "compare", "2025-11-21", 3, until="evaluate")
    assert run_to_retry(tiny.store_url, None).run == "manual__2"
    assert run_to_retry(tiny.store_url, "scheduled__1").run == "scheduled__1"
    with pytest.raises(UsageError, match="A comparison is not retried"):
        run_to_retry(tiny.store_url, "compare")


def test_a_ticker_that_failed_or_never_ran_has_not_ended(tiny):
    """One whose steps all ended has."""
    plan = leave_plan(tiny, "manual__1", "2025-11-20", tickers=("GOOD", "BAD", "NEVER"))
    leave_unit(tiny, plan, sample_prices("GOOD"), ticker="GOOD")
    leave_failure(tiny, plan, "BAD")
    assert [_has_ended(tiny, plan, ticker) for ticker in plan.tickers] == [True, False, False]


@pytest.mark.parametrize(("code", "repeated"), [(code_version()[:12], ("BAD",)), ("other", ("GOOD", "BAD"))])
def test_a_shared_network_is_reused_if_the_ticker_was_in_its_training(tiny, code, repeated):
    """With newer code all tickers are trained again; so they are if the ticker failed before the training."""
    preset = tiny.presets["daily"].model_copy(update={"scope": "universe"})
    plan = leave_plan(tiny, "manual__1", "2025-11-20", tickers=("GOOD", "BAD"), preset=preset)
    leave_unit(tiny, plan, sample_prices("BAD"), ticker="BAD")
    folder = unit_folder(tiny.store_url, "BAD", plan)
    folder.write_manifest(folder.manifest("train").model_copy(update={"versions": {"code": code}}))
    assert _repeated(tiny, plan, ("BAD",)) == repeated
    folder.remove("train.manifest.json")
    assert _repeated(tiny, plan, ("BAD",)) == ("GOOD", "BAD")
    alone = plan.model_copy(update={"preset": tiny.presets["daily"]})
    assert _repeated(tiny, alone, ("BAD",)) == ("BAD",)


def test_batches_keep_their_order_and_lose_what_is_done():
    """A batch of done tickers alone is left out."""
    batches = [Batch(run="r", as_of="d", tickers=names) for names in (["A", "B"], ["C"], ["D", "E"])]
    assert [one["tickers"] for one in _part_of(batches, {"B", "E"})] == [["B"], ["E"]]


def test_a_ticker_that_waits_for_a_person_is_left_alone(tiny):
    """Its answer does its steps; the others would be trained again with it."""
    plan = leave_plan(tiny, "manual__1", "2025-11-20", tickers=("WAITS", "BAD"))
    asked = Finding(rule="Past prices", severity="critical", observed="2 closes", asks=True)
    folder = unit_folder(tiny.store_url, "WAITS", plan)
    write(folder, "ingest")
    write(folder, "validate", findings=(asked,))
    leave_failure(tiny, plan, "BAD")
    assert _unfinished(tiny, plan) == ("BAD",)
