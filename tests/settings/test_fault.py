"""The names of the faults."""

from typing import get_args

import pytest

from pipeline.errors import UsageError
from pipeline.settings import load_settings
from pipeline.settings.fault import FAULTS, Fault


def test_each_fault_is_described_in_one_line():
    """The help and the documentation list exactly the faults that there are."""
    assert tuple(FAULTS) == get_args(Fault)
    assert all(text and "\n" not in text for text in FAULTS.values())
    assert len(set(FAULTS.values())) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_can_be_set(monkeypatch, fault):
    """By the variable that `make run` sets."""
    monkeypatch.setenv("CLOSECAST_FAULT", fault)
    assert load_settings().fault == fault


def test_an_unknown_fault_is_refused_with_those_that_exist(monkeypatch):
    """A misspelt fault would otherwise be a run without one."""
    monkeypatch.setenv("CLOSECAST_FAULT", "bad_bars")
    with pytest.raises(UsageError, match="'bad_bar'") as error:
        load_settings()
    assert error.value.received == "'bad_bars'"
