"""The effective value of each setting, and its origin."""

import pytest

from pipeline.settings import load_settings
from pipeline.settings.origins import effective, without_login


@pytest.fixture
def found(monkeypatch, tmp_path):
    """Return settings by name, some of them from the environment."""
    for name, value in {
        "VAR": str(tmp_path / "var"),
        "TICKERS": "NFLX,AAPL",
        "GATE": '{"tolerance": 0.02}',
        "PRESETS__POINT__EPOCHS": "7",
        "LEDGER": "postgresql://me:pa/ss@w@db/closecast?password=secret",
        "ALERT_URLS": "mailtos://me:secret@example.org",
    }.items():
        monkeypatch.setenv(f"CLOSECAST_{name}", value)
    return {one.name: one for one in effective(load_settings())}


@pytest.mark.parametrize(
    ("name", "value", "origin"),
    [
        ("tickers", "NFLX, AAPL", "CLOSECAST_TICKERS"),
        ("source", "sample", "closecast.toml"),
        ("calendar", "XNYS", "default"),
        ("gate.tolerance", "0.02", "CLOSECAST_GATE"),
        ("gate.policy", "unless_worse", "closecast.toml"),  # CLOSECAST_GATE holds another limit alone
        ("gate.significance", "0.05", "default"),
        ("presets.daily.batch_size", "256", "closecast.toml"),
        ("presets.daily.lookback", "100", "closecast.toml, presets.point"),
        ("presets.daily.cell", "simple_rnn", "default"),
        ("presets.point.epochs", "7", "CLOSECAST_PRESETS__POINT__EPOCHS"),
        ("presets.gru.epochs", "7", "CLOSECAST_PRESETS__POINT__EPOCHS, by like"),
        ("accept_restated", "false", "default"),
    ],
)
def test_each_value_names_its_origin(found, name, value, origin):
    """A variable wins over the file; `like` takes fields of another preset."""
    assert (found[name].value, found[name].origin) == (value, origin)


def test_an_empty_place_shows_where_it_leads(found, tmp_path):
    """The store lies in var, which is absolute."""
    assert found["store"].value == str(tmp_path / "var" / "store")
    assert found["store"].origin == "default"


def test_no_secret_is_shown(found):
    """A password in a login or behind a question mark, and the channels of alerts."""
    assert found["ledger"].value == "postgresql://***@db/closecast?..."
    assert found["alert_urls"].value == "1 channel(s), not shown"
    assert not [
        one for one in found.values() if ":secret" in one.value or "=secret" in one.value or "pa/ss" in one.value
    ]


def test_text_without_a_url_is_unchanged():
    """A path may have these signs."""
    assert without_login("/data/me@home?") == "/data/me@home?"
