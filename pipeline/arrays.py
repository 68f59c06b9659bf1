"""The types of NumPy arrays, named once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]  # days: datetime64[D]
