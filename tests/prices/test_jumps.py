"""Jumps between closes: by hand, and on the largest real moves of the test data."""

import datetime as dt

import numpy as np
import pytest

from pipeline.prices.jumps import in_one_unit, split_adjusted, without_excursions
from pipeline.prices.sources import files

RNG = np.random.default_rng(0)
CALM = 50 * np.exp(np.cumsum(RNG.normal(0, 0.01, 60)))


def scaled(rows, factor):
    """Return calm closes with some rows multiplied."""
    closes = CALM.copy()
    closes[rows] *= factor
    return closes


def bars(closes):
    """Return open, high, low and close that are all the close."""
    return np.column_stack([closes] * 4)


@pytest.mark.parametrize("factor", [100, 0.01, 1000, 0.001])
@pytest.mark.parametrize("rows", [[-1], [30], [30, 31, 32], list(range(30, 60))])
def test_a_bar_in_another_unit_is_found_where_it_begins_and_ends(factor, rows):
    """At the end, in the middle, and from one day on for ever."""
    closes = scaled(rows, factor)
    off = np.flatnonzero(in_one_unit(bars(closes), closes) == 0).tolist()
    first = rows[0] % 60
    after = (rows[-1] + 1) % 60
    assert off == ([first, after] if after else [first])


@pytest.mark.parametrize("column", range(4))
def test_one_price_of_a_bar_suffices(column):
    """A high in pence passes low <= open, close <= high."""
    prices = bars(CALM)
    prices[20, column] *= 100
    assert np.flatnonzero(in_one_unit(prices, CALM) == 0)[0] == 20


@pytest.mark.parametrize("factor", [1.6, 2, 10, 50, 0.02])
def test_other_factors_are_no_other_unit(factor):
    """A fall to a fiftieth is terrible, and possible."""
    closes = scaled([30], factor)
    assert in_one_unit(bars(closes), closes).all()


@pytest.mark.parametrize("factor", [2, 1 / 2, 3 / 2, 3, 4, 7, 1 / 10, 20])
@pytest.mark.parametrize("length", range(1, 6))
def test_a_jump_by_a_split_ratio_that_is_taken_back_is_found(factor, length):
    """Within 5 sessions; on the sixth it is a new level."""
    closes = scaled(range(30, 30 + length), factor)
    assert np.flatnonzero(without_excursions(closes) == 0).tolist() == [30, 30 + length]
    assert without_excursions(scaled(range(30, 36), factor)).all()


@pytest.mark.parametrize("factor", [2, 1 / 2, 3 / 2, 10])
def test_a_new_level_and_a_newest_jump_pass(factor):
    """Nobody knows yet whether the price returns."""
    assert without_excursions(scaled([-1], factor)).all()
    assert without_excursions(scaled(range(30, 60), factor)).all()


def test_closes_that_do_not_move_and_few_closes_pass():
    """A fund at 1.0; no close, one close."""
    for closes in (np.ones(20), np.ones(1), np.ones(0)):
        assert without_excursions(closes).tolist() == [1.0] * len(closes)
        assert split_adjusted(closes, np.ones(len(closes))).tolist() == [1.0] * len(closes)
        assert in_one_unit(bars(closes), closes).tolist() == [1.0] * len(closes)


@pytest.mark.parametrize("size", [2.0, 1.5, 7.0, 0.125])
def test_a_reported_split_that_is_still_in_the_closes_is_found(size):
    """Closes before row 30 were not divided; divided ones pass."""
    splits = np.ones(60)
    splits[30] = size
    assert np.flatnonzero(split_adjusted(scaled(range(30, 60), 1 / size), splits) == 0).tolist() == [30]
    assert split_adjusted(CALM, splits).all()


def test_a_small_distribution_cannot_be_told_from_a_fall():
    """A spin-off that is reported as 1.046:1, on a day on which the price falls by 5 %."""
    splits = np.ones(60)
    splits[30] = 1.046
    assert split_adjusted(scaled(range(30, 60), 0.95), splits).all()


REAL = [  # file, session, the larger close over the smaller
    ("NFLX.csv", "2022-04-20", 1.541),
    ("NFLX.csv", "2011-10-25", 1.536),
    ("restated/AAPL_asof_2020-12-11.csv", "2000-09-29", 2.078),
    ("panel/BIIB.csv", "2020-11-04", 1.440),
]


@pytest.mark.parametrize(("file", "session", "factor"), REAL)
def test_real_jumps_pass(test_data, file, session, factor):
    """BIIB loses its gain within three sessions, and yet is no excursion."""
    closes = files.fetch("X", None, dt.date(2030, 1, 1), path=test_data / file)["close"].dropna()
    values = closes.to_numpy()
    row = closes.index.get_loc(session)
    assert np.exp(abs(np.log(values[row] / values[row - 1]))) == pytest.approx(factor, abs=2e-3)
    around = slice(row - 10, row + 10)
    assert without_excursions(values[around]).all()
    assert in_one_unit(bars(values), values).all()


def test_no_close_of_the_panel_is_a_jump_of_these_kinds(test_data):
    """Ten tickers of 60, 2,016 sessions each."""
    for path in sorted((test_data / "panel").iterdir())[::6]:
        prices = files.fetch(path.stem, None, dt.date(2030, 1, 1), path=path)
        closes = prices["close"].to_numpy()
        assert without_excursions(closes).all(), path.stem
        assert in_one_unit(prices[["open", "high", "low", "close"]].to_numpy(), closes).all(), path.stem
