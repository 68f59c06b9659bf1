"""The archive of snapshots on a real folder: what each night adds, what it shares, and what is damaged."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import Damaged
from pipeline.prices import archive
from pipeline.prices.adjustment import factored
from pipeline.prices.pieces import rows_sha256, same_rows
from pipeline.prices.sources import files
from pipeline.store.folder import Folder


def write(store, prices, before=None):
    """Write a snapshot as the runner does, and return it as it is read."""
    made = archive.prepare(prices, before)
    for name, data in made.files.items():
        archive.folder(str(store), "AAA").keep(name, data)
    return archive.load(str(store), "AAA", made.name)


def names(store):
    """Return all files of the archive."""
    return {path.name for path in Path(store).rglob("*-*")}


def market(last, first="2022-11-01"):
    """Return prices of each weekday."""
    days = pd.bdate_range(first, last, name="session").as_unit("ms")
    closes = 100 + np.arange(len(days)) / 8
    columns = {"open": closes, "high": closes + 1, "low": closes - 1, "close": closes, "adj_close": closes}
    return pd.DataFrame({**columns, "volume": 1000.0}, index=pd.DatetimeIndex(days, freq=None))


def test_a_snapshot_is_read_as_it_was_written(tmp_path):
    """Columns, sessions, missing values and every bit, in one night and in the next."""
    prices = market("2025-03-12")
    prices.iloc[[3, -2], [0, 4]] = np.nan
    first = write(tmp_path, prices[:-1])
    assert same_rows(first.prices, prices[:-1])
    second = write(tmp_path, prices, first)
    pd.testing.assert_frame_equal(second.prices, prices, check_freq=False, check_exact=True)


def test_a_night_adds_one_small_file(tmp_path):
    """A row of today and the name of the night before; a corrected bar is written with it."""
    prices = market("2025-03-12")
    first = write(tmp_path, prices[:-2])
    assert len(names(tmp_path)) == 3 + 2 + 1 + 1 + 1  # years, months, history, factors, snapshot
    for then, now in (
        (-2, prices[:-1]),
        (-1, prices.assign(volume=prices["volume"].where(prices.index < "2025-03-11", 7))),
    ):
        made = archive.prepare(now, first)
        (name,) = made.files
        assert name == made.name
        assert len(made.files[name]) < 320
        first = write(tmp_path, now, first)
        assert same_rows(first.prices, now), then


def test_a_new_month_closes_the_one_before_and_a_new_year_its_year(tmp_path):
    """The older pieces stay the same files."""
    december = write(tmp_path, market("2024-12-31"))
    january = archive.prepare(market("2025-01-01"), december)
    assert {name.rpartition("-")[0] for name in january.files} == {"2024", "history", "snapshot"}
    assert same_rows(write(tmp_path, market("2025-01-01"), december).prices, market("2025-01-01"))


def test_a_dividend_writes_factors_only(tmp_path):
    """And no price again."""
    prices = market("2025-03-12")
    first = write(tmp_path, prices[:-1])
    paid = prices.assign(adj_close=np.where(prices.index < prices.index[-1], prices["close"] * 0.99, prices["close"]))
    made = archive.prepare(paid, first)
    assert {name.rpartition("-")[0] for name in made.files} == {"adjusted", "snapshot"}
    assert same_rows(write(tmp_path, paid, first).prices, paid)


def test_a_restated_past_writes_the_period_that_changed(tmp_path):
    """One volume of 2023, and another set of columns."""
    prices = market("2025-03-12")
    first = write(tmp_path, prices)
    restated = prices.copy()
    restated.loc["2023-06-01", "volume"] = 5
    made = archive.prepare(restated, first)
    assert {name.rpartition("-")[0] for name in made.files} == {"2023", "history", "snapshot"}
    assert same_rows(write(tmp_path, restated, first).prices, restated)
    bare = prices[["close"]]
    assert same_rows(write(tmp_path, bare, first).prices, bare)
    assert same_rows(archive.load(str(tmp_path), "AAA", first.name).prices, prices)


def test_equal_rows_are_the_same_files_and_nothing_is_written_twice(tmp_path):
    """Also of twenty writers at once."""
    prices = market("2025-03-12")
    with ThreadPoolExecutor(20) as pool:
        made = set(pool.map(lambda _: write(tmp_path, prices).name, range(20)))
    assert len(made) == 1
    before = {path: path.stat().st_mtime_ns for path in Path(tmp_path).rglob("*-*")}
    write(tmp_path, prices)
    assert {path: path.stat().st_mtime_ns for path in Path(tmp_path).rglob("*-*")} == before
    assert not list(Path(tmp_path).rglob(".*"))


def test_a_damaged_or_missing_file_is_named(tmp_path):
    """Each file that a snapshot needs: of its night, the night before, the history, a year, the factors."""
    prices = market("2025-03-12")
    first = write(tmp_path, prices[:-1])
    second = write(tmp_path, prices, first)
    needed = archive.files_of(str(tmp_path), "AAA", second.name)
    assert needed == names(tmp_path)
    for name in needed:
        path = Path(archive.folder(str(tmp_path), "AAA").path(name))
        good = path.read_bytes()
        path.write_bytes(good[:-1])
        with pytest.raises(Damaged, match=name):
            archive.load(str(tmp_path), "AAA", second.name)
        path.unlink()
        with pytest.raises(Damaged, match=f"{name} is missing"):
            archive.load(str(tmp_path), "AAA", second.name)
        path.write_bytes(good)


def test_a_damaged_file_is_written_again(tmp_path):
    """By the next writer of the same rows."""
    prices = market("2025-03-12")
    whole = write(tmp_path, prices)
    for name in archive.files_of(str(tmp_path), "AAA", whole.name):
        Folder(f"{tmp_path}/_snapshots/AAA").write(name, b"")
    assert same_rows(write(tmp_path, prices).prices, prices)


def test_250_nights_of_a_dividend_payer_need_less_than_twice_the_newest_snapshot(test_data):
    """Apple, 15 years, 250 nights: each as Yahoo would have sent it, with the dividends that were paid by then."""
    path = test_data / "restated" / "AAPL_asof_2020-12-11.csv"
    prices = files.fetch("AAPL", dt.date(2005, 12, 12), dt.date(2020, 12, 11), path=path)
    factor = factored(prices["close"].to_numpy(), prices["adj_close"].to_numpy()).factor
    store = "memory://250-nights"
    before = None
    for end in range(len(prices) - 249, len(prices) + 1):
        night = prices[:end].copy()
        since = factor[:end] == factor[end - 1]
        night["adj_close"] = np.where(since, night["close"], (night["adj_close"] / factor[end - 1]).round(6))
        before = write(store, night, before)
        assert rows_sha256(before.prices) == rows_sha256(night)
    alone = sum(map(len, archive.prepare(prices, None).files.values()))
    written = archive.folder(store, "AAA")
    total = sum(len(written.read(name)) for name in written.names())
    kinds = [name.partition("-")[0] for name in written.names()]
    assert (kinds.count("snapshot"), kinds.count("adjusted")) == (250, 5)
    assert total < 1.75 * alone
