"""The limits of the gate."""

import pytest
from pydantic import ValidationError

from pipeline.errors import UsageError
from pipeline.settings import load_settings
from pipeline.settings.gate import Gate


@pytest.mark.parametrize(
    ("field", "lowest", "below"),
    [
        ("tolerance", 0, -0.001),
        ("min_coverage_95", 0, -0.001),
        ("max_coverage_95", 0, -0.001),
        ("min_live_coverage_95", 0, -0.001),
        ("min_live_sessions", 1, 0),
        ("max_champion_age", 1, 0),
        ("max_forecast_age", 0, -1),
    ],
)
def test_a_limit_below_its_range_is_refused(field, lowest, below):
    """The lowest value is accepted."""
    assert getattr(Gate(**{field: lowest}), field) == lowest
    with pytest.raises(ValidationError, match=field):
        Gate(**{field: below})


@pytest.mark.parametrize("field", ["min_coverage_95", "max_coverage_95", "min_live_coverage_95"])
def test_a_share_is_at_most_1(field):
    """A coverage in per cent, such as 95, is refused."""
    assert getattr(Gate(**{field: 1}), field) == 1
    with pytest.raises(ValidationError, match=field):
        Gate(**{field: 95})


@pytest.mark.parametrize("significance", [0, 1, -0.05, 5])
def test_a_significance_is_a_probability_and_neither_0_nor_1(significance):
    """0 would refuse no version, and 1 every version."""
    with pytest.raises(ValidationError, match="significance"):
        Gate(significance=significance)


def test_one_limit_can_come_from_the_environment(monkeypatch):
    """The others stay as they are in closecast.toml."""
    before = load_settings().gate
    monkeypatch.setenv("CLOSECAST_GATE__TOLERANCE", "0.25")
    assert load_settings().gate == before.model_copy(update={"tolerance": 0.25})
    assert before.tolerance == 0.01


@pytest.mark.parametrize(("field", "value"), [("TOLERANCE", "-1"), ("POLICY", "always"), ("TOLERANC", "1")])
def test_a_wrong_limit_is_named(monkeypatch, field, value):
    """A misspelt limit would otherwise leave the gate as wide as before."""
    monkeypatch.setenv(f"CLOSECAST_GATE__{field}", value)
    with pytest.raises(UsageError, match=f"CLOSECAST_GATE__{field}"):
        load_settings()


def test_limits_cannot_be_changed_after_they_were_read():
    """A plan holds the limits of its run."""
    with pytest.raises(ValidationError, match="frozen"):
        Gate().tolerance = 1000
