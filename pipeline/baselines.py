"""Forecasts that need no training: what a network has to beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def naive(closes: Floats, targets: range) -> Floats:
    """Return the random walk's forecast: the close before each target row, in dollars, shape (len(targets),)."""
    return closes[targets.start - 1 : targets.stop - 1]
