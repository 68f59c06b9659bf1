"""Messages about wrong settings."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.errors import UsageError
from pipeline.settings import Settings, load_settings
from pipeline.settings.gate import Gate
from pipeline.settings.preset import Preset


@pytest.mark.parametrize(
    ("variable", "value", "rule", "example"),
    [
        ("CLOSECAST_TICKERS", '["NFLX"', "must be a list.", "CLOSECAST_TICKERS=NFLX,AAPL"),
        ("CLOSECAST_TICKERS", "[1]", "must be a valid string.", "CLOSECAST_TICKERS=NFLX,AAPL"),
        ("CLOSECAST_AIRFLOW_PORT", "http", "must be a whole number.", "CLOSECAST_AIRFLOW_PORT=8080"),
        ("CLOSECAST_MAX_JUMP", "half", "must be a number.", "CLOSECAST_MAX_JUMP=0.5"),
        ("CLOSECAST_GPU", "yes", "must be 'off', 'auto', 'require' or 'queue'.", "CLOSECAST_GPU=auto"),
        ("CLOSECAST_SOURCE", "bloomberg", "must be 'sample', 'files' or 'yahoo'.", "CLOSECAST_SOURCE=sample"),
        ("CLOSECAST_START", "yesterday", "must be a date, YYYY-MM-DD.", "CLOSECAST_START=2010-04-01"),
        ("CLOSECAST_ACCEPT_RESTATED", "maybe", "must be true or false.", "CLOSECAST_ACCEPT_RESTATED=false"),
        ("closecast_walk_forward", "300", "must be less than or equal to 250.", "closecast_walk_forward=5"),
        ("CLOSECAST_GATE", "strict", "must be an object in JSON.", 'CLOSECAST_GATE={"tolerance": 0.01}'),
        ("CLOSECAST_GATE__TOLERANCE", "-1", "must be greater than or equal to 0.", "CLOSECAST_GATE__TOLERANCE=0.01"),
        (
            "CLOSECAST_PRESETS__DAILY__UNITS",
            "20,x",
            "must be a whole number.",
            "CLOSECAST_PRESETS__DAILY__UNITS=20,20,20",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_an_example_that_works(monkeypatch, variable, value, rule, example):
    """Not in pydantic's words, and the example is accepted."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as error:
        load_settings()
    assert error.value.rule == f"{variable} {rule}"
    assert f"such as {example}." in error.value.todo
    monkeypatch.setenv(variable, example.partition("=")[2])
    load_settings()


def test_every_field_that_can_be_wrong_has_an_example():
    """In the settings, a preset and the gate. A text is never wrong."""
    for model in (Settings, Preset, Gate):
        for name, field in model.model_fields.items():
            if field.annotation in {str, Path, Path | None, SecretStr}:
                continue
            assert field.examples or field.default is not None, name
            assert field.examples or not field.is_required(), name


def test_a_wrong_object_names_the_field_inside(monkeypatch):
    """The example is the object."""
    monkeypatch.setenv("CLOSECAST_GATE", '{"tolerance": -1}')
    with pytest.raises(UsageError, match="tolerance in CLOSECAST_GATE must be greater") as error:
        load_settings()
    assert 'CLOSECAST_GATE={"tolerance": 0.01}' in error.value.todo


def test_a_wrong_parameter_names_the_variable_of_make_and_the_option(monkeypatch):
    """Not the variable of the environment, which the parameter covers."""
    monkeypatch.setenv("CLOSECAST_AS_OF", "2025-11-20")
    with pytest.raises(UsageError) as error:
        load_settings(as_of="soon")
    assert error.value.rule == "as_of must be a date, YYYY-MM-DD."
    assert "AS_OF=2025-11-21 or --as-of 2025-11-21" in error.value.todo


def test_a_wrong_key_of_the_file_has_an_example_in_its_form(tmp_path, monkeypatch):
    """In TOML."""
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    (tmp_path / "closecast.toml").write_text('tickers = "NFLX,AAPL"')
    with pytest.raises(UsageError) as error:
        load_settings()
    assert error.value.rule == "tickers must be a list."
    assert 'in closecast.toml, such as tickers = ["NFLX", "AAPL"].' in error.value.todo
