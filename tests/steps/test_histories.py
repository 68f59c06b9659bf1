"""The tickers of a training, cut at common dates."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.forecasting import target, windows
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import split
from pipeline.steps import histories
from tests.forecasting.test_fitting import ROWS, TINY, market

DAYS = np.datetime64("2022-01-03") + np.arange(ROWS)


def ticker(name, first=0):
    """Return a ticker with the rows from `first` on, and a split of its own."""
    bars = type(market(0))(*(column[first:] for column in market(0)))
    unit = SimpleNamespace(ticker=name, currency="USD", plan=SimpleNamespace(preset=TINY, calendar="XNYS"))
    parts = split(ROWS - first, TINY.train_fraction, TINY.validation_fraction)
    scaler = fit_scaler(target.to_values(bars.close[: parts.test], TINY.target), TINY.scaler)
    return histories.Ticker(unit, DAYS[first:], bars, parts, windows.windows_of(parts, TINY), scaler)


def test_all_tickers_are_cut_at_the_same_dates():
    """Else a ticker would teach the network the test rows of another."""
    long, short = ticker("LONG"), ticker("SHORT", 100)
    assert long.sessions[long.parts.test] != short.sessions[short.parts.test]
    both = histories.with_common_borders([long, short])
    assert len({(one.sessions[one.parts.validation], one.sessions[one.parts.test]) for one in both}) == 1
    assert all(one.learned for one in both)


def test_a_ticker_without_rows_before_the_dates_keeps_its_own_and_teaches_nothing():
    """It begins after the first test session of the others."""
    young = ticker("YOUNG", 600)
    cut = histories.with_common_borders([ticker("ONE"), ticker("TWO"), young])[2]
    assert not cut.learned
    assert cut.parts == young.parts


def test_the_histories_end_at_the_test_rows_and_at_the_last_row():
    """With the scaler of these rows."""
    one = ticker("ONE")
    past, whole = histories.evaluated_history(one), histories.whole_history(one)
    assert (past.train_stop, past.cutoff) == (one.parts.test, str(one.sessions[one.parts.test - 1]))
    assert (whole.train_stop, whole.cutoff) == (ROWS, str(one.sessions[-1]))
    assert past.scaler == one.scaler
    assert whole.scaler.center != pytest.approx(one.scaler.center, rel=1e-12)
