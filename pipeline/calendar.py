"""Sessions of an exchange: the only user of exchange_calendars.

A session is one trading day, written as a tz-naive midnight `pd.Timestamp`.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.arrays import Dates
from pipeline.errors import DataError, UsageError

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

# Without a start, get_calendar() begins 20 years before today, and older rows would count as extra sessions.
_START = "1960-01-01"


@lru_cache(maxsize=4)
def exchange(name: str) -> ExchangeCalendar:
    """Return the calendar called `name` (such as "XNYS"), from 1960 or its first session to about one year ahead.

    Raises:
        UsageError: when exchange_calendars has no such calendar.
    """
    import exchange_calendars as xc

    try:
        try:
            return xc.get_calendar(name, start=_START)
        except ValueError:  # some calendars begin later, such as Tokyo's
            return xc.get_calendar(name, start=xc.get_calendar(name).bound_min())
    except (xc.errors.InvalidCalendarName, ValueError, NotImplementedError, TypeError) as error:
        known = "" if isinstance(error, xc.errors.InvalidCalendarName) else f", which it cannot build here: {error}"
        raise UsageError(
            "The calendar must be one that exchange_calendars knows.",
            f"{name!r}{known}",
            "Set CLOSECAST_CALENDAR to a name such as XNYS, XLON or 24/7.",
        ) from None


def sessions(name: str, first: dt.date, last: dt.date) -> pd.DatetimeIndex:
    """Return all sessions from `first` to `last`, both included, ascending."""
    calendar = exchange(name)
    found: pd.DatetimeIndex = calendar.sessions_in_range(
        max(pd.Timestamp(first), calendar.first_session),
        min(pd.Timestamp(last), calendar.last_session),
    )
    return found


def last_closed_session(name: str, now: dt.datetime) -> dt.date:
    """Return the newest session whose close lies at or before `now`.

    Args:
        name: calendar name.
        now: an aware time.
    """
    calendar = exchange(name)
    closes = calendar.closes
    newest: dt.date = closes.index[closes.searchsorted(pd.Timestamp(now), side="right") - 1].date()
    return newest


def check_session(name: str, day: dt.date, now: dt.datetime) -> dt.date:
    """Return `day` when it is a session that has closed by `now`.

    Raises:
        UsageError: for a day in the future, before the calendar or without trading; names the session that fits.
    """
    newest = last_closed_session(name, now)
    if day > newest:
        raise UsageError(
            f"AS_OF must be a session of {name} that has closed.",
            f"{day}, which has not closed at {now:%Y-%m-%d %H:%M %Z}",
            f"Use AS_OF={newest}, the last closed session, or leave AS_OF out.",
        )
    first = exchange(name).first_session.date()
    if day < first:
        raise UsageError(
            f"AS_OF must be a session of {name}, which starts at {first} here.",
            str(day),
            f"Use AS_OF={first} or later.",
        )
    if not exchange(name).is_session(pd.Timestamp(day)):
        before = exchange(name).date_to_session(pd.Timestamp(day), direction="previous").date()
        raise UsageError(
            f"AS_OF must be a session of {name}.",
            f"{day}, a {day:%A} without trading",
            f"Use AS_OF={before}, the session before it.",
        )
    return day


def next_session(name: str, day: dt.date) -> dt.date:
    """Return the first session after `day`.

    Raises:
        DataError: for a day outside the calendar, or its last session.
    """
    calendar = exchange(name)
    first = calendar.first_session.date()
    last = calendar.last_session.date()
    if not first <= day < last:
        raise DataError(
            f"The day must lie on the calendar {name}: from {first}, and before {last}.",
            str(day),
            "Correct the date.",
        )
    following: dt.date = calendar.date_to_session(pd.Timestamp(day) + pd.Timedelta(days=1), "next").date()
    return following


def closes_at(name: str, days: pd.DatetimeIndex) -> pd.Series[pd.Timestamp]:
    """Return when each of these sessions closes, in UTC, by session; NaT for a day without trading."""
    closes: pd.Series[pd.Timestamp] = exchange(name).closes.reindex(days)
    return closes


def session_index(sessions: Dates) -> pd.DatetimeIndex:
    """Return dates as the index of a price frame: tz-naive midnights, named `session`."""
    return pd.DatetimeIndex(sessions.astype("datetime64[s]"), name="session")
