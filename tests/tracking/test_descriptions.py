"""The descriptions on MLflow's pages."""

import datetime as dt

import pytest

from pipeline.plan import make_plan
from pipeline.tracking import descriptions

NOW = dt.datetime(2025, 11, 24, 23, tzinfo=dt.UTC)


@pytest.fixture
def plan(tiny):
    """Return the plan of a run on synthetic prices."""
    return make_plan(tiny, "manual__1", now=NOW, moment=NOW, overrides={})


def test_the_verdict_is_one_word_or_the_step_that_failed():
    """A retry after a failure is in progress again; the steps after `promote` keep its verdict."""
    verdict = descriptions.verdict_of
    assert verdict({}, "", "") == "in progress"
    assert verdict({}, "in progress", "validate") == "failed in validate"
    assert verdict({}, "failed in validate", "") == "in progress"
    assert verdict({"decision": "refused: coverage 80 % (limit: 90 %)"}, "in progress", "") == "refused"
    assert verdict({}, "refused", "") == "refused"


def test_a_units_description_has_verdict_figures_and_data(plan):
    """All that a reader of the run's page asks first."""
    tags = {
        "verdict": "promoted", "decision": "promoted: all 7 rules hold", "first_session": "2022-01-03",
        "currency": "USD", "cutoff": "2025-11-21", "forecast": "v3 for 2025-11-24",
    }  # fmt: skip
    note = descriptions.unit_note(plan, "AAA", tags, {"skill": 0.0125, "coverage_95": 0.951}, "**warning** a gap")
    assert note.startswith("**AAA**, promoted: all 7 rules hold\n\n**warning** a gap")
    for words in ("| +0.0125 |", "| 95.1% |", "| v3 for 2025-11-24 |", "prices from 2022-01-03 to 2025-11-21",
                  "currency USD", "Synthetic prices"):  # fmt: skip
        assert words in note


def test_a_failed_unit_says_where_before_an_earlier_decision(plan):
    """The decision of an earlier try is in the tags still."""
    tags = {"verdict": "failed in ingest", "decision": "promoted: all 7 rules hold"}
    assert descriptions.unit_note(plan, "AAA", tags, {}, "").startswith("**AAA**, failed in ingest")


def test_source_and_user_are_filled(plan, monkeypatch):
    """MLflow's pages have columns for both; a container's user may have no name."""
    monkeypatch.setattr("getpass.getuser", lambda: "quant")
    assert descriptions.origin(plan) == {
        "mlflow.source.name": "Airflow, DAG retrain", "mlflow.source.type": "JOB", "mlflow.user": "quant",
    }  # fmt: skip
    here = plan.model_copy(update={"dag_run_id": "local__1"})
    assert descriptions.origin(here)["mlflow.source.name"] == "closecast run"

    def nameless():
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert descriptions.origin(plan)["mlflow.user"] == "unknown"
