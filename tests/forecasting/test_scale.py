"""Scaling by what train knows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from pipeline.forecasting.scale import Scaler, fit_scaler


@pytest.mark.parametrize(("kind", "theirs"), [("minmax", MinMaxScaler), ("standard", StandardScaler)])
def test_scaling_is_scikit_learns(kind, theirs):
    """Two kept numbers do what the fitted estimator does, on values outside of train too."""
    train, later = np.array([3.0, 9.0, 4.0, 7.0]), np.array([1.0, 12.0])
    fitted = theirs().fit(train.reshape(-1, 1))
    assert fit_scaler(train, kind).scale(later) == pytest.approx(fitted.transform(later.reshape(-1, 1))[:, 0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40).filter(lambda v: max(v) - min(v) > 1e-3))
def test_unscaling_gives_the_values_back_also_after_json(values):
    """JSON keeps the scaler exactly."""
    scaler = fit_scaler(np.array(values), "minmax")
    again = Scaler(**json.loads(json.dumps(scaler._asdict())))
    assert again == scaler
    assert again.unscale(again.scale(np.array(values))) == pytest.approx(values, abs=1e-6)


def test_the_reference_figures_of_netflix(netflix):
    """Train and scaled test of the tutorial's range, from the data's own page."""
    closes = netflix["close"].to_numpy()
    minmax = fit_scaler(closes[:2430], "minmax")
    scaled = minmax.scale(closes[2430:])
    assert (minmax.center, minmax.center + minmax.spread) == pytest.approx((7.68571376800537, 418.970001220703))
    assert (scaled.min(), scaled.max(), (scaled > 1).mean()) == pytest.approx((0.491690, 1.663094, 0.728618), abs=5e-7)
    standard = fit_scaler(np.diff(np.log(closes[:2430])), "standard")
    assert (standard.center, standard.spread) == pytest.approx((0.001385978, 0.032770519), abs=5e-10)
