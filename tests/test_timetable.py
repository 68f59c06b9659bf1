"""The schedule against the exchange's own calendar, and through Airflow as its plugin."""

import datetime as dt
import itertools
import json
import logging
import os
import subprocess
import sys
import warnings

import exchange_calendars as xc
import pandas as pd
import pytest

from pipeline.calendar import exchange, last_closed_session
from pipeline.errors import UsageError
from tests.support.calendars import set_today

IN_AIRFLOW = """
import datetime as dt, json, sys
from airflow.sdk import DAG, task
from pipeline.timetable import SessionTimetable

with DAG("nightly", schedule=SessionTimetable("XNYS", 45), start_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) as dag:
    task(task_id="nothing")(lambda: None)()
dag.validate()
heavy = [name for name in ("pandas", "exchange_calendars") if name in sys.modules]

from airflow.plugins_manager import get_timetables_plugins
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.serialization.serialized_objects import DagSerialization

read = DagSerialization.from_json(DagSerialization.to_json(dag))
day = lambda text: dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
between = lambda first, last: [
    [str(info.logical_date), str(info.data_interval.end), str(info.run_after)]
    for info in read.iter_dagrun_infos_between(day(first), day(last))
]
print(json.dumps({
    "heavy": heavy,
    "registered": list(get_timetables_plugins()),
    "needs no translation": coerce_to_core_timetable(dag.timetable) is dag.timetable,
    "read": [type(read.timetable) is SessionTimetable, read.timetable.serialize(), read.timetable.summary],
    "week": between("2025-11-24", "2025-11-28"),
    "to the last second": between("2025-11-24", "2025-11-28T23:59:59"),
    "to the morning": between("2025-11-24", "2025-11-28T10:00"),
    "holiday": between("2025-11-27", "2025-11-27"),
}))
"""


@pytest.fixture(scope="module")
def timetable(tmp_path_factory):
    """Import the module, and Airflow with a home of its own; undo what Airflow does to logging and warnings."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setattr(sys, "path", sys.path[:])
        from pipeline import timetable
    root.handlers[:] = handlers
    root.setLevel(level)
    return timetable


@pytest.fixture
def at(timetable, monkeypatch):
    """Return a function that sets the clock of the timetable."""
    return lambda text: monkeypatch.setattr(timetable, "_now", lambda: utc(text))


@pytest.fixture(scope="module")
def in_airflow(tmp_path_factory):
    """Send a DAG through Airflow's serialization in a process of its own, with the installed plugin."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", IN_AIRFLOW], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def utc(text):
    """Return a time of UTC as Airflow hands it over."""
    import pendulum

    return pendulum.parse(text, tz="UTC")


def ask(table, *, last=None, earliest=None, latest=None, catchup=True):
    """Ask for the run after the run `last`, as the scheduler does."""
    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(earliest and utc(earliest), latest and utc(latest), catchup)
    return table.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)


def walk(table, first, last):
    """Return all runs from `first` to `last`, one after the other, with catchup."""
    runs = [ask(table, earliest=first, latest=last)]
    while runs[-1]:
        runs.append(ask(table, last=runs[-1], earliest=first, latest=last))
    return runs[:-1]


def run_of(table, session):
    """Return the run of one session."""
    return ask(table, earliest=session, latest=session)


def shown(run):
    """Return a run as text: open, close, run."""
    return [f"{time:%m-%d %H:%M}" for time in (run.logical_date, run.data_interval.end, run.run_after)]


@pytest.mark.parametrize(
    ("name", "delay"),
    [("XNYS", 90), ("XNYS", 0), ("XNYS", 600), ("XLON", 90), ("XASX", 90), ("CMES", 90), ("24/7", 90)],
)
def test_each_session_of_eight_years_has_one_run(timetable, name, delay):
    """Open, close and run are the calendar's own; none is missing, none too many; the plan takes that session."""
    calendar = xc.get_calendar(name, start="2018-12-01", end="2027-01-31")
    hours = calendar.schedule[calendar.schedule["open"].between("2019-01-01T00:00Z", "2026-12-31T23:59Z")]
    runs = walk(timetable.SessionTimetable(name, delay), "2019-01-01", "2026-12-31")
    opens, closes = (pd.DatetimeIndex(hours[column]).to_pydatetime().tolist() for column in ("open", "close"))
    assert [run.logical_date for run in runs] == opens
    assert [run.data_interval for run in runs] == list(zip(opens, closes, strict=True))
    assert [run.run_after for run in runs] == [close + dt.timedelta(minutes=delay) for close in closes]
    assert all(run.run_after.utcoffset() == dt.timedelta(0) for run in runs)
    assert [last_closed_session(name, run.data_interval.end) for run in runs] == [day.date() for day in hours.index]


@pytest.mark.parametrize(
    ("first", "last", "open_close_run"),
    [
        (  # Thanksgiving on the 27th; the 28th closes at 13:00 New York, 14:30 is the run
            "2025-11-26", "2025-12-01",
            [
                ["11-26 14:30", "11-26 21:00", "11-26 22:30"],
                ["11-28 14:30", "11-28 18:00", "11-28 19:30"],
                ["12-01 14:30", "12-01 21:00", "12-01 22:30"],
            ],
        ),
        (  # New York moves its clocks on Sunday, March 9
            "2025-03-07", "2025-03-10",
            [["03-07 14:30", "03-07 21:00", "03-07 22:30"], ["03-10 13:30", "03-10 20:00", "03-10 21:30"]],
        ),
        (  # and back on Sunday, November 2
            "2025-10-31", "2025-11-03",
            [["10-31 13:30", "10-31 20:00", "10-31 21:30"], ["11-03 14:30", "11-03 21:00", "11-03 22:30"]],
        ),
    ],
)  # fmt: skip
def test_holidays_early_closes_and_clock_changes_by_hand(timetable, first, last, open_close_run):
    """All in UTC."""
    assert [shown(run) for run in walk(timetable.SessionTimetable(), first, last)] == open_close_run


@pytest.mark.parametrize(
    ("name", "delay", "open_close_run"),
    [
        ("24/7", 90, ["11-28 00:00", "11-29 00:00", "11-29 01:30"]),
        ("XNYS", 600, ["11-28 14:30", "11-28 18:00", "11-29 04:00"]),
    ],
)
def test_a_run_past_midnight_still_means_its_session(timetable, name, delay, open_close_run):
    """The data interval says which."""
    assert shown(run_of(timetable.SessionTimetable(name, delay), "2025-11-28")) == open_close_run


@pytest.mark.parametrize(
    ("now", "last", "session"),
    [
        ("2025-11-28T19:29:59", None, "2025-11-26"),  # the run of the 28th is not due
        ("2025-11-28T19:30:00", None, "2025-11-28"),
        ("2025-11-30T12:00:00", None, "2025-11-28"),  # Sunday
        ("2025-11-30T12:00:00", "2025-11-28", "2025-12-01"),  # has run: the next
        ("2025-11-30T12:00:00", "2025-11-24", "2025-11-28"),  # the 25th and 26th were missed
        ("2025-11-28T18:30:00", "2025-11-26", "2025-11-28"),  # waits for 19:30
    ],
)
def test_without_catchup_the_latest_due_session_is_next(timetable, at, now, last, session):
    """Or the one after the last run."""
    table = timetable.SessionTimetable()
    at(now)
    run = ask(table, last=last and run_of(table, last), earliest="2020-01-01", catchup=False)
    assert run == run_of(table, session)


def test_a_dag_without_a_start_date_begins_with_the_latest_due_session(timetable, at):
    """There is nothing to catch up with: not with 1960."""
    table = timetable.SessionTimetable()
    at("2025-11-30T12:00")
    for catchup in (True, False):
        assert ask(table, catchup=catchup) == run_of(table, "2025-11-28")


def test_a_start_in_the_future_is_waited_for(timetable, at):
    """Without catchup, too."""
    at("2025-11-30T12:00")
    for catchup in (True, False):
        run = ask(timetable.SessionTimetable(), earliest="2025-12-13", catchup=catchup)  # a Saturday
        assert shown(run) == ["12-15 14:30", "12-15 21:00", "12-15 22:30"]


def test_a_session_that_another_schedule_has_run_is_not_run_again(timetable, at):
    """Before, cron started a run at 18:30 New York, also on Thanksgiving."""
    from airflow.timetables.base import DagRunInfo

    table = timetable.SessionTimetable()
    at("2025-11-28T23:45")
    for cron, session in (("2025-11-28T23:30", "2025-12-01"), ("2025-11-27T23:30", "2025-11-28")):
        for catchup in (True, False):
            assert ask(table, last=DagRunInfo.exact(utc(cron)), catchup=catchup) == run_of(table, session)


@pytest.mark.parametrize(
    ("name", "moment", "closed"),
    [
        ("XNYS", "2025-11-30T12:00:00", "2025-11-28"),  # Sunday: Friday
        ("XNYS", "2025-11-28T18:00:00", "2025-11-28"),  # the early close
        ("XNYS", "2025-11-28T17:59:59", "2025-11-26"),
        ("XNYS", "2025-11-27T22:00:00", "2025-11-26"),  # Thanksgiving
        ("24/7", "2025-11-30T12:00:00", "2025-11-29"),
    ],
)
def test_a_run_by_hand_means_the_last_closed_session(timetable, name, moment, closed):
    """The delay does not matter to a person; the plan takes the same session."""
    table = timetable.SessionTimetable(name)
    interval = table.infer_manual_data_interval(run_after=utc(moment))
    assert interval == run_of(table, closed).data_interval
    assert last_closed_session(name, interval.end).isoformat() == closed
    assert last_closed_session(name, utc(moment)).isoformat() == closed


def test_a_run_by_hand_before_the_calendar_is_a_usage_error(timetable):
    """No session can be meant."""
    with pytest.raises(UsageError, match="1959-12-31"):
        timetable.SessionTimetable().infer_manual_data_interval(run_after=utc("1959-12-31"))


def test_both_ends_of_a_restriction_are_inclusive(timetable):
    """They are compared with the open, which is the logical date; a `latest` at midnight means its whole day."""
    table = timetable.SessionTimetable()
    friday, monday = run_of(table, "2025-11-28"), run_of(table, "2025-12-01")
    assert ask(table, earliest="2025-11-28T14:30:00") == friday
    assert ask(table, earliest="2025-11-28T14:30:01") == monday
    assert ask(table, earliest="2025-11-28", latest="2025-11-28T14:30:00") == friday
    assert ask(table, earliest="2025-11-28", latest="2025-11-28T14:29:59") is None
    assert ask(table, earliest="2025-11-28", latest="2025-11-28") == friday
    assert ask(table, earliest="2025-11-29", latest="2025-11-30") is None  # a weekend
    assert ask(table, last=friday, latest="2025-11-30") is None
    assert ask(table, last=friday, earliest="2026-01-01").logical_date == utc("2026-01-02T14:30")  # a later start


def test_an_end_date_ends_the_schedule(timetable, at):
    """Airflow would give a run with a later logical date no tasks: without catchup, midnight is midnight."""
    table = timetable.SessionTimetable()
    at("2025-11-26T23:00")
    assert ask(table, latest="2025-11-27", catchup=False) == run_of(table, "2025-11-26")
    assert ask(table, last=run_of(table, "2025-11-26"), latest="2025-11-28", catchup=False) is None


def test_after_the_last_known_session_there_is_no_run(timetable, at):
    """The calendar ends about a year ahead: no error, no repeat."""
    table = timetable.SessionTimetable()
    newest = exchange("XNYS").closes.iloc[-1].isoformat()
    at(newest)
    last = run_of(table, newest[:10])
    for catchup in (True, False):
        assert last.data_interval.end.isoformat() == newest
        assert ask(table, last=last, catchup=catchup) is None
        assert ask(table, earliest="2100-01-01", catchup=catchup) is None


def test_a_closed_session_has_no_run(timetable):
    """Neither by the schedule nor by hand; the database keeps the closed sessions."""
    table = timetable.SessionTimetable("XNYS", 90, closed=[dt.date(2025, 11, 26)])
    again = timetable.SessionTimetable.deserialize(json.loads(json.dumps(table.serialize())))
    for one in (table, again):
        assert [run.logical_date.day for run in walk(one, "2025-11-25", "2025-11-29")] == [25, 28]
        interval = one.infer_manual_data_interval(run_after=utc("2025-11-27T12:00"))
        assert interval == run_of(one, "2025-11-25").data_interval
    older = timetable.SessionTimetable.deserialize({"calendar": "XNYS", "delay_minutes": 90})
    assert (older.closed, older.daily_after_end) == ((), False)


def test_a_check_comes_daily_after_the_end_of_the_calendar(timetable, at, monkeypatch):
    """Shanghai's calendar ends with the year. `retrain` has no run then; `watch` has one per day, for ever."""
    calendar = exchange("XSHG")
    last = calendar.closes.iloc[-1]
    set_today(monkeypatch, str(calendar.bound_max().date() + dt.timedelta(days=500)))
    watch = timetable.SessionTimetable("XSHG", 240, daily_after_end=True)
    night = run_of(watch, str(last.date()))
    assert night == run_of(timetable.SessionTimetable("XSHG", 240), str(last.date()))
    runs = [night]
    for days in (1, 2, 3, 500):
        at((last + pd.Timedelta(days=days, hours=4)).isoformat())
        runs.append(ask(watch, last=runs[-1], earliest="2020-01-01", catchup=False))
        assert ask(timetable.SessionTimetable("XSHG", 240), last=night, catchup=False) is None
    assert [(run.data_interval.end - last).days for run in runs] == [0, 1, 2, 3, 500]
    assert [(run.run_after - run.data_interval.end).seconds for run in runs] == [240 * 60] * 5


def test_what_the_web_page_and_the_database_get(timetable):
    """Words for people, JSON for the database."""
    table = timetable.SessionTimetable("XLON", 30)
    assert table.summary == "30 min after each close of XLON"
    assert "XLON" in table.description
    again = timetable.SessionTimetable.deserialize(json.loads(json.dumps(table.serialize())))
    assert (again.calendar, again.delay_minutes) == ("XLON", 30)
    assert timetable.SessionTimetable().summary == "90 min after each close of XNYS"


def test_wrong_arguments_name_themselves(timetable):
    """A negative delay at once; a calendar when it is first needed, as loading all of them takes time."""
    with pytest.raises(UsageError, match="-5"):
        timetable.SessionTimetable("XNYS", -5)
    with pytest.raises(UsageError, match="XMARS"):
        ask(timetable.SessionTimetable("XMARS"))


def test_airflow_knows_the_class_by_the_entry_point(in_airflow):
    """It writes and reads a DAG with it."""
    assert "pipeline.timetable.SessionTimetable" in in_airflow["registered"]
    assert in_airflow["needs no translation"]
    assert in_airflow["read"] == [
        True,
        {"calendar": "XNYS", "delay_minutes": 45, "closed": [], "daily_after_end": False},
        "45 min after each close of XNYS",
    ]


def test_a_dag_file_with_it_stays_cheap(in_airflow):
    """Airflow parses it every few seconds."""
    assert in_airflow["heavy"] == []


def test_a_backfill_has_one_run_per_session(in_airflow):
    """Thanksgiving week: four sessions, the last day included when it is given as a date."""
    days = [
        ["2025-11-24 14:30:00+00:00", "2025-11-24 21:00:00+00:00", "2025-11-24 21:45:00+00:00"],
        ["2025-11-25 14:30:00+00:00", "2025-11-25 21:00:00+00:00", "2025-11-25 21:45:00+00:00"],
        ["2025-11-26 14:30:00+00:00", "2025-11-26 21:00:00+00:00", "2025-11-26 21:45:00+00:00"],
        ["2025-11-28 14:30:00+00:00", "2025-11-28 18:00:00+00:00", "2025-11-28 18:45:00+00:00"],
    ]
    assert in_airflow["week"] == in_airflow["to the last second"] == days
    assert in_airflow["to the morning"] == days[:3]
    assert in_airflow["holiday"] == []


def test_runs_come_in_order_and_never_overlap(timetable):
    """Each run is after the one before, also when the delay is longer than the night."""
    runs = walk(timetable.SessionTimetable("XNYS", 3000), "2025-01-01", "2025-12-31")
    assert len(runs) == 250
    assert all(one.run_after < two.run_after for one, two in itertools.pairwise(runs))
    assert all(one.data_interval.end <= two.data_interval.start for one, two in itertools.pairwise(runs))
