"""A ledger of five rows, and the ways to tamper with it, in files and in a database."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pipeline.serving import chain, ledger, ledger_folder, ledger_table
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, frame_of
from tests.support.ledger_rows import ROW

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.outcome import ForecastRecord
    from pipeline.serving.chain import Break

TICKER = "AAA"
DAYS = tuple(dt.date(2025, 11, day) for day in range(17, 22))
NAMES = tuple(f"{day}-v1.parquet" for day in DAYS)


def row(day: dt.date, **changed: Any) -> ForecastRecord:
    """Return a row of `TICKER`; each session has another forecast."""
    values = {"ticker": TICKER, "session": day, "version": 1, "forecast": 6000.0 + day.day, **changed}
    return ROW.model_copy(update=values)


def five_rows(place: str) -> None:
    """Write a row of each of `DAYS`."""
    for day in DAYS:
        ledger.write(place, row(day))


def found(place: str) -> Break | None:
    """Return the first break of the chain."""
    return chain.first_break(ledger.contents(place, TICKER))


def execute(place: str, *statements: str) -> None:
    """Change the table as its owner can."""
    engine = ledger_table._engine(place)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def _copied(place: str, day: str, **cells: Any) -> None:
    """Insert a copy of the third row as a row of another session."""
    engine = ledger_table._engine(place)
    with engine.begin() as connection:
        known = connection.execute(sa.text("SELECT * FROM closecast_ledger WHERE session = '2025-11-19'"))
        values = dict(known.mappings().one()) | {"session": day} | cells
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(sa.text(f"INSERT INTO closecast_ledger ({names}) VALUES ({marks})"), values)  # noqa: S608
    engine.dispose()


_NO_HASH = {"position": None, "previous_hash": "", "hash": ""}
_MOVE = "UPDATE closecast_ledger SET position = {} WHERE position = {}"

IN_TABLE: dict[str, tuple[Callable[[str], None], str, int | None, str]] = {
    "change": (
        lambda place: execute(place, "UPDATE closecast_ledger SET forecast = 1 WHERE session = '2025-11-19'"),
        "changed", 3, "2025-11-19 v1",
    ),
    "remove": (
        lambda place: execute(place, "DELETE FROM closecast_ledger WHERE session = '2025-11-19'"),
        "removed", 3, "",
    ),
    "insert": (lambda place: _copied(place, "2025-11-24", **_NO_HASH), "added", None, "2025-11-24 v1"),
    "swap": (
        lambda place: execute(place, _MOVE.format(99, 2), _MOVE.format(2, 4), _MOVE.format(4, 99)),
        "moved", 2, "2025-11-20 v1",
    ),
    "blank": (
        lambda place: execute(
            place, "UPDATE closecast_ledger SET position = NULL, hash = '' WHERE session = '2025-11-18'"
        ),
        "changed", 2, "2025-11-18 v1",
    ),
    "remove and number again": (
        lambda place: execute(
            place, "DELETE FROM closecast_ledger WHERE position = 2", _MOVE.format(2, 3), _MOVE.format(3, 4)
        ),
        "removed", 2, "",
    ),
}  # fmt: skip


def insert_and_number_again(place: str) -> None:
    """Put a row with a right hash between the second and the third, as a person with the code can."""
    links = ledger.contents(place, TICKER).links
    extra = chain.linked(row(dt.date(2025, 11, 14)), links[1])
    execute(place, _MOVE.format(6, 5), _MOVE.format(5, 4), _MOVE.format(4, 3))
    engine = ledger_table._engine(place)
    with engine.begin() as connection:
        values = ledger_table.columns_of(extra.row) | ledger_table._cells(extra)
        connection.execute(ledger_table._table().insert().values(**values))
    engine.dispose()


def _edit(place: str) -> None:
    folder = _rows(place)
    frame = frame_of(folder.read(NAMES[2]))
    folder.write(NAMES[2], frame_bytes(frame.assign(forecast=1.0)))


def _insert(place: str) -> None:
    folder = _rows(place)
    copied = frame_of(folder.read(NAMES[2])).drop(columns=list(ledger_folder._CELLS))
    folder.write("2025-11-24-v1.parquet", frame_bytes(copied.assign(session="2025-11-24")))


def _swap(folder: Folder, one: str, other: str) -> None:
    first = folder.read(one)
    folder.write(one, folder.read(other))
    folder.write(other, first)


def _rows(place: str) -> Folder:
    return Folder(f"{place}/{TICKER}")


def _links(place: str) -> Folder:
    return Folder(f"{place}/{TICKER}/_chain")


def _edit_link(place: str) -> None:
    links = _links(place)
    text = links.read("0000003.json").decode()
    links.write("0000003.json", text.replace("6019.0", "1.0").encode())


IN_FOLDER: dict[str, tuple[Callable[[str], None], str, int | None, str]] = {
    "change": (_edit, "changed", 3, "2025-11-19 v1"),
    "remove": (lambda place: _rows(place).remove(NAMES[2]), "removed", 3, "2025-11-19 v1"),
    "insert": (_insert, "added", None, "2025-11-24 v1"),
    "swap": (lambda place: _swap(_rows(place), NAMES[1], NAMES[3]), "moved", 2, "2025-11-18 v1"),
    "change a link": (_edit_link, "changed", 3, "2025-11-19 v1"),
    "remove a link": (lambda place: _links(place).remove("0000003.json"), "removed", 3, ""),
    "swap links": (
        lambda place: _swap(_links(place), "0000002.json", "0000004.json"), "moved", 2, "2025-11-20 v1",
    ),
}  # fmt: skip


def _write_many(place: str, version: int, rows: int, start: Barrier) -> None:
    for number in range(rows):
        start.wait(120)  # before each row: on a busy machine one process wrote all of its rows before the other's first
        ledger.write(place, row(dt.date(2025, 1, 1) + dt.timedelta(days=number), version=version))


def check_that_two_processes_keep_one_chain(place: str, rows: int = 12) -> None:
    """Let two processes write rows of their own at the same time: each row has one place, in one whole chain."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    writers = [context.Process(target=_write_many, args=(place, version, rows, start)) for version in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    links = ledger.contents(place, TICKER).links
    assert [link.position for link in links] == list(range(1, 2 * rows + 1))
    assert found(place) is None
