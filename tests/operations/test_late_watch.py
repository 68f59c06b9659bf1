"""The alarm of the guard when no run came, with a real store and a real webhook."""

import datetime as dt

import pytest

from pipeline.alerting import notify
from pipeline.cli.preflight import check
from pipeline.operations.late_watch import LateWatch
from pipeline.settings import load_settings
from tests.support.alert_channels import webhook

CLOSE = dt.datetime(2025, 11, 21, 21, tzinfo=dt.UTC)  # of Friday, 2025-11-21
LONG_AGO = CLOSE - dt.timedelta(days=9)
TITLE = "No finished run for 2025-11-21"


def minutes(number):
    """Return a time after the close."""
    return CLOSE + dt.timedelta(minutes=number)


@pytest.fixture
def hook(tiny, monkeypatch):
    """Run a webhook that is the only channel; the session before has finished."""
    with webhook() as running:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", running.url)
        monkeypatch.setenv("CLOSECAST_LATE_MINUTES", "60")
        monkeypatch.setenv("CLOSECAST_DELAY_MINUTES", "30")
        before = check(tiny).model_copy(update={"as_of": dt.date(2025, 11, 20)})
        notify.mark_finished(load_settings(), before)
        yield running


def test_the_alarm_comes_within_5_minutes_after_the_limit(hook):
    """Once for a session, however often the guard looks."""
    watch = LateWatch(load_settings(), LONG_AGO)
    for minute in range(62):
        watch.look(minutes(minute))
    assert hook.told == []
    for minute in range(62, 66):
        watch.look(minutes(minute))
    assert hook.titles == [TITLE]
    for minute in range(66, 600):
        watch.look(minutes(minute))
    assert hook.titles == [TITLE]


def test_a_night_that_finished_is_silent_and_one_that_comes_late_recovers(hook, tiny):
    """The run itself sends the recovery, and the guard does not repeat it."""
    watch = LateWatch(load_settings(), LONG_AGO)
    watch.look(minutes(64))
    notify.mark_finished(load_settings(), check(tiny).model_copy(update={"created": minutes(70)}))
    for minute in (80, 81, 200):
        watch.look(minutes(minute))
    assert hook.titles == [TITLE, f"Recovered: {TITLE}"]
    LateWatch(load_settings(), LONG_AGO).look(minutes(300))
    assert len(hook.told) == 2


def test_the_message_of_the_dag_is_not_repeated(hook):
    """`watch` looks first; the store remembers."""
    notify.alert_unless_finished(load_settings(), dt.date(2025, 11, 21))
    LateWatch(load_settings(), LONG_AGO).look(minutes(64))
    assert hook.titles == [TITLE]


def test_a_stack_that_was_down_gets_the_time_of_a_night(hook):
    """It starts a run of the last session by itself."""
    watch = LateWatch(load_settings(), minutes(500))
    watch.look(minutes(532))
    assert hook.told == []
    watch.look(minutes(533))
    assert hook.titles == [TITLE]


def test_a_channel_that_rejected_the_alarm_gets_it_a_quarter_of_an_hour_later(hook):
    """The next pauses are twice as long each."""
    hook.answer = "error"
    watch = LateWatch(load_settings(), LONG_AGO)
    for minute in range(63, 63 + 15):
        watch.look(minutes(minute))
    assert (hook.told, hook.refused) == ([], 1)
    hook.answer = "ok"
    watch.look(minutes(63 + 15))
    assert hook.titles == [TITLE]


def test_a_store_that_fails_does_not_silence_the_alarm(hook, tiny):
    """Nor does it repeat the alarm every minute, though no message can be remembered."""
    store = tiny.var_dir / "store"
    store.rename(store.with_name("gone"))
    store.write_text("")
    watch = LateWatch(load_settings(), LONG_AGO)
    for minute in range(63, 63 + 44):
        watch.look(minutes(minute))
    assert hook.titles == [TITLE] * 2  # after 15 minutes again, and after 30 more


def test_a_replaced_program_is_one_message(hook):
    """Another process is news."""
    for pid in (7, 7, 8):
        notify.send_replaced(load_settings(), "airflow-scheduler", pid, "its heartbeat has stopped")
    assert len(hook.told) == 2
    assert "airflow-scheduler was replaced" in hook.told[0].title
    assert "its heartbeat has stopped" in hook.told[0].body
