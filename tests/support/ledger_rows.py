"""A row of the ledger, and checks that every kind of ledger or database must pass."""

from __future__ import annotations

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pandas as pd
import sqlalchemy as sa

from pipeline.outcome import ForecastRecord
from pipeline.serving import ledger, ledger_table

ROW = ForecastRecord(
    ticker="^GSPC", session=dt.date(2025, 11, 24), version=2, run="manual__1", as_of=dt.date(2025, 11, 21),
    created=dt.datetime(2025, 11, 21, 22, 30, 0, 123456, tzinfo=dt.UTC), source="yahoo", synthetic=False,
    last_close=6602.99, forecast=6603.5, low_80=6500.0, high_80=6700.0, low_95=6400.0,
    high_95=6800.0, low_50=6580.0, high_50=6630.0, scale=0.0123,
    quantiles=tuple(6500.0 + 10 * number for number in range(1, 20)),
    anchor_session=dt.date(2025, 10, 24), anchor_close=6791.69,
)  # fmt: skip

# The same row as earlier versions wrote it.
OLD = ROW.model_copy(update={"low_50": None, "high_50": None, "scale": None, "quantiles": ()})
# The table as versions before December 2026 made it.
OLD_TABLE = """
CREATE TABLE closecast_ledger (
    ticker VARCHAR(250) NOT NULL, session DATE NOT NULL, version INTEGER NOT NULL, run VARCHAR(250) NOT NULL,
    as_of DATE NOT NULL, created TIMESTAMP NOT NULL, source VARCHAR(250) NOT NULL, synthetic BOOLEAN NOT NULL,
    last_close_usd DOUBLE PRECISION NOT NULL, forecast_usd DOUBLE PRECISION NOT NULL,
    low_80_usd DOUBLE PRECISION NOT NULL, high_80_usd DOUBLE PRECISION NOT NULL,
    low_95_usd DOUBLE PRECISION NOT NULL, high_95_usd DOUBLE PRECISION NOT NULL,
    anchor_session DATE NOT NULL, anchor_close_usd DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (ticker, session, version)
)
"""
# The row `OLD`.
OLD_ROW = """
INSERT INTO closecast_ledger VALUES (
    '^GSPC', '2025-11-24', 2, 'manual__1', '2025-11-21', '2025-11-21 22:30:00.123456', 'yahoo', false,
    6602.99, 6603.5, 6500.0, 6700.0, 6400.0, 6800.0, '2025-10-24', 6791.69
)
"""


def check_that_one_writer_wins(place: str) -> None:
    """Let 20 threads write the same 5 sessions: one whole row of one writer stays for each session."""
    days = [dt.date(2025, 11, day) for day in range(10, 15)]
    rows = [
        ROW.model_copy(update={"session": day, "run": f"manual__{writer}", "forecast": 6000.0 + writer})
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
        assert stored["forecast"] == 6000.0 + writer  # figures and name are of the same writer
        answers = {row.run for row in returned if row.session == session}
        assert answers == {stored["run"]}  # every writer learns whose row counts


def make_old_table(place: str) -> None:
    """Make the table of an earlier version, with `OLD` in it."""
    engine = ledger_table._engine(place)
    with engine.begin() as connection:
        connection.exec_driver_sql(OLD_TABLE)
        connection.exec_driver_sql(OLD_ROW)
    engine.dispose()


def check_that_an_old_table_is_migrated_once(place: str) -> None:
    """Let 8 threads find the old columns before one of them changes them: each reads the row."""
    make_old_table(place)
    missing_changes = ledger_table._missing_changes
    all_have_looked = threading.Barrier(8)

    def looked(bind: sa.Engine | sa.Connection) -> list[str]:
        found = missing_changes(bind)
        if isinstance(bind, sa.Engine):
            all_have_looked.wait(60)
        else:
            time.sleep(0.1)  # without a lock the others would find the old columns as well
        return found

    def read(_number: int) -> pd.DataFrame:
        return ledger.read(place, ROW.ticker)

    with mock.patch.object(ledger_table, "_missing_changes", looked), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert [[ledger.record_of(row) for _, row in rows.iterrows()] for rows in found] == [[OLD]] * 8
    assert ledger_table._missing_changes(ledger_table._engine(place)) == []
