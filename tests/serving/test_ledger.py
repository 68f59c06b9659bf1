"""A row is written once, by whoever comes first, and reads back as it was; in a folder and in a database."""

import datetime as dt
import sqlite3

import pandas as pd
import pytest

from pipeline.errors import Damaged, StoreError, Unavailable, UsageError
from pipeline.serving import ledger, ledger_table
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, frame_of
from tests.support.ledger_rows import (
    OLD,
    ROW,
    check_that_an_old_table_is_migrated_once,
    check_that_one_writer_wins,
    make_old_table,
)
from tests.support.old_names import old_frame

CHAIN = ("position", "previous_hash", "hash", "hashed_later")  # columns beside those of a record


@pytest.fixture(params=["folder", "sqlite"])
def place(request, tmp_path):
    """Return where a ledger is."""
    return str(tmp_path / "ledger") if request.param == "folder" else f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_row_reads_back_as_it_was(place):
    """Each value and its type."""
    ledger.write(place, ROW)
    rows = ledger.read(place, "^GSPC")
    assert ledger.record_of(rows.iloc[0]) == ROW
    assert rows["session"].tolist() == [pd.Timestamp(ROW.session)]
    assert rows["scale"].tolist() == [ROW.scale]


def test_a_second_write_changes_nothing(place):
    """Same ticker, session and version: what was said first stays."""
    ledger.write(place, ROW)
    ledger.write(place, ROW.model_copy(update={"forecast": 1.0, "run": "manual__2"}))
    assert ledger.read(place, "^GSPC")["forecast"].tolist() == [6603.5]


def test_rows_come_by_session_and_then_as_they_were_written(place):
    """Other versions and sessions are rows of their own; other tickers are not seen."""
    later = ROW.model_copy(update={"version": 3, "created": ROW.created + dt.timedelta(hours=1)})
    before = ROW.model_copy(update={"session": dt.date(2025, 11, 21), "created": ROW.created + dt.timedelta(days=9)})
    for row in (later, ROW, before, ROW.model_copy(update={"ticker": "NFLX"})):
        ledger.write(place, row)
    rows = ledger.read(place, "^GSPC")
    assert list(zip(rows["session"].dt.day, rows["version"], strict=True)) == [(21, 2), (24, 2), (24, 3)]
    assert len(ledger.read(place, "NFLX")) == 1


def test_the_newest_row_is_the_last_one_of_its_market(place):
    """Of one session the one written last; forecasts from synthetic prices are another market."""
    assert ledger.newest(place, "^GSPC", synthetic=False) is None
    later = ROW.model_copy(update={"version": 10, "created": ROW.created + dt.timedelta(hours=1)})
    before = ROW.model_copy(update={"session": dt.date(2025, 11, 21), "created": ROW.created + dt.timedelta(days=9)})
    synthetic = ROW.model_copy(update={"session": dt.date(2025, 11, 25), "version": 4, "synthetic": True})
    for row in (later, ROW, before, synthetic):
        ledger.write(place, row)
    assert ledger.newest(place, "^GSPC", synthetic=False) == later
    assert ledger.newest(place, "^GSPC", synthetic=True) == synthetic


def test_no_ledger_yet_is_an_empty_one(place):
    """With the same columns and types, so that whoever reads needs no special case."""
    empty = ledger.read(place, "NFLX")
    ledger.write(place, ROW)
    full = ledger.read(place, "^GSPC")
    assert empty.empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_twenty_writers_at_once_leave_one_row(place):
    """For each session, with the figures of one writer, and every writer gets that row back."""
    check_that_one_writer_wins(place)


def test_a_database_that_cannot_be_reached_is_worth_another_try(tmp_path):
    """And is named without its password."""
    with pytest.raises(Unavailable, match="ledger's database must answer"):
        ledger.read(f"sqlite:///{tmp_path}/no/such/folder/ledger.db", "NFLX")
    with pytest.raises(Unavailable) as caught:
        ledger.read("postgresql://closecast:geheim@127.0.0.1:1/closecast", "NFLX")
    assert "geheim" not in str(caught.value)
    assert "Connection refused" in str(caught.value)  # by psycopg2, which is installed


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("mysql://closecast:geheim@db/closecast", "No module named 'MySQLdb'"),  # no driver of that is installed
        ("postgres://closecast:geheim@db/closecast", "begins with postgresql://"),
        ("postgresql://closecast:geheim@db:port/closecast", "CLOSECAST_LEDGER"),
        ("postgresql+nodriver://closecast:geheim@db/closecast", "CLOSECAST_LEDGER"),
        ("sqlite:/ledger.db", "CLOSECAST_LEDGER"),
    ],
)
@pytest.mark.parametrize("ask", [ledger.check, lambda place: ledger.read(place, "NFLX")])
def test_a_url_that_names_no_database_is_corrected_and_not_tried_again(ask, place, words):
    """It is a setting that is wrong: three lines with its name, without its password."""
    with pytest.raises(UsageError) as caught:
        ask(place)
    assert words in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_row_that_cannot_be_read_is_named(tmp_path):
    """Half a file, or one of something else: damage, not a bug; other tickers are read."""
    ledger.write(str(tmp_path), ROW)
    ledger.write(str(tmp_path), ROW.model_copy(update={"ticker": "NFLX"}))
    file = tmp_path / "^GSPC" / "2025-11-24-v2.parquet"
    for broken in (file.read_bytes()[:99], b"", frame_bytes(pd.DataFrame({"ticker": ["^GSPC"]}))):
        file.write_bytes(broken)
        with pytest.raises(Damaged, match=r"2025-11-24-v2\.parquet"):
            ledger.read(str(tmp_path), "^GSPC")
    assert len(ledger.read(str(tmp_path), "NFLX")) == 1


def test_a_look_at_the_ledger_leaves_no_row(place):
    """And says nothing where all is well."""
    ledger.check(place)
    assert ledger.read(place, "NFLX").empty


def test_a_folder_that_refuses_is_told_with_the_ledgers_setting(tmp_path):
    """Not with the store's."""
    (tmp_path / "file").write_text("")
    for place in (f"{tmp_path}/file/ledger", "mongodb://closecast:geheim@db/closecast"):
        with pytest.raises(StoreError, match="CLOSECAST_LEDGER") as caught:
            ledger.check(place)
        assert "CLOSECAST_STORE" not in str(caught.value)
        assert "geheim" not in str(caught.value)


def old_ledger(place):
    """Make a ledger of an earlier version with one row, which is `OLD`."""
    if place.startswith("sqlite"):
        make_old_table(place)
        return
    ledger.write(place, OLD)
    folder = Folder(f"{place}/{OLD.ticker}")
    (name,) = [one for one in folder.names() if one != "_chain"]
    added = ["low_50", "high_50", "scale", "quantiles", *CHAIN]
    folder.write(name, frame_bytes(old_frame(frame_of(folder.read(name)).drop(columns=added))))
    Folder(f"{folder.url}/_chain").remove("0000001.json")


def columns_of(place):
    """Return the names of the table's columns."""
    with sqlite3.connect(place.removeprefix("sqlite:///")) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(closecast_ledger)")]
    connection.close()
    return names


def test_a_ledger_of_an_earlier_version_goes_on(place):
    """Its row reads back to the last digit, stays the first of its session, and new rows stand beside it."""
    old_ledger(place)
    later = ROW.model_copy(update={"session": dt.date(2025, 11, 25), "currency": "JPY"})
    assert ledger.write(place, ROW.model_copy(update={"forecast": 1.0})) == OLD
    assert ledger.write(place, later) == later
    assert [ledger.record_of(row) for _, row in ledger.read(place, "^GSPC").iterrows()] == [OLD, later]


def test_a_table_of_an_earlier_version_is_migrated_once(tmp_path):
    """By eight readers at once."""
    place = f"sqlite:///{tmp_path / 'ledger.db'}"
    check_that_an_old_table_is_migrated_once(place)
    assert sorted(columns_of(place)) == sorted([*type(ROW).model_fields, *CHAIN])


def test_a_migration_that_stops_halfway_changes_nothing(tmp_path, monkeypatch):
    """It is one transaction: the next process begins again."""
    place = f"sqlite:///{tmp_path / 'ledger.db'}"
    old_ledger(place)
    before = columns_of(place)
    changes = ledger_table._missing_changes

    def broken(bind):
        return [*changes(bind)[:3], "ALTER TABLE closecast_ledger RENAME COLUMN nothing TO something"]

    with monkeypatch.context() as patch:
        patch.setattr(ledger_table, "_missing_changes", broken)
        with pytest.raises(Unavailable, match="nothing"):
            ledger.read(place, "^GSPC")
    assert columns_of(place) == before
    assert len(ledger.read(place, "^GSPC")) == 1
