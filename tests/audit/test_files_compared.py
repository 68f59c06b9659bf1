"""Two contents of a file are equal to the last bit, or the first difference is named."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.audit.files_compared import Compared, compared, values_of
from pipeline.forecasting import model
from pipeline.store.formats import arrays_bytes, frame_bytes, json_bytes


def test_the_next_float_is_a_difference():
    """The first of several is named with its place; the largest counts relative to the largest value."""
    then = np.array([1.0, 2.0, 4.0])
    now = np.array([1.0, np.nextafter(2.0, 3.0), 4.5])
    found = compared("scaled.npz", arrays_bytes(closes=then), arrays_bytes(closes=now))
    assert found.first == "scaled.npz closes[1]: recorded 2.0, made again 2.0000000000000004"
    assert (found.total, found.largest) == (3, 0.125)


def test_equal_values_are_equal_and_a_missing_number_equals_a_missing_number():
    """NaN is a value of the record like any other."""
    frame = pd.DataFrame({"close": [1.0, math.nan]}, index=pd.to_datetime(["2025-11-20", "2025-11-21"]))
    assert compared("validated.parquet", frame_bytes(frame), frame_bytes(frame)) == Compared(4)
    filled = frame.fillna(2.0)
    assert "close[1]: recorded nan" in compared("validated.parquet", frame_bytes(frame), frame_bytes(filled)).first


def test_the_moment_of_a_forecast_is_no_difference_and_its_version_is():
    """Texts and counts are never close to each other."""
    then = json_bytes({"forecast": {"created": "2025-11-22", "version": 2, "low": 1.5}})
    later = json_bytes({"forecast": {"created": "2026-01-01", "version": 2, "low": 1.5}})
    other = json_bytes({"forecast": {"created": "2025-11-22", "version": 3, "low": 1.5}})
    assert compared("forecast.json", then, later) == Compared(2)
    assert compared("forecast.json", then, other).largest == math.inf
    assert compared("forecast.json", then, other).first == "forecast.json forecast.version: recorded 2, made again 3"


def test_a_field_that_one_side_lacks_is_a_difference():
    """In both directions."""
    short = json_bytes({"a": 1.0})
    long = json_bytes({"a": 1.0, "b": [2.0]})
    assert compared("metrics.json", long, short).first == "metrics.json b[0]: recorded, and not made again"
    assert compared("metrics.json", short, long).first == "metrics.json b[0]: made again, and not recorded"
    assert "recorded float64(2,)" in compared("a.npz", arrays_bytes(a=np.ones(2)), arrays_bytes(a=np.ones(3))).first


def test_rounded_figures_of_a_decision_count_as_no_large_difference():
    """The scores behind them are compared. Another verdict or another version is a difference of another kind."""
    then = json_bytes({"promoted": True, "rules": [{"value": "p 0.1234 against v2"}]})
    near = json_bytes({"promoted": True, "rules": [{"value": "p 0.1235 against v2"}]})
    other = json_bytes({"promoted": True, "rules": [{"value": "p 0.1234 against v3"}]})
    refused = json_bytes({"promoted": False, "rules": [{"value": "p 0.1234 against v2"}]})
    assert compared("decision.json", then, near).largest == 0.0
    assert "p 0.1235" in compared("decision.json", then, near).first
    assert compared("decision.json", then, other).largest == math.inf
    assert compared("decision.json", then, refused).largest == math.inf


def test_a_score_near_zero_counts_in_full():
    """A skill of 1e-6 that doubles is a difference of 1e-6."""
    then = json_bytes({"skill": 1e-6, "rmse": 100.0})
    now = json_bytes({"skill": 2e-6, "rmse": 100.01})
    assert compared("metrics.json", then, now).largest == pytest.approx(1e-4)
    assert compared("recipe.json", then, now).largest == pytest.approx(1.0)


def test_networks_are_compared_by_their_weights():
    """The bytes of a `.keras` file change with the second in which it is written; the weights do not."""
    network = model.build(5, [3, 2])
    saved = model.to_bytes(network)
    again = model.to_bytes(model.from_bytes(saved))
    assert compared("model.keras", saved, again) == Compared(network.count_params())
    weights = network.get_weights()
    weights[0][0, 0] = np.nextafter(weights[0][0, 0], np.float32(9))
    network.set_weights(weights)
    assert "model.keras layers/" in compared("model.keras", saved, model.to_bytes(network)).first


def test_an_unknown_format_is_a_bug():
    """No file is skipped in silence."""
    with pytest.raises(ValueError, match=r"loss\.png"):
        list(values_of("loss.png", b""))
