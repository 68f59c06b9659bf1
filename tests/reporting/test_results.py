"""The results of a run: one row per ticker, and their aggregate."""

import datetime as dt
import json

import pytest

from pipeline.cli.preflight import check
from pipeline.reporting import results
from pipeline.reporting.closing import closing, results_json
from pipeline.reporting.results import Result
from pipeline.store.formats import json_bytes
from pipeline.store.runs import earlier_folders, run_folder, unit_folder
from tests.support.ledger_rows import ROW
from tests.support.old_names import old_json

DONE = Result("GOOD", 3038, 608, 13.6569, 13.5442, -0.0083, 12.3, "a" * 32, "evaluate", "", ("odd volume",))
FAILED = Result("BAD", None, None, None, None, None, 0.1, "b" * 32, "ingest", "no close column", ())


def test_a_result_has_what_the_table_needs(sections):
    """Figures of metrics, decision and forecast; none that does not exist."""
    promoted, refused, bad = (one.result for one in sections)
    assert (promoted.decision, promoted.refused_by, promoted.champion) == ("promoted", (), None)
    assert (refused.decision, refused.refused_by, refused.champion) == ("refused", ("rmse",), 3)
    assert (refused.weight, refused.coverage_95) == (0.25, 0.948)
    assert 0 < refused.dm_p_value < 0.5
    assert refused.rmse_over_naive == pytest.approx(refused.rmse / refused.naive_rmse)
    assert (refused.forecast_session, refused.forecast_version, refused.forecast) == ("2025-11-24", 3, 102.5)
    assert (refused.forecast_low_95, refused.forecast_high_95) == (97.0, 108.2)
    assert (refused.reference, refused.candidate) == ("EWMA of the range", "network")
    assert refused.interval_skill_95 == pytest.approx(1 - refused.interval_score_95_pct / 7.0)
    assert refused.forecast_quantiles == ROW.quantiles
    assert [one.currency for one in (promoted, refused, bad)] == ["JPY", "JPY", ""]
    assert (refused.live_skill_20, refused.live_skill_60) == (0.0455, None)
    assert (refused.ledger_position, refused.ledger_row, refused.ledger_hash) == (14, "2025-11-24 v3", "5e" * 32)
    assert (bad.ledger_position, bad.ledger_hash) == (None, "")
    assert (bad.decision, bad.forecast, bad.rmse_over_naive, bad.weight) == ("", None, None, None)


def test_results_survive_being_written_down(sections):
    """Every field comes back, those of a ticker that failed too; nothing in it is no JSON."""
    rows = [one.result for one in sections]
    written = results_json(closing("r", rows, {}), rows)
    assert results.results_of(written) == rows
    json.loads(written, parse_constant=pytest.fail)


def test_the_run_in_figures():
    """Medians, the worst, counts; what no ticker has is left out."""
    some = DONE._replace(rmse_over_naive=1.0083, coverage_95=0.95, dm_p_value=0.009, decision="refused")
    other = DONE._replace(skill=0.01, rmse_over_naive=0.99, coverage_95=0.93, dm_p_value=0.5, decision="promoted")
    assert results.summary([some, other, FAILED]) == pytest.approx(
        {
            "tickers_done": 2, "tickers_failed": 1, "promoted": 1, "refused": 1, "significantly_worse_1pct": 1,
            "median_skill": 0.00085, "median_rmse_over_naive": 0.99915, "worst_rmse_over_naive": 1.0083,
            "median_coverage_95": 0.94,
        }
    )  # fmt: skip
    assert results.aggregate([FAILED]) == (0, 0, 0, *[None] * 7)
    assert "median_skill" not in results.summary([FAILED])


def test_the_run_has_the_seconds_of_all_tickers_in_mlflow():
    """A ticker of an earlier version has none; without any the run has no such metric."""
    waited = [DONE._replace(tracking_seconds=1.5), FAILED._replace(tracking_seconds=0.25), DONE]
    assert results.summary(waited)["tracking_seconds"] == 1.75
    assert "tracking_seconds" not in results.summary([DONE])


def ran(settings, plan, run, as_of, skill, **changed):
    """Leave what an earlier run of AAA leaves."""
    before = plan.model_copy(update={"run": run, "as_of": dt.date.fromisoformat(as_of), **changed})
    run_folder(settings.store_url, run).write("plan.json", before.model_dump_json().encode())
    unit_folder(settings.store_url, "AAA", before).write("metrics.json", json_bytes({"skill": skill} if skill else {}))


def test_skill_over_the_last_runs_is_of_runs_alike(tiny):
    """Earlier sessions, the same source, preset and fault; the run planned last; not what lies later."""
    plan = check(tiny).model_copy(update={"run": "now", "tickers": ("AAA", "NEW")})
    late = plan.created + dt.timedelta(hours=1)
    ran(tiny, plan, "a", "2025-11-18", 0.1)
    ran(tiny, plan, "z", "2025-11-18", 0.2, created=late)
    ran(tiny, plan, "b", "2025-11-19", 0.3, created=late)
    ran(tiny, plan, "c", "2025-11-19", 0.4)
    ran(tiny, plan, "d", "2025-11-20", 0.5, preset_name="tutorial")
    ran(tiny, plan, "e", "2025-11-20", 0.6, source="files")
    ran(tiny, plan, "f", "2025-11-20", 0.7, fault="bad_bar")
    ran(tiny, plan, "g", "2025-11-20", 0.8, until="evaluate")
    ran(tiny, plan, "h", "2025-11-24", 0.9)
    ran(tiny, plan, "i", "2025-11-17", None)  # a skill that was no number
    unit_folder(tiny.store_url, "AAA", plan.model_copy(update={"run": "no-plan"})).write("metrics.json", b"{}")
    found = earlier_folders(tiny.store_url, plan)
    assert found["NEW"] == {}
    made = results.skills(plan.as_of, -0.1, found["AAA"])
    assert [(str(day), value) for day, value in made.items()] == [
        ("2025-11-18", 0.2), ("2025-11-19", 0.3), ("2025-11-21", -0.1),
    ]  # fmt: skip
    assert results.skills(plan.as_of, None, found["AAA"]) == {}
    assert [str(day) for day in earlier_folders(tiny.store_url, plan, most=1)["AAA"]] == ["2025-11-19"]


def test_results_of_an_earlier_version_are_read(sections):
    """Their amounts are called `..._usd`."""
    rows = [one.result for one in sections]
    rows = [one._replace(currency="") for one in rows]
    old = old_json(json.dumps([one._asdict() for one in rows]).encode())
    assert json.loads(old)[1]["forecast_low_95_usd"] == 97.0
    assert results.results_of(old) == rows
