"""Folds: the picture of the docstring in numbers, and what must hold for every layout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.forecasting.walk_forward import Fold, lay_folds


def test_three_folds_by_hand():
    """Ten rows of history, six to forecast, one purged before each fold."""
    assert lay_folds(range(10, 16), 3) == [
        Fold(range(9), range(10, 12)),
        Fold(range(11), range(12, 14)),
        Fold(range(13), range(14, 16)),
    ]


def test_sliding_forgets_the_oldest_rows():
    """Each fold sees as many as the first."""
    assert lay_folds(range(10, 16), 3, sliding=True) == [
        Fold(range(9), range(10, 12)),
        Fold(range(2, 11), range(12, 14)),
        Fold(range(4, 13), range(14, 16)),
    ]


@given(
    first=st.integers(5, 60), rows=st.integers(1, 60), count=st.integers(1, 80), sliding=st.booleans(),
    purge=st.integers(0, 4),
)  # fmt: skip
def test_each_row_is_forecast_once_and_never_seen_before(first, rows, count, sliding, purge):
    """In order, in parts of nearly equal size, with the purge between."""
    folds = lay_folds(range(first, first + rows), count, sliding=sliding, purge=purge)
    assert [row for fold in folds for row in fold.test] == list(range(first, first + rows))
    assert len(folds) == min(count, rows)
    sizes = {len(fold.test) for fold in folds}
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert fold.train.stop + purge == fold.test.start
        assert len(fold.train) == first - purge if sliding else fold.train.start == 0


@pytest.mark.parametrize(("test", "count"), [(range(1, 5), 2), (range(5, 5), 1), (range(5, 9), 0)])
def test_what_cannot_be_laid(test, count):
    """No history, no rows, no fold."""
    with pytest.raises(ValueError, match="walk-forward needs"):
        lay_folds(test, count)
