"""Which days are sessions, and which has closed."""

import datetime as dt

import pandas as pd
import pytest

from pipeline.calendar import check_session, last_closed_session, next_session, sessions
from pipeline.errors import DataError, UsageError

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
