"""The step `window`, after three real steps."""

import pytest

from pipeline.errors import DataError
from pipeline.steps import FLOW
from tests.support.nights import json_in, night


@pytest.mark.usefixtures("tiny")
def test_each_session_of_a_part_is_predicted_once():
    """Test covers all its sessions; train, validation and test follow each other."""
    folder = night("1", "2025-11-21", steps=FLOW[:4])
    parts = json_in(folder, "split")
    laid = json_in(folder, "windows")
    assert laid["lookback"] == 5
    assert laid["test"] == [parts["test"], parts["end"]]
    assert laid["validation"] == [parts["validation"], parts["test"]]
    assert laid["train"][1] == parts["validation"]
    metrics = folder.manifest("window").outcome.metrics
    assert metrics["step/windows_test"] == parts["end"] - parts["test"]


@pytest.mark.usefixtures("tiny")
def test_a_lookback_longer_than_train_is_refused(monkeypatch):
    """The part is named, with what can be changed."""
    monkeypatch.setenv("CLOSECAST_PRESETS__DAILY__LOOKBACK", "900")
    with pytest.raises(DataError, match="at least one window of 900 sessions"):
        night("1", "2025-11-21", steps=FLOW[:4], min_history=0)
