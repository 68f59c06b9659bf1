"""Snapshots that cannot change: files named by their content, written once and shared by all nights of a ticker.

<store>/_snapshots/<ticker>/<kind>-<hash>.<json or parquet>

kind        content
snapshot    one night: its history and the rows of the open month; or the rows that the night before does not have
history     the list of the closed periods
2014        rows of a closed year
2025-03     rows of a closed month of the newest year
adjusted    factors of the adjusted closes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.prices.adjustment import Adjustment, factored, restored, same_bits
from pipeline.prices.pieces import ADJUSTED, common_rows, cut, joined, piece_bytes, same_rows, seconds
from pipeline.prices.sources import COLUMNS
from pipeline.store.folder import Folder
from pipeline.store.formats import columns_of, compact_json_bytes, json_of, sha256

ROOT = "_snapshots"
_DIGITS = 32  # 128 bits of the hash: nobody finds two files of one name


class Stored(NamedTuple):
    """A snapshot of the archive, and the files that the next one may share."""

    name: str  # of its file
    prices: pd.DataFrame
    history: str
    pieces: Mapping[str, str]  # file by closed period
    adjusted: str | None
    adjustment: Adjustment | None


class Prepared(NamedTuple):
    """A snapshot that can be written."""

    name: str
    files: dict[str, bytes]  # that the snapshot before does not have; in an order in which each finds what it names


class _Night(NamedTuple):
    """The content of a snapshot's file. Rows begin with the session, in seconds since 1970."""

    rows: list[list[float]]
    history: str | None = None
    after: str | None = None  # instead of `history`: an earlier snapshot of the month ...
    keep: int = 0  # ... of which this many rows of the month are the same
    adjusted: str | None = None

    def to_json(self) -> bytes:
        return compact_json_bytes({name: value for name, value in self._asdict().items() if value})


def folder(store_url: str, ticker: str) -> Folder:
    """Return the folder of a ticker's snapshots."""
    return Folder(f"{store_url}/{ROOT}/{ticker}")


def prepare(prices: pd.DataFrame, before: Stored | None) -> Prepared:
    """Return the files of a snapshot that must be added to those of the one before.

    Args:
        prices: a frame as `pipeline.prices.sources` describes it, with at least one row.
        before: the snapshot of an earlier night, if there is one.
    """
    files: dict[str, bytes] = {}
    bars = prices.drop(columns=ADJUSTED, errors="ignore")
    then = before.prices.drop(columns=ADJUSTED, errors="ignore") if before else bars[:0]
    if before and list(then.columns) != list(bars.columns):
        before = None
    now = cut(bars)
    earlier = cut(then) if before else None
    pieces = {}
    for period, rows in now.closed.items():
        if before and earlier and period in earlier.closed and same_rows(rows, earlier.closed[period]):
            pieces[period] = before.pieces[period]
        else:
            pieces[period] = _added(files, period, "parquet", piece_bytes(rows))
    listed = compact_json_bytes({"columns": list(bars.columns), "pieces": pieces})
    history = _name("history", "json", listed)
    adjusted = _adjusted(prices, before, files)
    kept = 0
    if before and earlier and before.history == history:
        kept = common_rows(now.open, earlier.open)
    else:
        files[history] = listed
    night = _Night(_json_rows(now.open[kept:]), adjusted=adjusted)
    night = night._replace(after=before.name, keep=kept) if before and kept else night._replace(history=history)
    return Prepared(_added(files, "snapshot", "json", night.to_json()), files)


def load(store_url: str, ticker: str, name: str) -> Stored:
    """Return a snapshot.

    Raises:
        Damaged: when one of its files is missing or has changed.
        StoreError: when the store refuses.
    """
    files = folder(store_url, ticker)
    night = _night(files, name)
    history, rows = _open_month(files, night)
    listed = json_of(_content(files, history))
    closed = [columns_of(_content(files, file)) for file in listed["pieces"].values()]
    table = np.array(rows, dtype="float64").reshape(len(rows), len(listed["columns"]) + 1)
    newest: dict[str, npt.NDArray[Any]] = dict(zip(listed["columns"], table.T[1:], strict=True))
    newest["session"] = table[:, 0].astype("int64").astype("datetime64[s]")
    prices = joined([*closed, newest])
    made = None
    if night.adjusted:
        made = Adjustment.from_bytes(_content(files, night.adjusted))
        prices[ADJUSTED] = restored(prices["close"].to_numpy(), made)
    prices = prices[[column for column in COLUMNS if column in prices.columns]]
    return Stored(name, prices, history, listed["pieces"], night.adjusted, made)


def files_of(store_url: str, ticker: str, name: str) -> set[str]:
    """Return the names of all files that a snapshot needs, its own included.

    Raises:
        Damaged: when one that names others is missing or has changed.
    """
    files = folder(store_url, ticker)
    needed = {name}
    night = _night(files, name)
    needed |= {night.adjusted} if night.adjusted else set()
    while night.after:
        needed.add(night.after)
        night = _night(files, night.after)
    history = str(night.history)
    return needed | {history, *json_of(_content(files, history))["pieces"].values()}


def _open_month(files: Folder, night: _Night) -> tuple[str, list[list[float]]]:
    """Return the history of a night, and all rows of its open month."""
    if not night.after:
        return str(night.history), night.rows
    history, rows = _open_month(files, _night(files, night.after))
    return history, rows[: night.keep] + night.rows


def _night(files: Folder, name: str) -> _Night:
    return _Night(**{"rows": [], **json_of(_content(files, name))})


def _content(files: Folder, name: str) -> bytes:
    """Return a file whose content has the hash in its name."""
    kind = name.rpartition("-")[0]
    ending = name.rpartition(".")[2]
    return files.read_kept(
        name,
        lambda data: _name(kind, ending, data),
        rule="A snapshot must be as it was written.",
        todo="Clear ingest and the steps after it in Airflow, which writes the file again. Or start a new run.",
    )


def _adjusted(prices: pd.DataFrame, before: Stored | None, files: dict[str, bytes]) -> str | None:
    """Return the file with the factors of the adjusted closes, that of the night before if it still holds."""
    if ADJUSTED not in prices.columns:
        return None
    closes = prices["close"].to_numpy()
    adjusted = prices[ADJUSTED].to_numpy()
    if before and before.adjustment and same_bits(restored(closes, before.adjustment), adjusted):
        return before.adjusted
    return _added(files, "adjusted", "parquet", factored(closes, adjusted).to_bytes())


def _json_rows(rows: pd.DataFrame) -> list[list[float]]:
    return [[int(when), *map(float, values)] for when, values in zip(seconds(rows), rows.to_numpy(), strict=True)]


def _added(files: dict[str, bytes], kind: str, ending: str, data: bytes) -> str:
    name = _name(kind, ending, data)
    files[name] = data
    return name


def _name(kind: str, ending: str, data: bytes) -> str:
    return f"{kind}-{sha256(data)[:_DIGITS]}.{ending}"
