"""The ages of champions and forecasts beside their limits."""

import datetime as dt

import pytest

from pipeline.cli.preflight import check
from pipeline.serving import ages
from pipeline.serving.served import ServedChampion
from pipeline.store.folder import Folder
from tests.support.fleets import leave_forecast

FRIDAY = dt.date(2025, 11, 21)


@pytest.fixture
def plan(tiny):
    """Return the plan of a run as of 2025-11-21, with limits of 5 sessions and of 1."""
    made = check(tiny)
    return made.model_copy(update={"gate": made.gate.model_copy(update={"max_champion_age": 5})})


@pytest.mark.parametrize(("trained", "old"), [("2025-11-14", False), ("2025-11-13", True), ("2025-11-24", False)])
def test_a_champion_is_old_beyond_its_limit(plan, trained, old):
    """Five sessions lie between the two Fridays; a run of the past may meet a later champion."""
    champion = ServedChampion(version=3, trained=dt.date.fromisoformat(trained), cutoff=FRIDAY)
    found = ages.old_champion("AAA", champion, plan)
    assert (found is not None) == old
    if found:
        assert (found.severity, found.lasting) == ("warning", True)
        assert found.observed == "v3 has weights of 2025-11-13, 6 sessions ago"
        assert "champion show AAA" in found.todo


def test_a_session_without_trading_makes_nothing_older(plan):
    """As the settings name it."""
    champion = ServedChampion(version=3, trained=dt.date(2025, 11, 13), cutoff=FRIDAY)
    closed = plan.model_copy(update={"closed_sessions": (dt.date(2025, 11, 18),)})
    assert ages.old_champion("AAA", champion, closed) is None


def test_a_forecast_is_old_when_two_sessions_have_closed_since(tiny, plan):
    """Not the ticker that never had one, nor forecasts from real prices in a synthetic run."""
    leave_forecast(tiny, "FRESH", "2025-11-21", "2025-11-20")
    leave_forecast(tiny, "OLD", "2025-11-20", "2025-11-19")
    leave_forecast(tiny, "OLD", "2025-11-24", "2025-11-21", synthetic=False)
    found = ages.old_forecasts(tiny.ledger_place, ["NEVER", "FRESH", "OLD"], plan)
    assert found == [("OLD", 2)]
    finding = ages.old_forecasts_finding(found, plan.gate.max_forecast_age)
    assert (finding.rows, finding.limit) == (("OLD",), "at most 1 sessions")
    assert ages.old_forecasts_finding([], 1) is None


def test_a_damaged_row_is_logged_and_hides_no_other_ticker(tiny, plan, caplog):
    """The report of the run is still to come."""
    leave_forecast(tiny, "OLD", "2025-11-20", "2025-11-19")
    Folder(f"{tiny.ledger_place}/BROKEN").write("2025-11-20-v1.parquet", b"nothing")
    assert ages.old_forecasts(tiny.ledger_place, ["BROKEN", "OLD"], plan) == [("OLD", 2)]
    assert "BROKEN" in caplog.text
