"""The step `validate`: prices of sessions only, checked by the suite."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline import calendar, runner, runs
from pipeline.errors import DataError
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.steps.validate import rows_before_calendar
from tests.support.nights import folder_of, night, sample_prices

AS_OF = dt.date(2025, 11, 20)


def test_bad_prices_stop_before_training(tiny):
    """A critical finding of the suite is the unit's last word, with its page kept."""
    (batch,) = runs.plan(load_settings(tickers=("AAA",), start="2025-06-02"), "manual__short")
    runner.run("ingest", batch, settings=tiny)
    with pytest.raises(DataError, match=r"long enough.*122 sessions \(limit: at least 255 sessions\)"):
        runner.run("validate", batch, settings=tiny)
    folder = folder_of(tiny, batch, "AAA")
    assert folder.exists("validation.html")
    assert not folder.exists("validated.parquet")


@pytest.mark.usefixtures("tiny")
def test_rows_without_a_price_or_a_session_are_removed_and_counted(tmp_path):
    """A row of Good Friday and a session without a close: the later steps see neither."""
    prices = sample_prices("AAA")
    holiday = prices.loc[["2024-03-28"]].set_axis(pd.DatetimeIndex(["2024-03-29"], name=prices.index.name))
    prices.loc["2024-06-03", ["open", "high", "low", "close", "adj_close"]] = np.nan
    pd.concat([prices, holiday]).sort_index().to_csv(tmp_path / "AAA.csv")
    folder = night("1", "2025-11-21", steps=FLOW[:2], source="files", prices=tmp_path)
    metrics = folder.manifest("validate").outcome.metrics
    assert metrics["quality.removed_without_price"] == 1
    assert metrics["quality.removed_no_session"] == 1
    assert metrics["sessions"] == len(prices) - 1
    kept = pd.read_parquet(folder.path("validated.parquet"))
    assert kept["close"].notna().all()
    expected = calendar.sessions("XNYS", kept.index[0].date(), kept.index[-1].date())
    assert list(expected.difference(kept.index)) == [pd.Timestamp("2024-06-03")]
    assert list(kept.index.difference(expected)) == []


def test_rows_before_the_calendar_begins_are_removed_and_named(tiny, tmp_path):
    """The name of the calendar is right: Riyadh's begins in 2021."""
    del tiny
    days = pd.bdate_range("2019-12-02", "2025-11-21").union(calendar.sessions("XSAU", dt.date(2021, 1, 1), AS_OF))
    close = 100 + np.sin(np.arange(len(days)))
    prices = pd.DataFrame({"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 10}, days)
    prices.rename_axis("Date").to_csv(tmp_path / "AAA.csv")
    given = {"source": "files", "prices": tmp_path, "calendar": "XSAU", "start": "2019-01-01"}
    folder = night("1", "2025-11-20", steps=FLOW[:2], **given)
    outcome = folder.manifest("validate").outcome
    (early,) = (one for one in outcome.findings if "which begins on" in one.rule)
    assert early.severity == "warning"
    assert "XSAU, which begins on 2021-01-03" in early.rule
    assert early.observed == f"{(days < '2021-01-03').sum():,} rows before it, the first on 2019-12-02"
    assert "START=2021-01-03" in early.todo
    (extra,) = (one for one in outcome.findings if one.name == "extra_session")  # Fridays, which are no sessions there
    assert extra.rows[0] > "2021"
    assert pd.read_parquet(folder.path("validated.parquet")).index[0] == pd.Timestamp("2021-01-03")


def test_prices_that_end_before_the_calendar_begins_are_refused():
    """None of them can be checked."""
    raw = pd.DataFrame({"close": 1.0}, pd.bdate_range("2019-01-01", "2020-12-31"))
    with pytest.raises(DataError, match="which begins on 2021-01-03"):
        rows_before_calendar(raw, "XSAU")
