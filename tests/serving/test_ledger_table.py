"""The ledger as a table, on SQLite and on PostgreSQL: tampering is named, two writers keep one chain."""

import uuid

import pytest
import sqlalchemy as sa

from pipeline.serving import ledger, ledger_table
from tests.support import tampering
from tests.support.ledger_rows import (
    OLD,
    ROW,
    check_that_an_old_table_is_migrated_once,
    check_that_one_writer_wins,
    make_old_table,
)
from tests.support.postgres import postgres
from tests.support.tampering import DAYS, IN_TABLE, TICKER, check_that_two_processes_keep_one_chain, five_rows, row


@pytest.fixture(scope="module")
def server():
    """Return the URL of an empty database of PostgreSQL."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Return the URL of a database without a ledger."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    url = request.getfixturevalue("server")
    name = f"ledger_{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield f"{url.rpartition('/')[0]}/{name}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.mark.parametrize("attack", IN_TABLE)
def test_tampering_with_the_table_is_named(place, attack):
    """Change, remove, insert, swap, by plain SQL."""
    five_rows(place)
    assert tampering.found(place) is None
    tamper, kind, position, name = IN_TABLE[attack]
    tamper(place)
    found = tampering.found(place)
    assert (found.kind, found.position, found.row) == (kind, position, name)


def test_a_row_between_two_others_is_named(place):
    """With a right hash of its own, after the later rows got new numbers."""
    five_rows(place)
    tampering.insert_and_number_again(place)
    found = tampering.found(place)
    assert (found.kind, found.position, found.row) == ("added", 3, "2025-11-14 v1")


def test_two_processes_keep_one_chain(place):
    """No position has two rows."""
    check_that_two_processes_keep_one_chain(place)


def test_twenty_writers_at_once_leave_one_row(place):
    """For each session, with the figures of one writer."""
    check_that_one_writer_wins(place)
    assert tampering.chain.first_break(ledger.contents(place, "^GSPC")) is None


def test_an_earlier_table_is_migrated_once(place):
    """By eight readers at once; its rows have no hash yet."""
    check_that_an_old_table_is_migrated_once(place)
    assert ledger.head(place, ROW.ticker) is None


def test_rows_of_an_earlier_version_get_their_hashes_once(place):
    """With the first new row of the ticker, and marked."""
    make_old_table(place)
    ledger.write(place, ROW.model_copy(update={"version": 3}))
    ledger.write(place, ROW.model_copy(update={"version": 4}))
    links = ledger.contents(place, OLD.ticker).links
    assert [(link.row.version, link.hashed_later) for link in links] == [(2, True), (3, False), (4, False)]
    assert links[0].row == OLD
    assert tampering.chain.first_break(ledger.contents(place, OLD.ticker)) is None


def test_the_newest_row_and_the_tickers(place):
    """As the chain has them."""
    assert ledger.head(place, TICKER) is None
    five_rows(place)
    ledger.write(place, row(DAYS[0], ticker="NFLX"))
    assert ledger.head(place, TICKER) == ledger.contents(place, TICKER).links[-1].head
    assert ledger.tickers(place) == [TICKER, "NFLX"]


def test_a_row_that_cannot_be_read_is_named(place):
    """By ticker, session and version."""
    five_rows(place)
    tampering.execute(place, "UPDATE closecast_ledger SET quantiles = 'none' WHERE session = '2025-11-19'")
    with pytest.raises(ledger_table.Damaged, match="AAA 2025-11-19 v1"):
        ledger.read(place, TICKER)
