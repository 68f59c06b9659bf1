"""A history cut into pieces that later nights share: closed years, closed months of the newest year, the open month."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.store.formats import columns_bytes, columns_of, sha256

ADJUSTED = "adj_close"


class Cut(NamedTuple):
    """The rows of a history, oldest first."""

    closed: dict[str, pd.DataFrame]  # by period, "2014" or "2025-03": a later night adds no row there
    open: pd.DataFrame  # the month of the newest row


def cut(prices: pd.DataFrame) -> Cut:
    """Return the pieces of a history, which has at least one row; its sessions ascend."""
    months = np.datetime_as_string(prices.index.to_numpy().astype("datetime64[M]"))
    newest = months[-1]
    earlier_year = months.astype("datetime64[Y]") < np.datetime64(newest, "Y")
    periods = np.where(earlier_year, months.astype("<U4"), months)
    closed = {str(name): rows for name, rows in prices.groupby(periods, sort=False) if name != newest}
    return Cut(closed, prices[months == newest])


def rows_sha256(prices: pd.DataFrame) -> str:
    """Return the hash of rows: equal rows have it in every file format and under every version of a library.

    It is the SHA-256 of the columns' names in JSON, the sessions as seconds since 1970 (int64), and the values row by
    row (float64); all little-endian, each NaN the same one.
    """
    return sha256(json.dumps(list(prices.columns)).encode() + seconds(prices).tobytes() + _values(prices).tobytes())


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two frames have equal columns, sessions and values, to the last bit."""
    return len(one) == len(other) and list(one.columns) == list(other.columns) and common_rows(one, other) == len(one)


def common_rows(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """Return the number of first rows that two frames of the same columns share, to the last bit."""
    shared = min(len(one), len(other))
    same_session = seconds(one)[:shared] == seconds(other)[:shared]
    same_values = (_values(one)[:shared].view("<i8") == _values(other)[:shared].view("<i8")).all(axis=1)
    return int(np.logical_and.accumulate(same_session & same_values).sum())


def piece_bytes(rows: pd.DataFrame) -> bytes:
    """Return rows as Parquet."""
    values = {str(name): rows[name].to_numpy() for name in rows.columns}
    return columns_bytes(session=rows.index.to_numpy().astype("datetime64[ms]"), **values)


def rows_of(data: bytes) -> pd.DataFrame:
    """Return the rows that `piece_bytes` wrote."""
    arrays = columns_of(data)
    return frame(arrays.pop("session"), arrays)


def frame(sessions: npt.NDArray[np.datetime64], columns: dict[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    """Return prices as each step reads them."""
    return pd.DataFrame(columns, index=pd.DatetimeIndex(sessions).astype("datetime64[ms]").rename("session"))


def seconds(prices: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the sessions as seconds since 1970."""
    return prices.index.to_numpy().astype("datetime64[s]").astype("<i8")


def _values(prices: pd.DataFrame) -> npt.NDArray[np.float64]:
    values = np.array(prices.to_numpy(), dtype="<f8", order="C")
    values[np.isnan(values)] = np.nan
    return values
