"""The served forecasts beside the closes that came. tests/steps/test_forecast.py has the whole step."""

import datetime as dt
from types import SimpleNamespace

import pandas as pd
import pytest

from pipeline.evaluation import live
from pipeline.serving import ledger
from pipeline.settings.gate import Gate
from pipeline.settings.preset import Preset
from pipeline.steps import live_record
from tests.support.nights import forecast_record

DAYS = pd.bdate_range("2025-11-03", "2025-11-21", name="session")


def unit(**gate):
    """Return what is read of a unit."""
    preset = Preset.model_construct(lookback=3, calibration_rows=20, adaptive_step=0.0)
    plan = SimpleNamespace(
        synthetic=True, as_of=dt.date(2025, 11, 21), calendar="XNYS", preset=preset, gate=Gate(**gate)
    )
    return SimpleNamespace(plan=plan, currency="USD")


def row(session, currency="USD"):
    """Return a row of the ledger."""
    day = dt.date.fromisoformat(session)
    before = day - dt.timedelta(days=1)
    return forecast_record(
        ticker="AAA", session=day, version=1, run="manual__1", as_of=before,
        created=dt.datetime(2025, 11, 3, tzinfo=dt.UTC),
        source="sample", synthetic=True, currency=currency, last_close=100.0, forecast=101.0,
        anchor_session=dt.date(2025, 11, 3), anchor_close=100.0,
    )  # fmt: skip


def ledger_of(*records, folder):
    """Return records as the ledger reads them."""
    for one in records:
        ledger.write(str(folder), one)
    return ledger.read(str(folder), "AAA")


def test_a_forecast_in_another_currency_or_of_a_later_session_is_left_out(tmp_path):
    """A run of the past must not see what was forecast after it."""
    closes = pd.Series(range(100, 115), DAYS, dtype="float64")
    written = ledger_of(row("2025-11-20"), row("2025-11-21", "EUR"), row("2025-11-24"), folder=tmp_path)
    assert len(written) == 3
    found = live_record.scored(written, closes, unit().plan, unit().currency)
    assert [str(day.date()) for day in found["session"]] == ["2025-11-20"]


@pytest.mark.parametrize(("skill", "crossed"), [(-0.5, 1), (0.1, 0)])
def test_each_crossed_limit_is_named(skill, crossed):
    """By the gate of the run."""
    summary = live.Live._make([0.0] * len(live.Live._fields))._replace(
        rows=60, skill=skill, coverage_95=0.95, interval_skill_95=0.1
    )
    assert len(live_record.decay(unit(min_live_sessions=20, min_live_skill=-0.05), summary)) == crossed
