"""Error figures, by hand and on real prices."""

import numpy as np
import pytest

from pipeline.baselines import naive
from pipeline.metrics import mae, mape_pct, mase, mse, rmse, skill

ACTUAL, FORECAST = np.array([10.0, 20.0, 40.0]), np.array([11.0, 18.0, 40.0])


def test_figures_by_hand():
    """Errors -1, 2, 0: mean square 5/3, mean absolute 1, of 10, 20 and 40 dollars."""
    assert mse(ACTUAL, FORECAST) == pytest.approx(5 / 3)
    assert rmse(ACTUAL, FORECAST) == pytest.approx(np.sqrt(5 / 3))
    assert mae(ACTUAL, FORECAST) == pytest.approx(1)
    assert mape_pct(ACTUAL, FORECAST) == pytest.approx(100 * (0.1 + 0.1 + 0) / 3)
    assert mase(ACTUAL, FORECAST, np.array([1.0, 3.0, 7.0])) == pytest.approx(1 / 3)


def test_skill_is_zero_for_naive_and_negative_for_worse():
    """Half the error is skill 0.5, double is -1."""
    assert skill(1.0, 1.0) == 0
    assert skill(0.5, 1.0) == 0.5
    assert skill(2.0, 1.0) == -1


def test_naive_is_the_close_before():
    """Rows 2 and 3 are forecast as the closes of rows 1 and 2."""
    assert naive(np.array([1.0, 2.0, 3.0, 4.0]), range(2, 4)).tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("rows", "figure"),
    [(range(2430, 3038), 13.544158), (range(2530, 3038), 13.957808), (range(2530, 3037), 13.969344)],
)
def test_naive_rmse_of_netflix(netflix, rows, figure):
    """The reference figures of the data's own page, to six digits."""
    closes = netflix["close"].to_numpy()
    assert rmse(closes[rows.start : rows.stop], naive(closes, rows)) == pytest.approx(figure, abs=5e-7)


def test_other_naive_figures_of_netflix(netflix):
    """MAE, MAPE and the denominator of MASE, to six digits."""
    closes = netflix["close"].to_numpy()
    actual, forecast = closes[2430:], naive(closes, range(2430, 3038))
    assert mae(actual, forecast) == pytest.approx(8.761760, abs=5e-7)
    assert mape_pct(actual, forecast) == pytest.approx(1.940059, abs=5e-7)
    assert mae(actual, forecast) / mase(actual, forecast, closes[:2430]) == pytest.approx(2.121223, abs=5e-7)


def test_the_tutorials_formula_is_no_error_figure(netflix):
    """Scaled truth against dollars: a forecast without any error "scores" 512.54, worse than the published 507.01.

    This formula exists here and in the README, to explain that figure; nothing else computes it.
    """
    closes = netflix["close"].to_numpy()
    dollars = closes[2530:3037]
    scaled_truth = (dollars - closes[:2430].min()) / (closes[:2430].max() - closes[:2430].min())
    published = np.sqrt(np.mean((scaled_truth - dollars) ** 2))
    assert published == pytest.approx(512.535, abs=0.001)
    assert rmse(dollars, dollars) == 0
