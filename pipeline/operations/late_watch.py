"""The alarm "no run came", sent by the guard of the stack: the DAG `watch` is silent when Airflow itself is down.

The guard looks some minutes after `watch`, whose message the store remembers. So a night that is late has one message.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from pipeline import calendar
from pipeline.alerting import notify
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.settings import Settings

log = logging.getLogger("closecast")
_AFTER_WATCH = dt.timedelta(minutes=3)
_PAUSE = dt.timedelta(minutes=1)
# Between two calls for the same session, then twice as long each time: a channel that rejected the message gets it
# then, and a full disk, on which the store remembers no message, does not repeat it all night.
_FIRST_REPEAT = dt.timedelta(minutes=15)


class LateWatch:
    """Looks for the marker of the session that is due, and sends the alarm when it is missing.

    Args:
        settings: of the stack, with store, calendar and channels.
        up_since: aware time of the start of the stack. A stack that was down gets the time of a night first.
    """

    def __init__(self, settings: Settings, up_since: dt.datetime) -> None:
        self._settings = settings
        night = max(0, settings.late_minutes - settings.delay_minutes)
        self._next = up_since + dt.timedelta(minutes=night) + _AFTER_WATCH
        self._finished: dt.date | None = None
        self._late: dt.date | None = None
        self._repeat = _FIRST_REPEAT

    def look(self, now: dt.datetime) -> None:
        """Look if it is time to. Never raises: the guard must go on.

        Args:
            now: an aware time.
        """
        if now < self._next:
            return
        self._next = now + _PAUSE
        settings = self._settings
        closed_by = now - dt.timedelta(minutes=settings.late_minutes) - _AFTER_WATCH
        session = calendar.last_closed_session(settings.calendar, closed_by, settings.closed_sessions)
        if session == self._finished:
            return
        if self._is_finished(session):
            self._finished = session
            return
        self._repeat = 2 * self._repeat if session == self._late else _FIRST_REPEAT
        self._late = session
        self._next = now + self._repeat
        log.warning("No run of %s has finished. The alarm is sent, and again in %s.", session, self._repeat)

    def _is_finished(self, session: dt.date) -> bool:
        """Return whether a run has finished, after sending the alarm if not. A store that fails counts as not."""
        try:
            return notify.alert_unless_finished(self._settings, session)
        except PipelineError as error:
            notify.send_late(
                self._settings, session, f"the store does not show whether a run has finished: {error.received}"
            )
            return False
