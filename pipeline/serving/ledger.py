"""The ledger of served forecasts: one row per ticker, session and version, written once and never changed.

The ledger is a folder of any store that fsspec knows, or a table of a database, by its URL. In a folder each row is a
small Parquet file, so that no writer rewrites the row of another.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import pandas as pd

from pipeline.errors import Damaged, StoreError, Unavailable, UsageError
from pipeline.old_names import present_name
from pipeline.outcome import ForecastRecord
from pipeline.store.folder import Folder, check_writable
from pipeline.store.formats import frame_bytes, frame_of

if TYPE_CHECKING:
    import sqlalchemy as sa

TABLE = "closecast_ledger"
# Columns that later versions added, with their value in rows of earlier ones.
_ADDED = {"currency": "", "low_50": None, "high_50": None, "scale": None, "quantiles": ""}
_KEY = ("ticker", "session", "version")
_COLUMNS = tuple(ForecastRecord.model_fields)
_AMOUNTS = tuple(name for name, field in ForecastRecord.model_fields.items() if field.annotation is float)
_OPTIONAL = ("low_50", "high_50", "scale")  # amounts that rows of earlier versions lack
_NAME = 250  # characters of a text in a database
_TEXT = 1000  # of the quantiles
# Statements that keep other processes out of the table until the transaction ends, by SQLAlchemy's name of a database.
_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"}
# SQLAlchemy says postgresql, others postgres: that is corrected, not taken for a folder.
_DATABASES = {"postgresql", "postgres", "sqlite", "mysql", "mariadb", "mssql", "oracle"}


def check(place: str) -> None:
    """Look at the ledger once: write a small file and remove it, or connect to the database and find the table.

    Raises:
        UsageError: for a URL that names no database, or one whose driver is not installed.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    if _is_database(place):
        with _connected(place):
            return
    try:
        check_writable(place)
    except StoreError as error:
        raise StoreError(
            "The ledger must be a folder that this run can write, or a database.",
            error.received,
            "Correct CLOSECAST_LEDGER, or let this run write there; unset, the ledger is a folder of the store.",
        ) from error


def write(place: str, record: ForecastRecord) -> ForecastRecord:
    """Write a forecast unless the ledger has one of its ticker, session and version; return the ledger's row.

    Args:
        place: a folder, a URL of fsspec, or a URL of a database such as postgresql://...
        record: the forecast.

    Raises:
        Damaged: when the row's file cannot be read.
        UsageError: as `check` does.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    if _is_database(place):
        _insert(place, record)
        rows = _select(place, record.ticker)
        written = rows[(rows["session"] == pd.Timestamp(record.session)) & (rows["version"] == record.version)]
    else:
        folder = Folder(f"{place.rstrip('/')}/{record.ticker}")
        name = f"{record.session}-v{record.version}.parquet"
        folder.create(name, frame_bytes(_frame([record])))
        written = _typed(_row_in(folder, name))
    return record_of(written.iloc[0])


def read(place: str, ticker: str) -> pd.DataFrame:
    """Return the rows of a ticker, by session and then by time of writing; columns as in `ForecastRecord`.

    Raises:
        Damaged: when a row's file cannot be read as one.
        UsageError: as `check` does.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    rows = _select(place, ticker) if _is_database(place) else _files(place, ticker)
    return rows.sort_values(["session", "created"], kind="stable", ignore_index=True)


def newest(place: str, ticker: str, *, synthetic: bool) -> ForecastRecord | None:
    """Return the forecast of the latest session, from synthetic or real prices, with fewer opened files than `read`."""
    for rows in [_select(place, ticker)] if _is_database(place) else _sessions(place, ticker):
        found = rows[rows["synthetic"] == synthetic].sort_values(["session", "created"], kind="stable")
        if not found.empty:
            return record_of(found.iloc[-1])
    return None


def record_of(row: pd.Series[Any]) -> ForecastRecord:
    """Return a row of `read` as a record."""
    values = {str(name): value for name, value in row.items() if name in _COLUMNS}
    for name, value in values.items():
        if isinstance(value, pd.Timestamp):
            values[name] = value.to_pydatetime() if name == "created" else value.date()
        elif name in _OPTIONAL and pd.isna(value):
            values[name] = None
    values["quantiles"] = json.loads(values["quantiles"] or "[]")
    return ForecastRecord.model_validate(values)


def _frame(records: list[ForecastRecord]) -> pd.DataFrame:
    return _typed(pd.DataFrame([_row(one) for one in records], columns=pd.Index(_COLUMNS)))


def _row(record: ForecastRecord) -> dict[str, Any]:
    """Return a record as columns: its quantiles are JSON, for files and databases alike."""
    quantiles = json.dumps(record.quantiles) if record.quantiles else ""
    return {**record.model_dump(), "quantiles": quantiles}


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(
        {
            **dict.fromkeys(("ticker", "run", "source", "currency", "quantiles"), "str"),
            **dict.fromkeys(("session", "as_of", "anchor_session"), "datetime64[s]"),
            "created": "datetime64[us, UTC]",
            "version": "int64",
            "synthetic": "bool",
            **dict.fromkeys((*_AMOUNTS, *_OPTIONAL), "float64"),
        }
    )


def _files(place: str, ticker: str) -> pd.DataFrame:
    frames = list(_sessions(place, ticker))
    return pd.concat(frames, ignore_index=True) if frames else _frame([])


def _sessions(place: str, ticker: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of each session, latest first."""
    folder = Folder(f"{place.rstrip('/')}/{ticker}")
    names = [name for name in reversed(folder.names()) if name.endswith(".parquet")]
    for _, same in itertools.groupby(names, key=lambda name: name.partition("-v")[0]):
        yield _typed(pd.concat([_row_in(folder, name) for name in same], ignore_index=True))


def _row_in(folder: Folder, name: str) -> pd.DataFrame:
    data = folder.read(name)
    try:
        row = frame_of(data).rename(columns=present_name)
        return row.assign(**{name: row.get(name, default) for name, default in _ADDED.items()})[list(_COLUMNS)]
    except Exception as error:  # each reader of Parquet has errors of its own
        raise Damaged(
            "A row of the ledger must be as it was written.",
            f"{folder.path(name)}: {type(error).__name__}: {str(error)[:200]}",
            "Bring the file back from a backup, or remove it: its forecast is then never scored.",
        ) from error


def _is_database(place: str) -> bool:
    scheme, separator, _ = place.partition(":")
    return bool(separator) and scheme.partition("+")[0] in _DATABASES


def _table() -> sa.Table:
    import sqlalchemy as sa

    types: dict[Any, Any] = {int: sa.Integer, float: sa.Double, bool: sa.Boolean, str: sa.String(_NAME)}
    types |= {dt.date: sa.Date, dt.datetime: sa.DateTime(timezone=True)}
    types |= {float | None: sa.Double, tuple[float, ...]: sa.String(_TEXT)}
    columns: list[sa.Column[Any]] = [
        sa.Column(name, types[kind], primary_key=name in _KEY, autoincrement=False, nullable=name in _OPTIONAL)
        for name, kind in get_type_hints(ForecastRecord).items()
        if name in _COLUMNS
    ]
    return sa.Table(TABLE, sa.MetaData(), *columns)


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
    old = [name for name in found if name not in _COLUMNS and present_name(name) in _COLUMNS]
    changes = [f"ALTER TABLE {TABLE} RENAME COLUMN {name} TO {present_name(name)}" for name in old]
    texts = {"currency": _NAME, "quantiles": _TEXT}
    for name in _ADDED:
        kind = f"VARCHAR({texts[name]}) DEFAULT '' NOT NULL" if name in texts else "DOUBLE PRECISION"
        if name not in found:
            changes.append(f"ALTER TABLE {TABLE} ADD COLUMN {name} {kind}")
    return changes


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


def _insert(place: str, record: ForecastRecord) -> None:
    import sqlalchemy as sa

    there = contextlib.suppress(sa.exc.IntegrityError)
    with _connected(place) as (connection, table), there, connection.begin_nested():
        connection.execute(table.insert().values(**_row(record)))


def _select(place: str, ticker: str) -> pd.DataFrame:
    with _connected(place) as (connection, table):
        rows = connection.execute(table.select().where(table.c.ticker == ticker)).mappings().all()
    records = [record_of(pd.Series(dict(row), dtype="object")) for row in rows]
    # SQLite drops time zones; every row was written in UTC.
    return _frame(
        [
            one.model_copy(update={"created": one.created.replace(tzinfo=one.created.tzinfo or dt.UTC)})
            for one in records
        ]
    )
