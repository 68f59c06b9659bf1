"""A row of the ledger, and a check that every kind of ledger must pass."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

from pipeline.outcome import ForecastRecord
from pipeline.serving import ledger

ROW = ForecastRecord(
    ticker="^GSPC", session=dt.date(2025, 11, 24), version=2, run="manual__1", as_of=dt.date(2025, 11, 21),
    created=dt.datetime(2025, 11, 21, 22, 30, 0, 123456, tzinfo=dt.UTC), source="yahoo", synthetic=False,
    last_close_usd=6602.99, forecast_usd=6603.5, low_80_usd=6500.0, high_80_usd=6700.0, low_95_usd=6400.0,
    high_95_usd=6800.0, anchor_session=dt.date(2025, 10, 24), anchor_close_usd=6791.69,
)  # fmt: skip


def check_that_one_writer_wins(place: str) -> None:
    """Let 20 threads write the same 5 sessions: one whole row of one writer stays for each session."""
    days = [dt.date(2025, 11, day) for day in range(10, 15)]
    rows = [
        ROW.model_copy(update={"session": day, "run": f"manual__{writer}", "forecast_usd": 6000.0 + writer})
        for writer in range(20)
        for day in days
    ]
    with ThreadPoolExecutor(20) as pool:
        returned = list(pool.map(lambda row: ledger.write(place, row), rows))
    found = ledger.read(place, "^GSPC")
    assert found["session"].dt.date.tolist() == days
    for stored in found.to_dict("records"):
        session = stored["session"].date()
        writer = int(stored["run"].removeprefix("manual__"))
        assert 0 <= writer < 20
        assert stored["forecast_usd"] == 6000.0 + writer  # figures and name are of the same writer
        answers = {row.run for row in returned if row.session == session}
        assert answers == {stored["run"]}  # every writer learns whose row counts
