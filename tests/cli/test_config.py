"""`closecast config` and `closecast init`."""

import json

import pytest

from tests.support.commands import say


@pytest.mark.usefixtures("tiny")
def test_config_shows_each_setting_with_its_origin(monkeypatch):
    """The verdict first; presets that are not in use with --all; no secret, in JSON neither."""
    monkeypatch.setenv("CLOSECAST_ALERT_URLS", "json://me:geheim@example.org")
    code, text = say("config")
    first, head, *rows = text.splitlines()
    assert code == 0
    assert first.startswith("All settings are valid: ")
    assert "alert_urls" in first
    assert head.split() == ["setting", "value", "from"]
    assert ["calendar", "XNYS", "default"] in [row.split() for row in rows]
    assert not [row for row in rows if row.startswith("presets.tutorial")]
    assert "presets.tutorial.epochs" in say("config", "--all")[1]
    objects = json.loads(say("config", "--json")[1])
    assert objects["presets.daily.lookback"] == {"value": "5", "origin": "CLOSECAST_PRESETS__DAILY__LOOKBACK"}
    assert "geheim" not in text + json.dumps(objects)


@pytest.mark.usefixtures("tiny")
def test_config_refuses_what_a_run_would_refuse(monkeypatch):
    """Three lines and exit code 2."""
    monkeypatch.setenv("CLOSECAST_MAX_JUMP", "-1")
    code, text = say("config")
    assert (code, len(text.strip().splitlines())) == (2, 3)


@pytest.mark.usefixtures("tiny")
def test_init_writes_once(tmp_path):
    """The second time is wrong usage."""
    code, text = say("init", str(tmp_path / "new"))
    assert (code, str(tmp_path / "new" / "closecast.toml") in text) == (0, True)
    code, text = say("init", str(tmp_path / "new"))
    assert (code, len(text.strip().splitlines())) == (2, 3)
