"""The cells of a price file as dates and numbers. A cell that can be read in two ways is refused and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.prices.sources.file_table import unreadable

if TYPE_CHECKING:
    from pathlib import Path

_DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")
_YEARS = (1700, 2200)  # pandas reads "-2025-11-05" as a year before Christ
_TIME_OF_DAY = r"[T ](\d{1,2}:.*)$"  # with its offset: the local date as written is the session
_MISSING = ("", "-", "null", "nan", "none", "nat", "na", "n/a")
_DOLLAR = r"^([-+]?)\$\s*"
_THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"  # 1,234 and 12,345,678.90, but neither 0,201 nor 1234,567
_EITHER = r"[-+]?[1-9]\d{0,2},\d{3}"  # 406,840: with a decimal comma it is a number, too
_POINT = r"\d\.\d"
_SHORT = r"([\d.]+)\s*([KMB])"  # volumes of investing.com: 7.39M
_SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}
_RATIO = r"([\d.]+)\s*[:/]\s*([\d.]+)"  # splits: 4:1


def sessions(cells: pd.Series[str], file: Path) -> pd.Series[pd.Timestamp]:
    """Return the dates as midnights; the first cell decides the format of all."""
    dates = cells.str.replace(_TIME_OF_DAY, "", regex=True).str.strip()
    for form in _DATE_FORMATS:
        days = pd.to_datetime(dates, format=form, errors="coerce")
        if pd.notna(days.iloc[0]):
            break
    days = days.where(days.dt.year.between(*_YEARS))
    _refuse(cells[days.isna()], "a date such as 2024-12-31 or 12/31/2024, in one format throughout", file)
    return days


def check_daily(days: pd.Series[pd.Timestamp], dates: pd.Series[str], times: pd.Series[str] | None, file: Path) -> None:
    """Raise an error if most days have bars of several times of day.

    Args:
        days: the result of `sessions`.
        dates: the cells of the dates, perhaps with a time of day.
        times: the cells of a column of times, None without one.
        file: for errors.
    """
    clock = dates.str.extract(_TIME_OF_DAY, expand=False).fillna("") if times is None else times
    bars = pd.DataFrame({"day": days, "clock": clock}).drop_duplicates()
    count = bars["day"].value_counts(sort=False)
    if count.max() == 1 or (count > 1).mean() <= 0.5:  # noqa: PLR2004 - a daily history may end in a running bar
        return
    day = count.idxmax()
    shown = bars["clock"][bars["day"] == day].sort_values()
    raise unreadable(
        file,
        f"intraday bars: {len(shown)} of {day:%Y-%m-%d}, from {shown.iloc[0]} to {shown.iloc[-1]}",
        "Provide daily prices, one row for each session.",
    )


def numbers(cells: pd.Series[str], name: str, file: Path, beside: pd.Series[str] | None = None) -> pd.Series[float]:
    """Return the numbers; NaN for a cell that is empty or holds a word for missing.

    A comma may separate thousands only. Where every comma could as well be a decimal sign, the column is refused.

    Args:
        cells: of one column.
        name: ours, of the column.
        file: for errors.
        beside: cells of another column of numbers; a decimal point there shows how commas are meant here.

    Raises:
        UnreadablePrices: a cell is no number, or could be two numbers.
    """
    found = pd.to_numeric(cells, errors="coerce").astype("float64")
    words = cells[~np.isfinite(found)].str.strip()
    words = words[~words.str.lower().isin(_MISSING)].str.replace(_DOLLAR, r"\1", regex=True)
    grouped = words.str.fullmatch(_THOUSANDS)
    found[words.index] = pd.to_numeric(words.mask(grouped, words.str.replace(",", "")), errors="coerce")
    if name == "volume":
        parts = words.str.extract(f"^{_SHORT}$")
        found = found.fillna(pd.to_numeric(parts[0], errors="coerce") * parts[1].map(_SIZES).astype("float64"))
    if name == "splits":
        parts = words.str.extract(f"^{_RATIO}$").apply(pd.to_numeric, errors="coerce")
        found = found.fillna(parts[0] / parts[1])
    unread = words.index[~np.isfinite(found[words.index])]
    _refuse(cells[unread], f"a number as {name}", file)
    either = words[words.str.fullmatch(_EITHER)]
    if either.empty or len(either) < grouped.sum() or cells.str.contains(_POINT).any():
        return found
    if beside is not None and beside.str.contains(_POINT).any():
        return found
    cell = either.iloc[0]
    raise unreadable(
        file,
        f"{cell!r} in {cells.index.name} {either.index[0]} as {name}, which is "
        f"{cell.replace(',', '.')} or {cell.replace(',', '')}, and no cell of the column says which",
        "Write numbers with a decimal point and without separators of thousands.",
    )


def _refuse(wrong: pd.Series[str], expected: str, file: Path) -> None:
    """Raise an error that names the first cell of `wrong`; do nothing if `wrong` is empty."""
    if not wrong.empty:
        problem = f"{wrong.iloc[0][:60]!r} in {wrong.index.name} {wrong.index[0]} where {expected} should be"
        todo = "Correct the file or fetch it again. A comma may only separate thousands."
        if "," not in wrong.iloc[0]:
            todo = "Correct the file or fetch it again."
        raise unreadable(file, f"{problem} ({len(wrong)} such cells)", todo)
