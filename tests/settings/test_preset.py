"""Presets that take fields from other presets."""

import pytest

from pipeline.errors import UsageError
from pipeline.settings import load_settings

BASE = """
[presets.base]
target = "close"
scaler = "minmax"
lookback = 5
train_fraction = 0.8
validation_fraction = 0.1
reach_back = true
units = [3]
learning_rate = 0.1
batch_size = 8
epochs = 3
seed = 0
"""


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """Return a function that reads presets from a closecast.toml with the preset `base`."""
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))

    def read(text):
        (tmp_path / "closecast.toml").write_text(BASE + text)
        return load_settings().presets

    return read


def test_a_preset_takes_missing_fields_from_the_preset_that_like_names(presets):
    """Through several presets; the nearest preset wins."""
    found = presets('[presets.b]\nlike = "base"\nepochs = 7\ncell = "gru"\n[presets.c]\nlike = "b"\ncell = "lstm"\n')
    assert (found["c"].cell, found["c"].epochs, found["c"].lookback) == ("lstm", 7, 5)
    assert found["base"].epochs == 3


def test_an_unknown_like_is_named_with_the_presets_that_exist(presets):
    """Not as a list of fields that are missing."""
    with pytest.raises(UsageError) as error:
        presets('[presets.b]\nlike = "bass"\n[presets.c]\nlike = "base"\n')
    assert error.value.rule == "presets.b.like must name another preset."
    assert error.value.received == "'bass'"
    assert error.value.todo == "Use one of: base, c."


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[presets.b]\nlike = "b"\n', "b -> b"),
        ('[presets.b]\nlike = "c"\n[presets.c]\nlike = "b"\n', "b -> c -> b"),
    ],
)
def test_a_circle_of_likes_is_shown(presets, text, path):
    """With each preset on the way."""
    with pytest.raises(UsageError) as error:
        presets(text)
    assert error.value.received == path


def test_a_preset_that_is_not_a_table_is_named(presets):
    """A `like` of it adds no second error of its own kind."""
    with pytest.raises(UsageError, match=r"presets\.b"):
        presets('[presets]\nb = 3\n[presets.c]\nlike = "b"\n')
