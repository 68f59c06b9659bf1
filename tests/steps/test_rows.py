"""The file rows.json."""

from pipeline.forecasting.split import Split
from pipeline.forecasting.windows import Windows
from pipeline.steps.rows import fitted_rows, rows_json


def test_the_rows_come_back():
    """Parts and windows, each with its first row and the row after its last."""
    parts = Split(validation=70, test=80, end=100)
    laid = Windows(5, range(5, 70), range(70, 80), range(80, 100))
    assert fitted_rows(rows_json(parts, laid)) == (parts, laid)


def test_a_part_without_rows_stays_empty():
    """A preset without a validation part."""
    laid = Windows(5, range(5, 80), range(80, 80), range(80, 100))
    assert not fitted_rows(rows_json(Split(80, 80, 100), laid)).windows.validation
