"""Sessions of an exchange: the only user of exchange_calendars.

A session is one trading day, written as a tz-naive midnight `pd.Timestamp`. `closed` are sessions of the calendar on
which the exchange did not open, such as a day of mourning that the installed exchange_calendars does not know.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.arrays import Dates
from pipeline.errors import DataError, UsageError

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

# Without a start, get_calendar() begins 20 years before today, and older rows would count as extra sessions.
_START = pd.Timestamp("1960-01-01")
_MONTHS_AHEAD = 14
_WARNING_DAYS = 42  # before the end of a calendar
UPGRADE = (
    "Install a newer Closecast, or only a newer calendar: .venv/bin/uv pip install --python .venv/bin/python "
    "--upgrade exchange_calendars. Then restart what runs: make down, make up."
)


def exchange(name: str) -> ExchangeCalendar:
    """Return the calendar called `name` (such as "XNYS"), from 1960 or its first day to `last_known_day`.

    Raises:
        UsageError: when exchange_calendars has no such calendar.
    """
    return _built(name, _horizon())


def last_known_day(name: str) -> dt.date:
    """Return the day at which the calendar ends: at least a year ahead, unless exchange_calendars knows less of it."""
    bound = exchange(name).bound_max()
    horizon = _horizon()
    return horizon if bound is None else min(horizon, bound.date())


def first_known_session(name: str) -> dt.date:
    """Return the session with which the calendar begins."""
    first: dt.date = exchange(name).first_session.date()
    return first


def check_covers(name: str, now: dt.datetime) -> None:
    """Check that the calendar knows the day of `now`.

    Raises:
        UsageError: when it ended before; names the installed version and the way to a newer one.
    """
    last = last_known_day(name)
    if now.date() > last:
        raise UsageError(f"The calendar {name} must know today.", _end(name, last), UPGRADE)


def nearing_end(name: str, now: dt.datetime) -> str:
    """Return when the calendar ends if that is less than six weeks ahead, else ""."""
    last = last_known_day(name)
    return _end(name, last) if (last - now.date()).days < _WARNING_DAYS else ""


def sessions(name: str, first: dt.date, last: dt.date, closed: Collection[dt.date] = ()) -> pd.DatetimeIndex:
    """Return all sessions from `first` to `last`, both included, ascending, without those of `closed`."""
    calendar = exchange(name)
    found: pd.DatetimeIndex = calendar.sessions_in_range(
        max(pd.Timestamp(first), calendar.first_session),
        min(pd.Timestamp(last), calendar.last_session),
    )
    return found.difference(_midnights(closed)) if closed else found


def sessions_after(name: str, day: dt.date, last: dt.date, closed: Collection[dt.date] = ()) -> int:
    """Return the number of sessions after `day` up to `last`; 0 if `last` is not later."""
    if last <= day:
        return 0
    return len(sessions(name, day + dt.timedelta(days=1), last, closed))


def last_closed_session(name: str, now: dt.datetime, closed: Collection[dt.date] = ()) -> dt.date:
    """Return the newest session whose close lies at or before `now`.

    Args:
        name: calendar name.
        now: an aware time.
        closed: sessions without trading, which are passed over.
    """
    closes = exchange(name).closes
    number = closes.searchsorted(pd.Timestamp(now), side="right") - 1
    while closes.index[number].date() in closed:
        number -= 1
    newest: dt.date = closes.index[number].date()
    return newest


def check_session(name: str, day: dt.date, now: dt.datetime, closed: Collection[dt.date] = ()) -> dt.date:
    """Return `day` when it is a session that has closed by `now`.

    Raises:
        UsageError: for a day outside the calendar, without trading, or in the future; names the session that fits.
    """
    first = first_known_session(name)
    last = last_known_day(name)
    newest = last_closed_session(name, now, closed)
    if day < first:
        raise UsageError(
            f"AS_OF must be a session of {name}, which starts at {first} here.",
            str(day),
            f"Use AS_OF={first} or later.",
        )
    if last < day <= now.date():
        raise UsageError("AS_OF must be a day that the calendar knows.", f"{day}; {_end(name, last)}", UPGRADE)
    if day <= last and (reason := _reason_without_trading(name, day, closed)):
        before = min(newest, last_closed_session(name, dt.datetime.combine(day, dt.time(), dt.UTC), closed))
        raise UsageError(
            f"AS_OF must be a session of {name}.",
            f"{day}, {reason}",
            f"Use AS_OF={before}, the session before it, or leave AS_OF out.",
        )
    if day > newest:
        raise UsageError(
            f"AS_OF must be a session of {name} that has closed.",
            f"{day}, which has not closed at {now:%Y-%m-%d %H:%M %Z}",
            f"Use AS_OF={newest}, the last closed session, or leave AS_OF out.",
        )
    return day


def next_session(name: str, day: dt.date, closed: Collection[dt.date] = ()) -> dt.date:
    """Return the first session after `day`.

    Raises:
        DataError: for a day before the calendar, or one after which it knows no session.
    """
    calendar = exchange(name)
    first = first_known_session(name)
    if day < first:
        raise DataError(f"The calendar {name} must know the day. It begins at {first}.", str(day), "Correct the date.")
    last = last_known_day(name)
    sessions_known = calendar.sessions
    at = int(sessions_known.searchsorted(pd.Timestamp(min(day, last)), side="right"))
    while at < len(sessions_known) and sessions_known[at].date() in closed:
        at += 1
    if at == len(sessions_known):
        raise DataError(
            f"The calendar {name} must know the session after {day}.",
            _end(name, last),
            f"Correct the date if it is not meant. Else: {UPGRADE}",
        )
    found: dt.date = sessions_known[at].date()
    return found


def closes_at(name: str, days: pd.DatetimeIndex) -> pd.Series[pd.Timestamp]:
    """Return when each of these sessions closes, in UTC, by session; NaT for a day without trading."""
    closes: pd.Series[pd.Timestamp] = exchange(name).closes.reindex(days)
    return closes


def session_index(sessions: Dates) -> pd.DatetimeIndex:
    """Return dates as the index of a price frame: tz-naive midnights, named `session`."""
    return pd.DatetimeIndex(sessions.astype("datetime64[s]"), name="session")


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _horizon() -> dt.date:
    """Return the first day of a month about a year ahead: a process that runs for years gets new sessions each month.

    Without an end, get_calendar() ends a year after the import of exchange_calendars.
    """
    month = pd.Timestamp(_today()).replace(day=1)
    return (month + pd.DateOffset(months=_MONTHS_AHEAD)).date()


@lru_cache(maxsize=4)
def _built(name: str, horizon: dt.date) -> ExchangeCalendar:
    import exchange_calendars as xc

    end = pd.Timestamp(horizon)
    try:
        try:
            return xc.get_calendar(name, start=_START, end=end)
        except ValueError:  # some calendars begin later, such as Tokyo's, or end sooner, such as Shanghai's
            bounds = xc.get_calendar(name)
            first = max(_START, bounds.bound_min() or _START)
            return xc.get_calendar(name, start=first, end=min(end, bounds.bound_max() or end))
    except (xc.errors.InvalidCalendarName, ValueError, NotImplementedError, TypeError) as error:
        known = "" if isinstance(error, xc.errors.InvalidCalendarName) else f", which it cannot build here: {error}"
        raise UsageError(
            "The calendar must be one that exchange_calendars knows.",
            f"{name!r}{known}",
            "Set CLOSECAST_CALENDAR to a name such as XNYS, XLON or 24/7.",
        ) from None


def _end(name: str, last: dt.date) -> str:
    return f"{name} ends on {last} in exchange_calendars {version('exchange_calendars')}"


def _midnights(days: Collection[dt.date]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([pd.Timestamp(day) for day in sorted(days)])


def _reason_without_trading(name: str, day: dt.date, closed: Collection[dt.date]) -> str:
    """Return why the exchange did not open on a day that the calendar knows, "" for a session."""
    if not exchange(name).is_session(pd.Timestamp(day)):
        return f"a {day:%A} without trading"
    if day in closed:
        return f"a {day:%A} that CLOSECAST_CLOSED_SESSIONS names as closed"
    return ""
