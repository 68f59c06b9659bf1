"""Misspelt CLOSECAST_ variables."""

import pytest

from pipeline.errors import UsageError
from pipeline.settings import load_settings
from pipeline.settings.variables import OTHER_VARIABLES


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CLOSECAST_TICKER", "CLOSECAST_TICKERS"),
        ("CLOSECAST_ALERT_URL", "CLOSECAST_ALERT_URLS"),
        ("CLOSECAST_AIRFLO_PORT", "CLOSECAST_AIRFLOW_PORT"),
        ("CLOSECAST_PRESET__DAILY__EPOCHS", "CLOSECAST_PRESETS__DAILY__EPOCHS"),
        ("CLOSECAST_TEST_DAT", "CLOSECAST_TEST_DATA"),
    ],
)
def test_a_misspelt_variable_is_named_with_its_nearest_match(monkeypatch, variable, nearest):
    """The value may be a password and is not shown."""
    monkeypatch.setenv(variable, "s3cret")
    with pytest.raises(UsageError) as error:
        load_settings()
    assert error.value.received == variable
    assert error.value.todo == f"Use {nearest}, or unset {variable}."
    assert "s3cret" not in str(error.value)


def test_a_variable_that_is_like_no_setting_is_refused_too(monkeypatch):
    """Without a guess."""
    monkeypatch.setenv("CLOSECAST_XYZ", "1")
    with pytest.raises(UsageError, match="Unset CLOSECAST_XYZ"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((f"CLOSECAST_{name}", "1") for name in sorted(OTHER_VARIABLES)),
        ("closecast_experiment", "lower case"),
        ("CLOSECAST_GATE__TOLERANCE", "0.02"),
        ("CLOSECAST_WEB_SERVICE_HOST", "10.0.0.1"),
        ("CLOSECAST_WEB_SERVICE_PORT", "8080"),
        ("CLOSECAST_WEB_PORT", "tcp://10.0.0.1:8080"),
        ("CLOSECAST_WEB_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_other_known_variables_are_accepted(monkeypatch, variable, value):
    """Of the stack, of containers, of tests, and those that Kubernetes adds for each service."""
    monkeypatch.setenv(variable, value)
    assert load_settings()
