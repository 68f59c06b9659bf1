"""Rivals: distributions of the same rows without a network, blind to later rows."""

import numpy as np
import pytest

from pipeline.evaluation.metrics import coverage
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.intervals import calibrate
from pipeline.forecasting.references import close_ewma
from pipeline.forecasting.rivals import Calibration, all_references, ewma_once, ewma_rolled

ROWS = range(700, 900)
GIVEN = {"train_stop": 600, "window": 20, "decay": 0.85, "calibration": Calibration(400, 0.005)}


def history(netflix):
    return Bars(*(netflix[name].to_numpy("float64")[:900] for name in ("open", "high", "low", "close")))


def test_the_ewma_is_calibrated_once(netflix):
    """Its half-widths are those of the calibration rows for every row; the forecast is the close before."""
    bars = history(netflix)
    made = ewma_once(bars, range(600, 700), ROWS, 20)
    scale = close_ewma(bars.close, 20)
    residuals = np.abs(np.log(bars.close[600:700] / bars.close[599:699])) / scale[600:700]
    assert (made.half_widths == calibrate(residuals)).all()
    assert made.forecast.tolist() == bars.close[699:899].tolist()
    assert made.scale.tolist() == scale[700:900].tolist()


def test_each_reference_covers_about_as_often_as_promised(netflix):
    """On 200 real sessions, calibrated every night."""
    bars = history(netflix)
    references = all_references(bars, ROWS, **GIVEN)
    assert list(references) == ["constant", "EWMA of closes", "EWMA of the range", "GJR-GARCH"]
    for name, (made, _) in references.items():
        assert coverage(bars.close[700:900], *made.interval(95)) == pytest.approx(0.95, abs=0.035), name


def test_the_rival_of_served_intervals_is_the_reference_of_closes(netflix):
    """From the first row that can be calibrated on."""
    bars = history(netflix)
    made = ewma_rolled(bars.close, ROWS, 20, GIVEN["calibration"])
    reference = all_references(bars, ROWS, **GIVEN)["EWMA of closes"].forecasts
    for bound, other in zip(made.interval(95), reference.interval(95), strict=True):
        np.testing.assert_array_equal(bound, other)
    first = ewma_rolled(bars.close, range(22, 30), 20, GIVEN["calibration"])
    assert np.isfinite(np.array(first.interval(95))).all()


@pytest.mark.parametrize("row", [700, 850])
def test_no_row_changes_a_reference_up_to_its_own(netflix, row):
    """Another bar in row t changes later rows only; no parameter sees the rows from `train_stop` on."""
    bars = history(netflix)
    changed = Bars(*(np.where(np.arange(900) >= row, 2 * column, column) for column in bars))
    before, after = (all_references(one, ROWS, **GIVEN) for one in (bars, changed))
    for name, (made, _) in before.items():
        for column, values in made.columns().items():
            np.testing.assert_array_equal(values[: row - 699], after[name].forecasts.columns()[column][: row - 699])
