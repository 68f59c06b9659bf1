"""A row is written once, by whoever comes first, and reads back as it was; in a folder and in a database."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from pipeline import ledger
from pipeline.errors import Unavailable

ROW = ledger.Row(
    ticker="^GSPC", session=dt.date(2025, 11, 24), version=2, run="manual__1", as_of=dt.date(2025, 11, 21),
    created=dt.datetime(2025, 11, 21, 22, 30, 0, 123456, tzinfo=dt.UTC), source="yahoo", synthetic=False,
    last_close_usd=6602.99, forecast_usd=6603.5, low_80_usd=6500.0, high_80_usd=6700.0, low_95_usd=6400.0,
    high_95_usd=6800.0, anchor_session=dt.date(2025, 10, 24), anchor_close_usd=6791.69,
)  # fmt: skip


@pytest.fixture(params=["folder", "sqlite"])
def place(request, tmp_path):
    """Return where a ledger is."""
    return str(tmp_path / "ledger") if request.param == "folder" else f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_row_reads_back_as_it_was(place):
    """Each value and its type."""
    ledger.write(place, ROW)
    (found,) = ledger.read(place, "^GSPC").to_dict("records")
    days = {name: pd.Timestamp(getattr(ROW, name)) for name in ("session", "as_of", "anchor_session")}
    assert found == ROW._asdict() | days | {"created": pd.Timestamp(ROW.created)}


def test_a_second_write_changes_nothing(place):
    """Same ticker, session and version: what was said first stays."""
    ledger.write(place, ROW)
    ledger.write(place, ROW._replace(forecast_usd=1.0, run="manual__2"))
    assert ledger.read(place, "^GSPC")["forecast_usd"].tolist() == [6603.5]


def test_rows_come_by_session_and_then_as_they_were_written(place):
    """Other versions and sessions are rows of their own; other tickers are not seen."""
    later = ROW._replace(version=3, created=ROW.created + dt.timedelta(hours=1))
    before = ROW._replace(session=dt.date(2025, 11, 21), created=ROW.created + dt.timedelta(days=9))
    for row in (later, ROW, before, ROW._replace(ticker="NFLX")):
        ledger.write(place, row)
    rows = ledger.read(place, "^GSPC")
    assert list(zip(rows["session"].dt.day, rows["version"], strict=True)) == [(21, 2), (24, 2), (24, 3)]
    assert len(ledger.read(place, "NFLX")) == 1


def test_no_ledger_yet_is_an_empty_one(place):
    """With the same columns and types, so that whoever reads needs no special case."""
    empty = ledger.read(place, "NFLX")
    ledger.write(place, ROW)
    full = ledger.read(place, "^GSPC")
    assert empty.empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_twenty_writers_at_once_leave_one_row(place):
    """Of each session; each of them is one that somebody wrote."""
    days = [dt.date(2025, 11, day) for day in range(10, 15)]
    rows = [ROW._replace(session=day, run=f"manual__{writer}") for writer in range(20) for day in days]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda row: ledger.write(place, row), rows))
    found = ledger.read(place, "^GSPC")
    assert found["session"].dt.date.tolist() == days
    assert set(found["run"]) <= {row.run for row in rows}


def test_a_database_that_cannot_be_reached_is_worth_another_try(tmp_path):
    """And is named without its password."""
    with pytest.raises(Unavailable, match="ledger's database must answer"):
        ledger.read(f"sqlite:///{tmp_path}/no/such/folder/ledger.db", "NFLX")
    with pytest.raises(Unavailable) as caught:
        ledger.read("postgresql://closecast:geheim@127.0.0.1:1/closecast", "NFLX")
    assert "geheim" not in str(caught.value)
