"""The heartbeat of a scheduler counts as stopped after equal answers in a row, on a real server."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from pipeline.operations import heartbeat
from pipeline.operations.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

BORN = 1_800_000_000.0  # 2027-01-15T08:00:00
OLD, NEW, NEWER = (f"2027-01-15T{time}.5+00:00" for time in ("07:59:00", "08:00:05", "08:00:10"))


class Health(ThreadingHTTPServer):
    """Airflow's health page, with the heartbeat that a test sets; None is an error of the server."""

    latest: str | None = NEW

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"http://127.0.0.1:{self.server_port}"


class _Page(BaseHTTPRequestHandler):
    server: Health

    def do_GET(self) -> None:
        known = self.path == "/api/v2/monitor/health" and self.server.latest is not None
        self.send_response(200 if known else 500)
        self.end_headers()
        self.wfile.write(json.dumps({"scheduler": {"latest_scheduler_heartbeat": self.server.latest}}).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output free of requests."""


@pytest.fixture
def health() -> Iterator[Health]:
    """Run the health page."""
    with Health(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("answers", "stopped"),
    [
        ([NEW] * 21, True),  # one answer, and 20 equal ones
        ([NEW] * 20, False),
        ([NEW] * 20 + [NEWER], False),
        ([NEW] * 15 + [None] + [NEW] * 20, False),  # without an answer the count begins again
        ([NEW] * 15 + [None] + [NEW] * 21, True),
        ([OLD] * 40, False),  # of an earlier scheduler: this one is still starting
        ([None] * 40, False),
        ([""] * 40, False),  # a database without any heartbeat
    ],
)
def test_equal_answers_in_a_row_mean_that_it_has_stopped(
    health: Health, answers: list[str | None], stopped: bool
) -> None:
    """Only answers of the API server count, and only heartbeats of the process that is asked about."""
    beat = Heartbeat(health.url, seconds=0)
    for answer in answers:
        health.latest = answer
        verdict = beat.has_stopped(BORN)
    assert verdict is stopped


def test_a_server_that_is_away_is_no_sign(health: Health) -> None:
    """Its port is closed."""
    health.server_close()
    beat = Heartbeat(health.url, seconds=0)
    assert not any(beat.has_stopped(BORN) for _ in range(2 * heartbeat._ASKS))


def test_it_asks_twenty_times_in_its_time(health: Health) -> None:
    """Not with each look of the guard."""
    beat = Heartbeat(health.url, seconds=10)
    assert beat.is_due()
    beat.has_stopped(BORN)
    assert not beat.is_due()
    time.sleep(0.6)
    assert beat.is_due()
