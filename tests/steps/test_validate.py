"""The step `validate`: prices of sessions only, checked by the suite."""

import numpy as np
import pandas as pd
import pytest

from pipeline import calendar, runner, runs
from pipeline.errors import DataError
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from tests.support.nights import folder_of, night, sample_prices


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
