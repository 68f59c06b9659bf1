"""A history cut into pieces that later nights share: closed years, closed months of the newest year, the open month."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.store.formats import columns_bytes, sha256

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
    begins = [0, *(np.flatnonzero(periods[1:] != periods[:-1]) + 1)]
    closed = {str(periods[begin]): prices[begin:end] for begin, end in itertools.pairwise(begins)}
    return Cut(closed, prices[begins[-1] :])


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


def joined(pieces: Sequence[Mapping[str, npt.NDArray[Any]]]) -> pd.DataFrame:
    """Return prices as each step reads them.

    Args:
        pieces: arrays by column, `session` among them, as `piece_bytes` writes them; oldest rows first.
    """
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    sessions = columns.pop("session").astype("datetime64[ms]")
    return pd.DataFrame(columns, index=pd.DatetimeIndex(sessions, name="session"))


def seconds(prices: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the sessions as seconds since 1970."""
    return prices.index.to_numpy().astype("datetime64[s]").astype("<i8")


def _values(prices: pd.DataFrame) -> npt.NDArray[np.float64]:
    values = np.array(prices.to_numpy(), dtype="<f8", order="C")
    values[np.isnan(values)] = np.nan
    return values
