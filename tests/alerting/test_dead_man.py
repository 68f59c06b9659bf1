"""The dead man's switch: asked after each good night, and never a reason for a run to fail."""

import pytest

from pipeline.alerting import dead_man, notify
from pipeline.cli.preflight import check
from pipeline.settings import load_settings
from tests.support.alert_channels import dead_mans_switch

PATH = "0f7c-secret-of-the-path"


@pytest.fixture
def switch(monkeypatch):
    """Run a switch, which is asked again without a pause."""
    monkeypatch.setattr(dead_man, "_PAUSE_SECONDS", 0.0)
    with dead_mans_switch(PATH) as running:
        yield running


def test_an_address_that_fails_once_is_asked_again(switch):
    """One lost request must not wake a person."""
    switch.statuses[:] = [503, 200]
    assert dead_man.ping(switch.url)
    assert switch.asked == [f"/{PATH}"] * 2


@pytest.mark.parametrize("tail", ["", "\n x"])
def test_an_address_that_does_not_answer_is_logged_without_its_secret(switch, caplog, tail):
    """Nor does a broken address end the run."""
    switch.statuses[:] = [503]
    assert not dead_man.ping(switch.url + tail)
    assert "did not answer in 3 tries" in caplog.text
    assert PATH not in caplog.text


def test_only_http_is_asked(tmp_path, caplog):
    """A file would always answer."""
    (tmp_path / PATH).write_text("")
    assert not dead_man.ping((tmp_path / PATH).as_uri())
    assert "http://" in caplog.text
    assert PATH not in caplog.text


def test_a_good_night_is_one_request_and_a_past_session_none(switch, tiny, monkeypatch):
    """A backfill says nothing about tonight. Without an address nothing is asked."""
    plan = check(tiny)
    tonight = plan.model_copy(update={"created": plan.created.replace(year=2025, month=11, day=22)})
    notify.mark_finished(load_settings(), tonight)
    assert switch.asked == []
    monkeypatch.setenv("CLOSECAST_HEARTBEAT_URL", switch.url)
    settings = load_settings()
    assert PATH not in repr(settings)
    notify.mark_finished(settings, plan)
    assert switch.asked == []
    notify.mark_finished(settings, tonight)
    assert switch.asked == [f"/{PATH}"]
