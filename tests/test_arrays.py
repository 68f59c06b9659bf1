"""The names of array types."""

from typing import get_args

import numpy as np
import pytest

from pipeline import arrays


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("Floats", np.float64), ("Ints", np.intp), ("Bools", np.bool_), ("Dates", np.datetime64)],
)
def test_a_name_means_one_dtype(name, dtype):
    """`Floats` is float64: a float32 array would change figures."""
    *_, last = get_args(getattr(arrays, name))
    assert (get_args(last) or (last,)) == (dtype,)  # NumPy 2.4 nests it in `dtype`, 2.5 does not
