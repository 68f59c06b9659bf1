"""Scaling of the target's values. scikit-learn fits two numbers, which JSON stores exactly."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from pipeline.arrays import Floats


class Scaler(NamedTuple):
    """The linear map scaled = (value - center) / spread."""

    kind: Literal["minmax", "standard"]
    center: float
    spread: float

    def scale(self, values: Floats) -> Floats:
        """Return `values` scaled, same shape."""
        return (values - self.center) / self.spread

    def unscale(self, scaled: Floats) -> Floats:
        """Return the unscaled values of `scaled`, same shape."""
        return scaled * self.spread + self.center


def fit_scaler(train_values: Floats, kind: Literal["minmax", "standard"]) -> Scaler:
    """Fit scikit-learn's MinMaxScaler or StandardScaler to the values of train, without NaN.

    Args:
        train_values: shape (n,), rows of train only.
        kind: `minmax` for MinMaxScaler, `standard` for StandardScaler.
    """
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    column = train_values[~np.isnan(train_values)].reshape(-1, 1)  # (n, 1)
    if kind == "minmax":
        minmax = MinMaxScaler().fit(column)
        return Scaler(kind, float(minmax.data_min_[0]), float(1 / minmax.scale_[0]))
    standard = StandardScaler().fit(column)
    return Scaler(kind, float(standard.mean_[0]), float(standard.scale_[0]))
