"""An annotated closecast.toml is right, complete, and never written over another one."""

import tomllib

import pytest

from pipeline.errors import UsageError
from pipeline.settings import CHECKOUT, load_settings
from pipeline.settings.annotated import annotated, write
from pipeline.settings.gate import Gate
from pipeline.settings.settings import Settings


def test_a_new_file_gives_the_settings_of_the_checkout(tmp_path, monkeypatch):
    """Presets, limits and all else are equal."""
    before = load_settings()
    write(tmp_path / "new")
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path / "new"))
    assert load_settings().model_dump(exclude={"home"}) == before.model_dump(exclude={"home"})


def test_each_line_that_is_uncommented_is_valid(tmp_path, monkeypatch):
    """Every setting and every limit is in the file, with a value that passes its check."""
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and line.split()[1].isidentifier() else line
        for line in annotated().splitlines()
    ]
    (tmp_path / "closecast.toml").write_text("\n".join(lines))
    content = tomllib.loads("\n".join(lines))
    assert set(content) == set(Settings.model_fields) - {"home"}
    assert set(content["gate"]) == set(Gate.model_fields)
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    assert load_settings().max_jump == 0.5


def test_an_existing_file_is_kept(tmp_path):
    """The message names it."""
    (tmp_path / "closecast.toml").write_text("mine")
    with pytest.raises(UsageError, match="never overwritten"):
        write(tmp_path)
    assert (tmp_path / "closecast.toml").read_text() == "mine"


def test_a_checkout_without_presets_names_the_way_back(tmp_path):
    """They are defined in its closecast.toml alone."""
    assert "[presets.tutorial]" in annotated(CHECKOUT)
    with pytest.raises(UsageError, match=r"git -C .* checkout closecast.toml"):
        annotated(tmp_path)
