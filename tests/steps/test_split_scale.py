"""The step `split_scale`, after two real steps."""

import numpy as np
import pandas as pd
import pytest

from pipeline.steps import FLOW
from pipeline.store.formats import arrays_of
from tests.support.nights import json_in, night


@pytest.mark.usefixtures("tiny")
def test_the_scaler_knows_train_rows_only():
    """The scaled returns of train have mean 0 and deviation 1; those of all rows do not."""
    folder = night("1", "2025-11-21", steps=FLOW[:3])
    arrays = arrays_of(folder.read("scaled.npz"))
    parts = json_in(folder, "split")
    closes = pd.read_parquet(folder.path("validated.parquet"))["close"].to_numpy()
    assert arrays["closes"].tolist() == closes.tolist()
    assert parts["test"] == int(0.8 * len(closes))
    assert parts["end"] == len(closes)
    train = arrays["scaled"][1 : parts["test"]]  # the first close has no return
    assert np.mean(train) == pytest.approx(0, abs=1e-9)
    assert np.std(train) == pytest.approx(1, rel=1e-3)
    tags = folder.manifest("split_scale").outcome.tags
    assert tags["cutoff"] == str(arrays["sessions"][parts["test"] - 1])
    assert tags["first_test_session"] == str(arrays["sessions"][parts["test"]])
