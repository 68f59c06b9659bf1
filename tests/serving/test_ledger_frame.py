"""A record becomes a row of the table and comes back."""

import pytest

from pipeline.serving import ledger_frame
from tests.support.ledger_rows import OLD, ROW


@pytest.mark.parametrize("record", [ROW, OLD])
def test_a_record_comes_back_as_it_was(record):
    """Also one that lacks the fields of later versions."""
    assert ledger_frame.record_of(ledger_frame.frame([record]).iloc[0]) == record


def test_an_empty_table_has_the_types_of_a_full_one():
    """A reader needs no special case."""
    assert ledger_frame.frame([]).dtypes.to_dict() == ledger_frame.frame([ROW]).dtypes.to_dict()


def test_quantiles_are_json_or_nothing():
    """For files and databases alike."""
    assert ledger_frame.columns_of(OLD)["quantiles"] == ""
    assert ledger_frame.columns_of(ROW)["quantiles"].startswith("[6510.0, ")
