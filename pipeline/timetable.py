"""The schedule in Airflow: one run per session of an exchange, some minutes after the session's real close.

The entry point `airflow.plugins` makes the class known to every Airflow process. The DAG file imports this module on
each parse, so pandas and the calendar are loaded on first use, not on import.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import timezone
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.timetables.base import TimeRestriction
    from pendulum import DateTime


_DAYS_AFTER = 366


class _Hours(NamedTuple):
    """Open and close of each session, ascending, in UTC. No session opens before the one before it has closed."""

    opens: list[dt.datetime]
    closes: list[dt.datetime]


class SessionTimetable(Timetable):  # type: ignore[misc]  # Airflow's types are not read, see pyproject.toml
    """One run per session, `delay_minutes` after its close; the data interval is the session, from open to close.

    The logical date is the open. A range of dates (a backfill, a start date) means the sessions that open in it.

    Args:
        calendar: a name of exchange_calendars, such as "XNYS".
        delay_minutes: wait after the close, for the prices to be complete.
        closed: sessions of the calendar on which the exchange does not open.
        daily_after_end: one run per day after the last session that the calendar knows, instead of no run.

    Raises:
        UsageError: for a negative delay.
    """

    def __init__(
        self,
        calendar: str = "XNYS",
        delay_minutes: int = 90,
        *,
        closed: Collection[dt.date] = (),
        daily_after_end: bool = False,
    ) -> None:
        if delay_minutes < 0:
            raise UsageError(
                "A run comes after the close of its session.",
                f"a delay of {delay_minutes} minutes",
                "Set a delay of 0 minutes or more.",
            )
        self.calendar = calendar
        self.delay_minutes = delay_minutes
        self.closed = tuple(sorted(closed))
        self.daily_after_end = daily_after_end
        self.description = (
            f"One run per session of {calendar}, {delay_minutes} minutes after its real close: "
            "holidays, early closes and clock changes are those of the exchange."
        )

    @property
    def summary(self) -> str:
        """Return the schedule as the list of DAGs shows it."""
        return f"{self.delay_minutes} min after each close of {self.calendar}"

    def serialize(self) -> dict[str, Any]:
        """Return the arguments as JSON can hold them."""
        return {
            "calendar": self.calendar,
            "delay_minutes": self.delay_minutes,
            "closed": [day.isoformat() for day in self.closed],
            "daily_after_end": self.daily_after_end,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SessionTimetable:
        """Return the timetable that `serialize` wrote."""
        return cls(
            data["calendar"],
            data["delay_minutes"],
            closed=[dt.date.fromisoformat(day) for day in data.get("closed", [])],  # older versions wrote two fields
            daily_after_end=data.get("daily_after_end", False),
        )

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Return the last session that had closed at `run_after`.

        Raises:
            UsageError: when the calendar knows no session that early.
        """
        hours = self._hours()
        ended = bisect_right(hours.closes, run_after)
        if not ended:
            raise UsageError(
                f"A session of {self.calendar} must have closed before a run.",
                f"a run at {run_after:%Y-%m-%d %H:%M %Z}; the first known session closes at {hours.closes[0]}",
                "Choose a later logical date.",
            )
        return _interval(hours, ended - 1)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the session to run next, or None when it lies past the restriction or past the known calendar.

        With catchup: the session after the last run. Without: the later of that session and the latest session whose
        run is due, so missed runs are skipped.
        """
        hours = self._hours()
        delay = dt.timedelta(minutes=self.delay_minutes)
        last = last_automated_data_interval
        earliest = restriction.earliest
        latest = _latest(restriction)
        index = 0
        if not restriction.catchup or (last is None and earliest is None):
            index = max(index, bisect_right(hours.closes, _now() - delay) - 1)
        if last is not None:  # its end stays valid after a change of schedule or of the calendar's hours
            index = max(index, bisect_left(hours.opens, last.end))
        if earliest is not None:
            index = max(index, bisect_left(hours.opens, earliest))
        if index == len(hours.opens) or (latest is not None and hours.opens[index] > latest):
            return None
        interval = _interval(hours, index)
        return DagRunInfo(run_after=interval.end + delay, data_interval=interval)

    def _hours(self) -> _Hours:
        """Return the hours of all sessions, and of a year of days after them for `daily_after_end`."""
        from pipeline.calendar import last_known_day

        # The last known day moves by a month each month, and the hours with it.
        hours = _hours_of_sessions(self.calendar, last_known_day(self.calendar), self.closed)
        return _with_days_after(hours) if self.daily_after_end else hours


class ClosecastPlugin(AirflowPlugin):  # type: ignore[misc]  # as above
    """The plugin that Airflow loads from this package."""

    name = "closecast"
    timetables: ClassVar[list[type]] = [SessionTimetable]


@lru_cache(maxsize=4)
def _hours_of_sessions(name: str, _last_known_day: dt.date, closed: tuple[dt.date, ...]) -> _Hours:
    from pandas import DatetimeIndex

    from pipeline.calendar import exchange

    calendar = exchange(name)
    trading = [session.date() not in closed for session in calendar.sessions]
    opens, closes = (list(DatetimeIndex(times[trading]).to_pydatetime()) for times in (calendar.opens, calendar.closes))
    return _Hours(opens, closes)


def _with_days_after(hours: _Hours) -> _Hours:
    """Return the hours with one day after the other behind the last session, up to a year from now."""
    last = hours.closes[-1]
    days = max(0, (_now() - last).days) + _DAYS_AFTER
    ends = [last + dt.timedelta(days=number) for number in range(days + 1)]
    return _Hours(hours.opens + ends[:-1], hours.closes + ends[1:])


def _interval(hours: _Hours, index: int) -> DataInterval:
    return DataInterval(
        start=timezone.coerce_datetime(hours.opens[index]), end=timezone.coerce_datetime(hours.closes[index])
    )


def _latest(restriction: TimeRestriction) -> dt.datetime | None:
    """Return the last moment at which a session may open."""
    # `airflow backfill create --to-date 2025-11-28` passes midnight and includes that day's session; a backfill always
    # has catchup. Without catchup an `end_date` stays a moment: Airflow gives no tasks to a scheduled run
    # whose logical date lies after it. (So a DAG with catchup should end a second before midnight, not at midnight.)
    latest: dt.datetime | None = restriction.latest
    if latest is not None and restriction.catchup and latest.time() == dt.time.min:
        latest += dt.timedelta(days=1, microseconds=-1)
    return latest


def _now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)
