"""The file rows.json, and the tags of the borders."""

import numpy as np

from pipeline.forecasting.split import Borders, Split
from pipeline.forecasting.windows import Windows
from pipeline.steps.rows import border_tags, borders_in, fitted_rows, rows_json


def test_the_rows_come_back():
    """Parts and windows, each with its first row and the row after its last."""
    parts = Split(validation=70, test=80, end=100)
    laid = Windows(5, range(5, 70), range(70, 80), range(80, 100))
    assert fitted_rows(rows_json(parts, laid)) == (parts, laid)


def test_a_part_without_rows_stays_empty():
    """A preset without a validation part."""
    laid = Windows(5, range(5, 80), range(80, 80), range(80, 100))
    assert not fitted_rows(rows_json(Split(80, 80, 100), laid)).windows.validation


def test_the_borders_come_back():
    """The dates on which validation and test begin."""
    sessions = np.arange("2025-01-01", "2025-01-11", dtype="datetime64[D]")
    tags = border_tags(sessions, Split(validation=6, test=8, end=10))
    assert tags == {"first_validation_session": "2025-01-07", "first_test_session": "2025-01-09"}
    assert borders_in(tags) == Borders(np.datetime64("2025-01-07"), np.datetime64("2025-01-09"))
