"""Which days are sessions, and which has closed."""

import datetime as dt

import pandas as pd
import pytest

from pipeline import calendar
from pipeline.calendar import check_covers, check_session, last_closed_session, nearing_end, next_session, sessions
from pipeline.errors import DataError, UsageError
from tests.support.calendars import set_today

NEW_YORK = "America/New_York"


def at(text):
    """Return a time of New York."""
    return pd.Timestamp(text, tz=NEW_YORK).to_pydatetime()


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2025-11-26 15:59", dt.date(2025, 11, 25)),  # a minute before the close
        ("2025-11-26 16:00", dt.date(2025, 11, 26)),
        ("2025-11-27 20:00", dt.date(2025, 11, 26)),  # Thanksgiving
        ("2025-11-28 13:00", dt.date(2025, 11, 28)),  # early close
        ("2025-11-30 12:00", dt.date(2025, 11, 28)),  # Sunday
    ],
)
def test_a_session_counts_from_its_real_close(now, session):
    """Early closes, holidays and weekends are the exchange's."""
    assert last_closed_session("XNYS", at(now)) == session


def test_old_history_has_sessions_too():
    """exchange_calendars alone would start 20 years ago."""
    assert sessions("XNYS", dt.date(1980, 12, 12), dt.date(1980, 12, 16)).size == 3


@pytest.mark.parametrize(
    ("day", "meant"),
    [
        (dt.date(2025, 11, 27), "2025-11-26"),  # holiday
        (dt.date(2030, 1, 2), "2025-11-28"),  # future
        (dt.date(1950, 1, 3), "1960-01-0"),  # the calendar starts there
    ],
)
def test_a_day_that_is_no_closed_session_names_the_one_that_is_meant(day, meant):
    """The message says which AS_OF would do."""
    with pytest.raises(UsageError) as error:
        check_session("XNYS", day, at("2025-11-28 18:00"))
    assert f"AS_OF={meant}" in error.value.todo


def test_the_last_closed_session_itself_is_a_valid_as_of():
    """AS_OF is checked against the session that closed last: that one counts, the next one does not yet."""
    for now, newest in (("2025-11-26 16:00", dt.date(2025, 11, 26)), ("2025-11-28 12:59", dt.date(2025, 11, 26))):
        assert last_closed_session("XNYS", at(now)) == newest
        assert check_session("XNYS", newest, at(now)) == newest
    with pytest.raises(UsageError, match="2025-11-28, which has not closed"):
        check_session("XNYS", dt.date(2025, 11, 28), at("2025-11-28 12:59"))


def test_the_next_session_lies_over_weekends_and_holidays():
    """Thanksgiving, and the Friday before a weekend."""
    assert next_session("XNYS", dt.date(2025, 11, 26)) == dt.date(2025, 11, 28)
    assert next_session("XNYS", dt.date(2025, 11, 21)) == dt.date(2025, 11, 24)


@pytest.mark.parametrize("day", [dt.date(2099, 1, 1), dt.date(9999, 12, 31), dt.date(1899, 1, 3)])
def test_a_day_whose_next_session_nobody_knows_is_a_data_error(day):
    """It comes from whoever asks the served model."""
    with pytest.raises(DataError, match=str(day)):
        next_session("XNYS", day)


def test_an_unknown_calendar_is_a_usage_error():
    """The name that was received is in the message."""
    with pytest.raises(UsageError, match="XMARS"):
        sessions("XMARS", dt.date(2020, 1, 1), dt.date(2020, 2, 1))


@pytest.mark.parametrize("name", ["XTKS", "XBOM", "XLON"])
def test_calendars_that_begin_later_work_too(name):
    """Tokyo's begins in 1997: then so does ours."""
    assert last_closed_session(name, at("2025-11-28 12:00")) == dt.date(2025, 11, 28)


def test_a_calendar_that_cannot_be_built_is_a_usage_error():
    """Athens fails inside exchange_calendars with this pandas; the reason is told."""
    with pytest.raises(UsageError, match="ASEX"):
        sessions("ASEX", dt.date(2020, 1, 1), dt.date(2020, 2, 1))


@pytest.mark.parametrize(
    ("now", "day", "reason", "meant"),
    [
        ("2025-11-27 20:00", "2025-11-27", "a Thursday without trading", "2025-11-26"),  # the newest day is a holiday
        ("2025-11-30 12:00", "2025-11-30", "a Sunday without trading", "2025-11-28"),
        ("2025-11-28 18:00", "2025-12-25", "a Thursday without trading", "2025-11-28"),  # a holiday that comes
        ("2025-11-28 12:00", "2025-11-28", "has not closed", "2025-11-26"),
        ("2025-11-28 18:00", "2025-12-01", "has not closed", "2025-11-28"),
        ("2025-11-28 18:00", "2099-01-01", "has not closed", "2025-11-28"),
        ("2025-11-28 18:00", "2025-11-26", "CLOSECAST_CLOSED_SESSIONS names as closed", "2025-11-25"),
    ],
)
def test_a_wrong_as_of_gives_its_true_reason(now, day, reason, meant):
    """A holiday is never called open, and a session that a person closed names the setting."""
    closed = (dt.date(2025, 11, 26),) if "CLOSED" in reason else ()
    with pytest.raises(UsageError, match=reason) as error:
        check_session("XNYS", dt.date.fromisoformat(day), at(now), closed)
    assert f"AS_OF={meant}" in error.value.todo


def test_closed_sessions_are_passed_over():
    """By each function that chooses a session."""
    closed = (dt.date(2025, 11, 25), dt.date(2025, 11, 26))
    assert last_closed_session("XNYS", at("2025-11-26 20:00"), closed) == dt.date(2025, 11, 24)
    assert next_session("XNYS", dt.date(2025, 11, 24), closed) == dt.date(2025, 11, 28)
    week = sessions("XNYS", dt.date(2025, 11, 24), dt.date(2025, 11, 28), closed)
    assert [day.day for day in week] == [24, 28]


def test_a_process_that_runs_for_years_keeps_a_year_of_sessions(monkeypatch):
    """exchange_calendars ends a year after its import."""
    for today in ("2026-11-27", "2027-12-30", "2031-06-15"):
        set_today(monkeypatch, today)
        year_ahead = dt.date.fromisoformat(today) + dt.timedelta(days=365)
        assert calendar.last_known_day("XNYS") >= year_ahead
        assert next_session("XNYS", year_ahead) > year_ahead


@pytest.fixture
def ended(monkeypatch):
    """Return the last day of a calendar that ends, as Shanghai's does with the year, on a day after it."""
    last = calendar.exchange("XSHG").bound_max().date()
    set_today(monkeypatch, str(last + dt.timedelta(days=4)))
    return last


def after(last, days):
    """Return a time some days after a day."""
    return dt.datetime.combine(last + dt.timedelta(days=days), dt.time(12), dt.UTC)


def test_a_calendar_that_has_ended_names_the_cause_and_the_cure(ended):
    """Installed version and command; nothing is said of a date that was not given."""
    check_covers("XSHG", after(ended, 0))
    with pytest.raises(UsageError, match=f"XSHG ends on {ended} in exchange_calendars 4") as error:
        check_covers("XSHG", after(ended, 1))
    assert "--upgrade exchange_calendars" in error.value.todo
    assert "date" not in error.value.todo
    with pytest.raises(UsageError, match=f"XSHG ends on {ended}"):
        check_session("XSHG", ended + dt.timedelta(days=2), after(ended, 4))


def test_the_last_session_of_a_calendar_has_no_next_one(ended):
    """The message names the calendar's end before the date."""
    with pytest.raises(DataError, match=f"XSHG ends on {ended}") as error:
        next_session("XSHG", ended)
    assert "--upgrade exchange_calendars" in error.value.todo


@pytest.mark.parametrize(("days", "warned"), [(-43, False), (-42, False), (-41, True), (0, True), (3, True)])
def test_the_end_of_a_calendar_is_announced_six_weeks_before(ended, days, warned):
    """Calendars without an end are never announced."""
    assert bool(nearing_end("XSHG", after(ended, days))) is warned
    assert nearing_end("XNYS", after(ended, days)) == ""


def test_a_day_before_the_calendar_names_its_beginning():
    """Tokyo's begins in 1997."""
    with pytest.raises(DataError, match="It begins at 1997-01-06"):
        next_session("XTKS", dt.date(1990, 1, 4))


def test_sessions_after_a_day_are_counted_up_to_another():
    """Thanksgiving and the weekend are none; a later day has none before it."""
    wednesday, monday = dt.date(2025, 11, 26), dt.date(2025, 12, 1)
    assert calendar.sessions_after("XNYS", wednesday, monday) == 2
    assert calendar.sessions_after("XNYS", wednesday, monday, [dt.date(2025, 11, 28)]) == 1
    assert calendar.sessions_after("XNYS", wednesday, wednesday) == 0
    assert calendar.sessions_after("XNYS", monday, wednesday) == 0
