"""The ledger as a folder: a Parquet file per row, and the chain of a ticker as a file per link.

A link is created under its number, which one writer of several gets, and holds the whole row. The row's own file
follows; a writer that dies between the two leaves a link from which the next writer makes the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import Damaged, PipelineError, Unavailable
from pipeline.old_names import present_name
from pipeline.outcome import ForecastRecord
from pipeline.serving.chain import Contents, Link, key_of, linked
from pipeline.serving.ledger_frame import ADDED, frame, record_of
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, rows_of

_CELLS = ("position", "previous_hash", "hash", "hashed_later")  # columns of the chain in a row's file
_TRIES = 1000  # each of them fails only because another writer succeeded


class _LinkFile(BaseModel):
    """The content of a link's file. Its name is the position."""

    model_config = ConfigDict(frozen=True)

    position: int
    previous_hash: str
    hash: str
    hashed_later: bool
    row: ForecastRecord


class _Place(NamedTuple):
    """The folders of one ticker."""

    rows: Folder
    links: Folder


def append(place: str, record: ForecastRecord) -> ForecastRecord:
    """Append a row to its ticker's chain unless the key is known; return the row that the ledger has."""
    where = _place(place, record.ticker)
    name = _row_name(record)
    for _ in range(_TRIES):
        head = _whole_head(where)
        if where.rows.exists(name):
            return _row_of(_file(where.rows, name))
        link = linked(record, head)
        if _create(where, link):
            return _row_of(_file(where.rows, name))
    raise Unavailable(
        "The ledger must take a row.", f"{_TRIES} tries for {record.ticker}, {key_of(record)}", "Try again later."
    )


def rows(place: str, ticker: str) -> dict[str, Link | ForecastRecord]:
    """Return the rows of a ticker by the session and version that name their files."""
    folder = _place(place, ticker).rows
    return {_key_in(name): _file(folder, name) for name in folder.names() if name.endswith(".parquet")}


def sessions(place: str, ticker: str) -> Iterator[list[ForecastRecord]]:
    """Yield the rows of each session, latest first."""
    folder = _place(place, ticker).rows
    names = [name for name in reversed(folder.names()) if name.endswith(".parquet")]
    for _, same in itertools.groupby(names, key=lambda name: name.partition("-v")[0]):
        yield [_row_of(_file(folder, name)) for name in same]


def contents(place: str, ticker: str) -> Contents:
    """Return all rows of a ticker and its chain."""
    links = _place(place, ticker).links
    return Contents([_link(links, name) for name in _link_names(links)], rows(place, ticker))


def newest_link(place: str, ticker: str) -> Link | None:
    """Return the last link of a ticker's chain; None without one."""
    links = _place(place, ticker).links
    names = _link_names(links)
    return _link(links, names[-1]) if names else None


def tickers(place: str) -> list[str]:
    """Return the tickers that have a folder, in order."""
    return [name for name in Folder(place.rstrip("/")).names() if not name.startswith(("_", "."))]


def _place(place: str, ticker: str) -> _Place:
    url = f"{place.rstrip('/')}/{ticker}"
    return _Place(Folder(url), Folder(f"{url}/_chain"))


def _whole_head(where: _Place) -> Link | None:
    """Return the last link after its row has a file, and after rows of earlier versions have their links."""
    names = _link_names(where.links)
    head = _link(where.links, names[-1]) if names else None
    if head and not where.rows.exists(_row_name(head.row)):
        where.rows.create(_row_name(head.row), _row_bytes(head))
    if head and not head.hashed_later:
        return head
    known = {key_of(_link(where.links, name).row) for name in names}
    earlier = [_row_of(_file(where.rows, name)) for name in where.rows.names() if name.endswith(".parquet")]
    for record in sorted(earlier, key=lambda one: (one.session, one.created, one.version)):
        if key_of(record) in known:
            continue
        head = linked(record, head, hashed_later=True)
        where.links.create(_link_name(head.position), _link_bytes(head))  # two writers make the same link
    return head


def _create(where: _Place, link: Link) -> bool:
    """Write a link, and then the file of its row; return whether this writer got the position."""
    if not where.links.create(_link_name(link.position), _link_bytes(link)):
        return False
    where.rows.create(_row_name(link.row), _row_bytes(link))
    return True


def _row_name(record: ForecastRecord) -> str:
    return f"{record.session}-v{record.version}.parquet"


def _key_in(name: str) -> str:
    """Return the key of the row whose file has this name."""
    session, _, version = name.removesuffix(".parquet").rpartition("-v")
    return f"{session} v{version}"


def _row_bytes(link: Link) -> bytes:
    return frame_bytes(frame([link.row]).assign(**{name: getattr(link, name) for name in _CELLS}))


def _row_of(read: Link | ForecastRecord) -> ForecastRecord:
    return read.row if isinstance(read, Link) else read


def _file(folder: Folder, name: str) -> Link | ForecastRecord:
    """Return the content of a row's file: a link where the file has the columns of the chain."""
    data = folder.read(name)
    try:
        (values,) = rows_of(data)
        row = ADDED | {present_name(column): value for column, value in values.items()}
        record = record_of(row)
        if not set(_CELLS) <= set(row):
            return record
        return Link(row["position"], row["previous_hash"], row["hash"], row["hashed_later"], record)
    except Exception as error:  # each reader of Parquet has errors of its own
        raise _damaged(folder.path(name), error) from error


def _link_names(folder: Folder) -> list[str]:
    """Return the files of the links by position; a writer at work has a file of another name beside them."""
    return [name for name in folder.names() if name.endswith(".json")]


def _link_name(position: int) -> str:
    return f"{position:07d}.json"


def _link_bytes(link: Link) -> bytes:
    return _LinkFile(**link._asdict()).model_dump_json(indent=1).encode()


def _link(folder: Folder, name: str) -> Link:
    """Return a link; its name gives its position."""
    try:
        read = _LinkFile.model_validate_json(folder.read(name))
        position = int(name.removesuffix(".json"))
    except (ValidationError, ValueError) as error:
        raise _damaged(folder.path(name), error) from error
    return Link(position, read.previous_hash, read.hash, read.hashed_later, read.row)


def _damaged(path: str, error: Exception) -> PipelineError:
    return Damaged(
        "A row of the ledger must be as it was written.",
        f"{path}: {type(error).__name__}: {str(error)[:200]}",
        "Bring the file back from a backup, or remove it: its forecast is then never scored, and "
        "closecast ledger verify names it.",
    )
