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
    assert get_args(get_args(getattr(arrays, name))[1]) == (dtype,)
