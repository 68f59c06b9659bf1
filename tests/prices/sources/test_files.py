"""Reading price files in the formats found in the wild."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError, UnknownTicker, UnreadablePrices
from pipeline.prices.sources import COLUMNS, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATE = dt.date(2030, 1, 1)
YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Return a function that writes a file and fetches it."""

    def write_and_fetch(content: str | bytes, ticker: str = "NFLX") -> pd.DataFrame:
        path = tmp_path / "prices.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return files.fetch(ticker, None, LATE, path=path)

    return write_and_fetch


# name, rows, first session, last session, first close, last close (both as float64 of the file), columns
DIRTY = [
    ("yfinance_multiindex_header_NFLX", 503, "2023-02-06", "2025-02-06", 361.4800109863281, 1008.155029296875, 5),
    ("nasdaq_com_style_desc_TSLA", 2515, "2012-09-28", "2022-09-27", 1.952, 282.94, 5),
    ("quantmod_prefixed_header_NFLX", 5033, "2003-10-30", "2023-10-27", 4.16499996185303, 397.869995117188, 6),
    ("lowercase_columns_zero_volume_AMCR", 1384, "2018-01-02", "2023-06-29", 11.800000190734863, 9.899999618530272, 5),
    ("null_row_AAPL", 10087, "1980-12-12", "2020-12-11", 0.128348, 122.410004, 6),
    ("null_rows_BRC", 9142, "1984-09-07", "2020-12-11", 1.66593, 47.950001, 6),
    ("nan_prices_recent_day_GM", 3943, "2010-11-18", "2026-07-27", 25.380672454833984, 87.04000091552734, 5),
    ("missing_day_FISV", 2045, "2018-06-01", "2026-07-23", 73.33000183105469, 49.970001220703125, 5),
    ("extra_holiday_rows_NFLX", 1384, "2018-01-02", "2023-06-29", 201.07000732421875, 428.239990234375, 5),
    ("duplicate_date_VIV", 2, "2020-12-11", "2020-12-11", 9.39, 9.39, 6),
    ("zero_volume_FICO", 8418, "1987-07-22", "2020-12-11", 1.37037, 511.910004, 6),
    ("delisted_K_trailing_empty", 16123, "1962-01-02", "2026-01-23", np.nan, np.nan, 5),
    ("zscored_not_prices_NFLX", 776, "2022-01-11", "2024-12-31", -1.7295215955075716, 1.7276683569267175, 5),
]


@pytest.mark.parametrize("facts", DIRTY, ids=lambda facts: facts[0])
def test_reads_every_dirty_file(test_data: Path, facts: tuple[str, int, str, str, float, float, int]) -> None:
    """Each format found in the wild is read to the last row, whatever its content is worth."""
    name, rows, first, last, first_close, last_close, columns = facts
    prices = files.fetch("NFLX", None, LATE, path=test_data / "dirty" / f"{name}.csv")

    assert prices.shape == (rows, columns)
    assert prices.index[0] == pd.Timestamp(first)
    assert prices.index[-1] == pd.Timestamp(last)
    np.testing.assert_array_equal(prices["close"].iloc[[0, -1]], [first_close, last_close])
    assert prices.index.is_monotonic_increasing
    assert list(prices.columns) == [name for name in COLUMNS if name in prices]
    assert set(prices.dtypes) == {np.dtype("float64")}


def test_every_dirty_file_has_its_test(test_data: Path) -> None:
    """No file of the folder is left untried."""
    tried = {case[0] for case in DIRTY} | {"tz_aware_daily_closeonly_NFLX"}
    assert {path.stem for path in (test_data / "dirty").iterdir()} == tried


def test_a_file_without_close_is_refused_by_listing_its_columns(test_data: Path) -> None:
    """Close_Price is not taken for close."""
    with pytest.raises(UnreadablePrices, match=r"no close column.*'Date', 'Close_Price', 'ShortTermMomentum'"):
        files.fetch("NFLX", None, LATE, path=test_data / "dirty" / "tz_aware_daily_closeonly_NFLX.csv")


def test_reads_the_tutorials_range(test_data: Path) -> None:
    """The tutorial's range of NFLX has the pinned length and last close."""
    prices = files.fetch("NFLX", dt.date(2010, 4, 1), dt.date(2022, 4, 25), path=test_data)
    assert len(prices) == 3038
    assert prices["close"].iloc[-1] == pytest.approx(209.910004, abs=5e-7)


def test_quantmod_and_yahoo_copies_agree(test_data: Path) -> None:
    """The same history in two formats gives the same frame."""
    yahoo = files.fetch("NFLX", None, LATE, path=test_data)
    quantmod = files.fetch("NFLX", None, LATE, path=test_data / "dirty" / "quantmod_prefixed_header_NFLX.csv")
    pd.testing.assert_frame_equal(yahoo, quantmod)


def test_agrees_with_a_slow_loop_on_every_value_of_the_panel(test_data: Path) -> None:
    """Not one bit of a price is lost against the plain, slow way."""
    for path in sorted((test_data / "panel").iterdir())[:10]:
        fetched = files.fetch(path.stem, None, LATE, path=path.parent)
        with path.open() as lines:
            plain = list(csv.DictReader(lines))
        names = [name.title().replace("_", " ") for name in fetched.columns]
        np.testing.assert_array_equal(fetched, [[float(row[name]) for name in names] for row in plain])
        assert [f"{session:%Y-%m-%d}" for session in fetched.index] == [row["Date"] for row in plain]


def test_null_empty_and_nan_cells_stay_as_rows(read: Callable[..., pd.DataFrame]) -> None:
    """Rows without values are kept as NaN: judging them is not reading."""
    prices = read(f"{YAHOO}\n2020-01-02,1,1,1,1,1,5\n2020-01-03,null,null,null,null,null,null\n2020-01-06,,,,NaN,N/A,")
    assert len(prices) == 3
    assert prices.iloc[1:].isna().all(axis=None)


def test_duplicated_dates_are_kept_in_the_files_order(read: Callable[..., pd.DataFrame]) -> None:
    """Two rows of one date both arrive."""
    prices = read("Date,Close\n2020-01-03,3\n2020-01-02,1\n2020-01-02,2\n")
    assert prices["close"].tolist() == [1, 2, 3]


def test_rows_outside_start_and_as_of_never_enter(tmp_path: Path) -> None:
    """`start` and `as_of` are the first and the last session kept."""
    path = tmp_path / "a.csv"
    path.write_text("Date,Close\n2020-01-02,1\n2020-01-03,2\n2020-01-06,3\n2020-01-07,4\n")
    prices = files.fetch("A", dt.date(2020, 1, 3), dt.date(2020, 1, 6), path=path)
    assert prices["close"].tolist() == [2, 3]


def test_dates_with_offsets_keep_the_local_day_as_written(read: Callable[..., pd.DataFrame]) -> None:
    """Offsets that change with daylight saving move no session to another day."""
    prices = read(
        "Datetime,Close\n2015-10-30 00:00:00-04:00,1\n2015-11-02 00:00:00-05:00,2\n2015-11-03T23:30:00+09:00,3\n"
    )
    assert prices.index.tolist() == [pd.Timestamp(day) for day in ("2015-10-30", "2015-11-02", "2015-11-03")]


@pytest.mark.parametrize(
    "date", ["2020-01-31", "01/31/2020", "1/31/2020", "2020/01/31", "20200131", "2020-01-31 16:00"]
)
def test_reads_the_usual_ways_to_write_a_date(read: Callable[..., pd.DataFrame], date: str) -> None:
    """ISO dates, American ones and plain digits mean the same day."""
    assert read(f"Date,Close\n{date},1\n").index.tolist() == [pd.Timestamp("2020-01-31")]


def test_prices_are_compared_with_the_volume_that_they_stand_beside(read: Callable[..., pd.DataFrame]) -> None:
    """A volume of 512,809 is no decimal: the closes have a decimal point."""
    prices = read('Date,Close,Volume\n2020-01-02,3.5,"512,809"\n')
    assert prices["volume"].tolist() == [512_809]


def test_money_marks_and_thousands_separators_are_read(read: Callable[..., pd.DataFrame]) -> None:
    """`$1,234.50` is a number."""
    prices = read('Date,Close/Last,Volume\n01/03/2020,"$1,234.50","12,345,678"\n01/02/2020,$3,N/A\n')
    assert prices["close"].tolist() == [3, 1234.5]
    assert prices["volume"].iloc[-1] == 12_345_678


def test_yahoos_dividends_and_splits_are_mapped_and_unknown_columns_ignored(read: Callable[..., pd.DataFrame]) -> None:
    """Columns are found by name in any order and case."""
    prices = read("Stock Splits,CLOSE,Capital Gains,Dividends,date\n4,10,x,0.5,2020-01-02\n")
    assert prices.to_dict("records") == [{"close": 10, "dividends": 0.5, "splits": 4}]


@pytest.mark.parametrize(
    "header",
    [
        "Price,Close,Close,Low,Low\nTicker,LOW,NFLX,LOW,NFLX\nDate,,,,",
        "Ticker,LOW,NFLX,LOW,NFLX\nPrice,Close,Close,Low,Low\nDate,,,,",
        ",Close,Close,Low,Low\n,LOW,NFLX,LOW,NFLX\nDate,,,,",
        "Index,LOW.Close,NFLX.Close,LOW.Low,NFLX.Low",
    ],
    ids=["price_first", "ticker_first", "older_yfinance", "quantmod"],
)
@pytest.mark.parametrize(("ticker", "close"), [("LOW", 2.0), ("NFLX", 4.0)])
def test_picks_the_ticker_among_several(
    read: Callable[..., pd.DataFrame], header: str, ticker: str, close: float
) -> None:
    """In a file of several tickers only the asked one's columns count, even where a ticker reads like a column."""
    prices = read(f"{header}\n2020-01-02,2,4,1,3\n", ticker)
    assert prices.to_dict("records") == [{"low": close - 1, "close": close}]


def test_a_ticker_missing_among_several_is_unknown(read: Callable[..., pd.DataFrame]) -> None:
    """No other ticker's prices are used in its place."""
    with pytest.raises(UnknownTicker, match="2 tickers: aaa, bbb"):
        read("Index,AAA.Close,BBB.Close\n2020-01-02,1,2\n", "CCC")


def test_a_file_of_one_ticker_serves_any(read: Callable[..., pd.DataFrame]) -> None:
    """One file given as the source is used whatever the ticker is called."""
    assert read("Index,AAA.Close\n2020-01-02,1\n", "CCC")["close"].tolist() == [1]


def test_an_index_without_a_name_is_the_date(read: Callable[..., pd.DataFrame]) -> None:
    """`DataFrame.to_csv` leaves the index's header empty."""
    assert len(read(",Close\n2020-01-02,1\n")) == 1


def test_a_numbered_index_does_not_hide_the_date_column(read: Callable[..., pd.DataFrame]) -> None:
    """A column called date wins over the index."""
    assert read("index,Date,Close\n0,2020-01-02,1\n").index[0] == pd.Timestamp("2020-01-02")


def test_bytes_that_excel_adds_do_no_harm(read: Callable[..., pd.DataFrame]) -> None:
    """A byte order mark, CRLF, blank lines and blanks around cells are passed over."""
    assert len(read(b"\xef\xbb\xbfDate, Close \r\n2020-01-02 , 1 \r\n\r\n2020-01-03, null \r\n\r\n")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "Date,Close\n2020-01-02,1\n\n2020-01-06,abc\n2020-01-07,x\n",
            "'abc' in line 4 .* number as close .*2 such cells",
        ),
        ("Date,Close\n2020-01-02,1\nTotal,2\n", "'Total' in line 3 .* a date"),
        ("Date,Close\n2020-01-02,1\n,2\n", "'' in line 3 .* a date"),
        ("Date,Close\n2020-02-30,1\n", "'2020-02-30' in line 2 .* a date"),
        ("Date,Close\n01/02/2020,1\n2020-01-03,2\n", "'2020-01-03' in line 3 .* one format"),
        ("Date,Close\n13/01/2020,1\n", "'13/01/2020' in line 2"),
        ('Date,Close\n2020-01-02,"282,94"\n', "'282,94' in line 2 .* number as close"),
        ("Date,Close\n2020-01-02,inf\n", "'inf' in line 2 .* number as close"),
        ("Date,Close\n2020-01-02,1,2,3\n", "4 cells in line 2, where the header has 2"),
        ("Open,Close\n1,2\n", "no date column; the columns are 'Open', 'Close'"),
        ("Date,Adj Close\n2020-01-02,2\n", "no close column(.|\n)*Adj Close cannot replace close"),
        ("Date,Close,close\n2020-01-02,2,3\n", "2 columns called 'Close'"),
        ("<html><body>Too Many Requests</body></html>", "no date column"),
        ("Date,Close\n", "without any row"),
        (",,\n,,\n", "empty lines"),
        ("", "an empty file"),
        ("Date,Close\n2020-01-02,é\n".encode("latin-1"), "UnicodeDecodeError"),
        ("Date,Close\n2020-01-02,1\n".encode("utf-16"), "UnicodeDecodeError"),
        (b"PAR1\x00\xff\xfe\x80", "UnicodeDecodeError"),
        ('Date,Close\n"2020-01-02,1\n', "unexpected end of data"),
    ],
)
def test_says_what_is_wrong_and_where(read: Callable[..., pd.DataFrame], content: str | bytes, message: str) -> None:
    """Whatever is no price table is refused by naming the cell, the columns or the reader's complaint."""
    with pytest.raises(UnreadablePrices, match=message):
        read(content)


@pytest.mark.parametrize("name", ["NFLX.csv", "nflx.csv", "NFLX.parquet", "nflx.parquet", "NFLX.CSV", "Nflx.Parquet"])
def test_finds_the_ticker_in_a_folder(tmp_path: Path, name: str) -> None:
    """A folder holds one file per ticker, in capitals or not, CSV or Parquet."""
    frame = pd.DataFrame({"Date": ["2020-01-02"], "Close": [1.5]})
    (frame.to_csv if name.lower().endswith("csv") else frame.to_parquet)(tmp_path / name, index=False)
    assert files.fetch("NFLX", None, LATE, path=tmp_path)["close"].tolist() == [1.5]


def test_a_folder_without_the_ticker_names_the_files_it_looked_for(tmp_path: Path) -> None:
    """An unknown ticker's message says where a file was expected."""
    with pytest.raises(UnknownTicker, match=f"{tmp_path}(.|\n)*ZZZ.csv or ZZZ.parquet, in capital or small letters"):
        files.fetch("ZZZ", None, LATE, path=tmp_path)


def test_hidden_files_beside_the_prices_are_passed_over(tmp_path: Path) -> None:
    """Finder writes ._M&M.NS.csv, which is no table."""
    (tmp_path / "._M&M.NS.csv").write_bytes(b"\x00\x05\x16\x07\xff")
    (tmp_path / "M&M.NS.csv").write_text("Date,Close\n2020-01-02,1.5\n")
    assert files.fetch("M&M.NS", None, LATE, path=tmp_path)["close"].tolist() == [1.5]


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is told with the setting to correct."""
    with pytest.raises(UnreadablePrices, match=r"missing\.csv(.|\n)*Set PRICES"):
        files.fetch("A", None, LATE, path=tmp_path / "missing.csv")


def test_a_path_that_the_system_refuses_is_no_crash(tmp_path: Path) -> None:
    """An OSError while looking, such as of a name too long, is told like any other."""
    with pytest.raises(UnreadablePrices, match=r"OSError: .*too long"):
        files.fetch("A", None, LATE, path=tmp_path / ("a" * 5000))


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root for a moment: root may read everything."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_a_locked_folder_is_told(mode: int) -> None:
    """A folder that may not be read or entered is an error with its path."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to everybody else
        Path(place).chmod(0o755)
        folder = Path(place, "locked")
        folder.mkdir()
        (folder / "A.csv").write_text("Date,Close\n2020-01-02,1\n")
        assert len(files.fetch("A", None, LATE, path=folder)) == 1
        if os.geteuid() == 0:
            os.chown(folder, 65534, -1)
        folder.chmod(mode)
        try:
            with as_nobody(), pytest.raises(UnreadablePrices, match=r"PermissionError: .*locked"):
                files.fetch("A", None, LATE, path=folder)
        finally:
            folder.chmod(0o700)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Prices come from inside the folder that was given."""
    (tmp_path / "elsewhere.csv").write_text("Date,Close\n2020-01-02,1\n")
    folder = tmp_path / "prices"
    folder.mkdir()
    (folder / "A.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(UnreadablePrices, match="leads out of the folder"):
        files.fetch("A", None, LATE, path=folder)


def test_parquet_of_yfinance_is_read_as_it_is_saved(tmp_path: Path) -> None:
    """Dates in a zoned index and tickers on a second level of columns are understood in Parquet, too."""
    index = pd.date_range("2020-03-06", periods=2, freq="B", tz="America/New_York", name="Date")  # offset changes
    columns = pd.MultiIndex.from_tuples([("Close", "LOW"), ("Close", "NFLX"), ("Volume", "NFLX")])
    frame = pd.DataFrame([[1.1, 2.2, 3], [0.1, np.nan, 4]], index, columns.set_names(["Price", "Ticker"]))
    frame.to_parquet(tmp_path / "all.parquet")
    prices = files.fetch("NFLX", None, LATE, path=tmp_path / "all.parquet")
    assert prices.index.tolist() == [pd.Timestamp("2020-03-06"), pd.Timestamp("2020-03-09")]
    np.testing.assert_array_equal(prices[["close", "volume"]], [[2.2, 3], [np.nan, 4]])


def test_what_a_fetch_returned_can_be_saved_and_read_again(tmp_path: Path, test_data: Path) -> None:
    """Our own frame, written as Parquet or as CSV, is read back bit for bit."""
    prices = files.fetch("NFLX", None, LATE, path=test_data)
    prices.to_parquet(tmp_path / "NFLX.parquet")
    pd.testing.assert_frame_equal(files.fetch("NFLX", None, LATE, path=tmp_path), prices)
    prices.to_csv(tmp_path / "NFLX.csv")
    pd.testing.assert_frame_equal(files.fetch("NFLX", None, LATE, path=tmp_path), prices)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"Close": [[1.0]], "Date": [b"x"]})])
def test_parquet_that_holds_no_prices_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    """A table without columns, or with lists and bytes in its cells, is no price table."""
    frame.to_parquet(tmp_path / "A.parquet")
    with pytest.raises(UnreadablePrices):
        files.fetch("A", None, LATE, path=tmp_path)


CELLS = st.one_of(
    st.sampled_from(
        ["Date", "Close", "Ticker", "Price", "NFLX.Close", "2020-01-02", "null", "$1,0", "1e999", '"', "\0"]
    ),
    st.text(max_size=6),
    st.floats().map(str),
    st.dates().map(str),
)
MANGLED = st.lists(st.lists(CELLS, max_size=5).map(",".join), max_size=8).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)


@given(content=st.one_of(st.binary(max_size=200), MANGLED, MANGLED.map(lambda text: b"Date,Close\n" + text)))
@example(b"\n\n")
@example(b"\0")
@settings(max_examples=50, deadline=None)
def test_no_bytes_make_a_csv_file_crash(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a CSV file holds, the result is a frame or a PipelineError."""
    path = tmp_path_factory.getbasetemp() / "mangled.csv"
    path.write_bytes(content)
    _fetch_or_refuse(path)


@given(at=st.integers(0, 10_000), put=st.binary(min_size=1, max_size=8), cut=st.sampled_from([False, True]))
@settings(max_examples=40, deadline=None)
def test_no_bytes_make_a_parquet_file_crash(
    tmp_path_factory: pytest.TempPathFactory, *, at: int, put: bytes, cut: bool
) -> None:
    """Whatever is overwritten or cut off in a Parquet file, the result is a frame or a PipelineError."""
    path = tmp_path_factory.getbasetemp() / "mangled.parquet"
    pd.DataFrame({"Date": ["2020-01-02", "2020-01-03"], "Close": [1.0, 2.0]}).to_parquet(path)
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] + put + (b"" if cut else whole[at + len(put) :]))
    _fetch_or_refuse(path)


def _fetch_or_refuse(path: Path) -> None:
    try:
        prices = files.fetch("NFLX", None, LATE, path=path)
    except PipelineError:
        return
    assert "close" in prices
    assert isinstance(prices.index, pd.DatetimeIndex)
