"""The heartbeat of the scheduler as Airflow's API server reports it, and the discovery that it has stopped.

A scheduler can hang while its process lives (Airflow issues 70526 and 67870). supervisord restarts only what exits.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import urllib.request

_ASKS = 20  # equal answers in a row that count as stopped


class Heartbeat:
    """Asks for the heartbeat of a scheduler from time to time.

    Answers are counted, not seconds: after a suspension of the computer the first answer shows an old heartbeat.

    Args:
        url: address of the API server.
        seconds: time without a new heartbeat that counts as stopped.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/monitor/health"
        self._pause = seconds / _ASKS
        self._next = 0.0
        self._latest = ""
        self._equal = 0

    def is_due(self) -> bool:
        """Return whether it is time to ask again."""
        return time.monotonic() >= self._next

    def has_stopped(self, born: float) -> bool:
        """Ask, and return whether a scheduler process had a heartbeat and has no new one since `seconds`.

        Without an answer of the API server the count begins again. A process that has had no heartbeat yet is still
        starting: two busy cores need minutes to import Airflow.

        Args:
            born: time at which the process was created, as `psutil` has it.
        """
        self._next = time.monotonic() + self._pause
        latest = self._ask()
        is_of_process = latest >= dt.datetime.fromtimestamp(born, dt.UTC).isoformat()
        self._equal = self._equal + 1 if is_of_process and latest == self._latest else 0
        self._latest = latest
        return self._equal >= _ASKS

    def _ask(self) -> str:
        """Return the time of the latest heartbeat in ISO format and UTC, "" when it is unknown."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, never through a proxy
        try:
            with opener.open(self._url, timeout=5) as answer:
                return str(json.load(answer)["scheduler"]["latest_scheduler_heartbeat"] or "")
        except (OSError, ValueError, KeyError, TypeError):
            return ""
