"""The ledger as a table of a database, by its URL. The only user of SQLAlchemy for forecasts."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import pandas as pd

from pipeline.errors import Damaged, Unavailable, UsageError
from pipeline.old_names import present_name
from pipeline.outcome import ForecastRecord
from pipeline.serving.chain import Contents, Link, key_of, linked
from pipeline.serving.ledger_frame import ADDED, COLUMNS, KEY, OPTIONAL, columns_of, record_of

if TYPE_CHECKING:
    import sqlalchemy as sa

TABLE = "closecast_ledger"
# Columns of the chain. A row without a hash has no position.
_CHAIN = {
    "position": "INTEGER",
    "previous_hash": "VARCHAR(64) DEFAULT '' NOT NULL",
    "hash": "VARCHAR(64) DEFAULT '' NOT NULL",
    "hashed_later": "BOOLEAN DEFAULT FALSE NOT NULL",
}
_ONE_CHAIN = "closecast_ledger_chain"  # of two writers, one gets the next position
_NAME = 250  # characters of a text in a database
_TEXT = 1000  # of the quantiles
_HASH = 64
_TRIES = 1000  # each of them fails only because another writer succeeded
# Statements that keep other processes out of the table until the transaction ends, by SQLAlchemy's name of a database.
_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"}
# SQLAlchemy says postgresql, others postgres: that is corrected, not taken for a folder.
_DATABASES = {"postgresql", "postgres", "sqlite", "mysql", "mariadb", "mssql", "oracle"}


def is_database(place: str) -> bool:
    """Return whether a place is the URL of a database."""
    scheme, separator, _ = place.partition(":")
    return bool(separator) and scheme.partition("+")[0] in _DATABASES


def check(place: str) -> None:
    """Connect to the database and find the table; errors as of `ledger.check`."""
    with _connected(place):
        return


def insert(place: str, record: ForecastRecord) -> ForecastRecord:
    """Append a row to its ticker's chain unless the key is known; return the row that the table has."""
    import sqlalchemy as sa

    for _ in range(_TRIES):
        with _connected(place) as (connection, table):
            found = _contents(connection, table, record.ticker)
            known = found.rows.get(key_of(record))
            if known:
                return known.row if isinstance(known, Link) else known
            links = found.links or _hash_earlier_rows(connection, table, found)
            link = linked(record, links[-1] if links else None)
            with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():  # another writer was faster
                connection.execute(table.insert().values(**columns_of(record), **_cells(link)))
                return record
    raise Unavailable(
        "The ledger must take a row.", f"{_TRIES} tries for {record.ticker}, {key_of(record)}", "Try again later."
    )


def contents(place: str, ticker: str) -> Contents:
    """Return all rows of a ticker and its chain.

    Raises:
        Damaged: when a row cannot be read as one.
    """
    with _connected(place) as (connection, table):
        return _contents(connection, table, ticker)


def newest_link(place: str, ticker: str) -> Link | None:
    """Return the last link of a ticker's chain; None without one."""
    with _connected(place) as (connection, table):
        chained = table.select().where(table.c.ticker == ticker, table.c.position.is_not(None))
        row = connection.execute(chained.order_by(table.c.position.desc()).limit(1)).mappings().first()
        return _link(row) if row else None


def tickers(place: str) -> list[str]:
    """Return the tickers that have a row, in order."""
    import sqlalchemy as sa

    with _connected(place) as (connection, table):
        return sorted(connection.execute(sa.select(table.c.ticker).distinct()).scalars())


def _contents(connection: sa.Connection, table: sa.Table, ticker: str) -> Contents:
    found = connection.execute(table.select().where(table.c.ticker == ticker)).mappings().all()
    rows: dict[str, Link | ForecastRecord] = {}
    for one in found:
        read = _link(one) if one["position"] is not None else _record(one)
        rows[key_of(read.row if isinstance(read, Link) else read)] = read
    links = [one for one in rows.values() if isinstance(one, Link)]
    return Contents(sorted(links, key=lambda one: (one.position, one.row.created)), rows)


def _link(row: sa.RowMapping) -> Link:
    return Link(row["position"], row["previous_hash"], row["hash"], bool(row["hashed_later"]), _record(row))


def _record(row: sa.RowMapping) -> ForecastRecord:
    try:
        record = record_of(pd.Series(dict(row), dtype="object"))
    except ValueError as error:
        raise Damaged(
            "A row of the ledger must be as it was written.",
            f"{row['ticker']} {row['session']} v{row['version']} in {TABLE}: {str(error)[:200]}",
            "Bring the row back from a backup, or delete it: its forecast is then never scored.",
        ) from error
    # SQLite drops time zones; every row was written in UTC.
    return record.model_copy(update={"created": record.created.replace(tzinfo=record.created.tzinfo or dt.UTC)})


def _hash_earlier_rows(connection: sa.Connection, table: sa.Table, found: Contents) -> list[Link]:
    """Give rows of an earlier version their hashes; another writer may do the same with the same result."""
    records = [one for one in found.rows.values() if isinstance(one, ForecastRecord)]
    links: list[Link] = []
    for record in sorted(records, key=lambda one: (one.session, one.created, one.version)):
        links.append(linked(record, links[-1] if links else None, hashed_later=True))
        its_row = [table.c[name] == getattr(record, name) for name in KEY]
        connection.execute(table.update().where(*its_row, table.c.position.is_(None)).values(**_cells(links[-1])))
    return links


def _cells(link: Link) -> dict[str, Any]:
    """Return the columns of the chain."""
    return {name: getattr(link, name) for name in _CHAIN}


def _table() -> sa.Table:
    import sqlalchemy as sa

    types: dict[Any, Any] = {int: sa.Integer, float: sa.Double, bool: sa.Boolean, str: sa.String(_NAME)}
    types |= {dt.date: sa.Date, dt.datetime: sa.DateTime(timezone=True)}
    types |= {float | None: sa.Double, tuple[float, ...]: sa.String(_TEXT)}
    columns: list[sa.Column[Any]] = [
        sa.Column(name, types[kind], primary_key=name in KEY, autoincrement=False, nullable=name in OPTIONAL)
        for name, kind in get_type_hints(ForecastRecord).items()
        if name in COLUMNS
    ]
    columns += [
        sa.Column("position", sa.Integer, nullable=True),
        sa.Column("previous_hash", sa.String(_HASH), nullable=False, server_default=""),
        sa.Column("hash", sa.String(_HASH), nullable=False, server_default=""),
        sa.Column("hashed_later", sa.Boolean, nullable=False, server_default=sa.false()),
    ]
    one_chain = sa.UniqueConstraint("ticker", "position", name=_ONE_CHAIN)
    return sa.Table(TABLE, sa.MetaData(), *columns, one_chain)


@contextlib.contextmanager
def _connected(place: str) -> Iterator[tuple[sa.Connection, sa.Table]]:
    """Give a transaction on the database, and the table, made or migrated where that is needed."""
    import sqlalchemy as sa

    engine = _engine(place)
    table = _table()
    try:
        try:
            table.create(engine, checkfirst=True)
        except sa.exc.DBAPIError:  # somebody else was faster, or the database refuses
            if not sa.inspect(engine).has_table(TABLE):
                raise
        _migrate(engine)
        with engine.begin() as connection:
            yield connection, table
    except sa.exc.DBAPIError as error:
        raise Unavailable(
            "The ledger's database must answer.",
            f"{type(error).__name__}: {str(error.orig)[:200]}",
            "Start it, or correct CLOSECAST_LEDGER; unset, the ledger is a folder of the store.",
        ) from error


def _migrate(engine: sa.Engine) -> None:
    """Give a table of an earlier version the columns of today, in one transaction; its rows stay as they are.

    Raises:
        UsageError: when the database refuses.
    """
    import sqlalchemy as sa

    if not _missing_changes(engine):
        return
    try:
        with engine.begin() as connection:
            lock = _LOCKS.get(engine.dialect.name)
            if lock:
                connection.exec_driver_sql(lock)
            for change in _missing_changes(connection):  # another process may have made them before the lock
                connection.exec_driver_sql(change)
    except sa.exc.ProgrammingError as error:
        changes = _missing_changes(engine)
        if changes:
            raise UsageError(
                f"The table {TABLE} must have the columns of this version.",
                f"{type(error).__name__}: {str(error.orig)[:200]}",
                f"Let the table's owner execute: {'; '.join(changes)}.",
            ) from error


def _missing_changes(bind: sa.Engine | sa.Connection) -> list[str]:
    """Return the statements that give the table the columns of today."""
    import sqlalchemy as sa

    found = [str(column["name"]) for column in sa.inspect(bind).get_columns(TABLE)]
    old = [name for name in found if name not in COLUMNS and present_name(name) in COLUMNS]
    changes = [f"ALTER TABLE {TABLE} RENAME COLUMN {name} TO {present_name(name)}" for name in old]
    texts = {"currency": _NAME, "quantiles": _TEXT}
    for name in ADDED:
        kind = f"VARCHAR({texts[name]}) DEFAULT '' NOT NULL" if name in texts else "DOUBLE PRECISION"
        if name not in found:
            changes.append(f"ALTER TABLE {TABLE} ADD COLUMN {name} {kind}")
    chain = [f"ALTER TABLE {TABLE} ADD COLUMN {name} {kind}" for name, kind in _CHAIN.items() if name not in found]
    if chain:
        chain.append(f"CREATE UNIQUE INDEX {_ONE_CHAIN} ON {TABLE} (ticker, position)")
    return changes + chain


def _engine(place: str) -> sa.Engine:
    import sqlalchemy as sa

    scheme, _, rest = place.partition(":")
    if scheme == "postgresql":  # the extra `cluster` has psycopg2; SQLAlchemy would look for psycopg 3
        place = f"postgresql+psycopg2:{rest}"
    patient = {"timeout": 30} if scheme.startswith("sqlite") else {}  # another writer may hold the file
    try:
        return sa.create_engine(place, connect_args=patient, poolclass=sa.NullPool)  # nothing stays open
    except ImportError as error:
        raise UsageError(
            "The driver of the ledger's database must be installed.",
            f"{scheme}://..., and {error}",  # the rest may hold a password
            "Install it (for postgresql:// `.venv/bin/uv pip install --python .venv/bin/python -r pyproject.toml "
            "--extra cluster`), or name another one in CLOSECAST_LEDGER, such as mysql+pymysql://.",
        ) from error
    except (sa.exc.ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise UsageError(
            "The ledger must be a folder, or a database's URL as SQLAlchemy reads it.",
            f"{scheme}://..., which gives {type(error).__name__}",
            "Correct CLOSECAST_LEDGER: PostgreSQL's begins with postgresql://; unset, it is a folder of the store.",
        ) from error
