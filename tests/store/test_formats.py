"""Artefacts as bytes: equal content gives equal bytes, and every format reads its own bytes."""

import datetime as dt
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.store import formats


def test_equal_content_is_equal_bytes():
    """Hashes name contents: frames and arrays give the same bytes each time, and are read back unchanged."""
    frame = pd.DataFrame({"close": [1.5, 2.5]}, index=pd.DatetimeIndex(["2020-01-02", "2020-01-03"], name="session"))
    assert formats.frame_bytes(frame) == formats.frame_bytes(frame.copy())
    pd.testing.assert_frame_equal(formats.frame_of(formats.frame_bytes(frame)), frame, check_freq=False)
    arrays = formats.arrays_of(formats.arrays_bytes(x=np.arange(3), y=np.array([np.nan])))
    assert arrays["x"].tolist() == [0, 1, 2]
    assert np.isnan(arrays["y"]).all()


def test_rows_are_those_of_the_frame():
    """With every bit of a float, a date as a datetime, and a missing value as None."""
    day = dt.datetime(2025, 11, 24)  # noqa: DTZ001 - sessions have no time zone
    rows = [{"session": day, "close": 0.1 + 0.2, "note": "a"}, {"session": day, "close": None, "note": ""}]
    frame = pd.DataFrame(rows).astype({"session": "datetime64[s]", "close": "float64"})
    assert formats.rows_of(formats.frame_bytes(frame)) == rows


_THREADS = """
import os
import sys
from pathlib import Path
import pyarrow
from pipeline.prices.sources.file_table import read_table
from pipeline.store import formats

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
file = Path(sys.argv[1])
read_table(file)
frame = formats.frame_of(file.read_bytes())
formats.rows_of(formats.frame_bytes(frame))
formats.columns_of(formats.columns_bytes(close=frame["close"].to_numpy()))
print(before, threads())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc, which Linux has")
def test_parquet_is_read_without_threads_of_arrow(tmp_path):
    """A thread of Arrow that still runs at the end of a process may abort it."""
    days = pd.date_range("2000-01-03", periods=5000, name="date")
    pd.DataFrame(1.0, index=days, columns=["open", "high", "low", "close"]).to_parquet(tmp_path / "AAA.parquet")
    command = [sys.executable, "-c", _THREADS, str(tmp_path / "AAA.parquet")]
    before, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert after == before


def test_columns_keep_types_and_every_bit():
    """Integers, sessions and floats with a missing value; equal columns are equal bytes."""
    days = np.array(["2020-01-02", "2020-01-03"], "datetime64[ms]")
    columns = {"session": days, "close": np.array([0.1 + 0.2, np.nan]), "steps": np.array([-(2**63), 7])}
    data = formats.columns_bytes(**columns)
    assert data == formats.columns_bytes(**columns)
    read = formats.columns_of(data)
    assert {name: array.dtype for name, array in read.items()} == {name: one.dtype for name, one in columns.items()}
    assert all(read[name].tobytes() == array.tobytes() for name, array in columns.items())


def test_json_keeps_floats_to_the_last_digit():
    """A recipe read back gives the same forecasts; dates become text."""
    value = {"center": 0.1 + 0.2, "tiny": 5e-324, "day": dt.date(2025, 11, 21)}
    read = formats.json_of(formats.json_bytes(value))
    assert read == {"center": 0.30000000000000004, "tiny": 5e-324, "day": "2025-11-21"}


def test_arrays_never_execute_code():
    """An array of objects would need pickle and is refused."""
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.arrays_bytes(x=np.array([object()]))


def test_the_hash_is_sha256_in_hex():
    """As `sha256sum` prints it."""
    assert formats.sha256(b"closecast") == hashlib.sha256(b"closecast").hexdigest()
