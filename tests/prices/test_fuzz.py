"""Any file ends in a verdict or a reading error, never in a traceback, and no critical fault passes.

CLOSECAST_FUZZ=10000 tries as many files; each takes about a quarter of a second, most of it in Great Expectations.
"""

import dataclasses
import datetime as dt
import os
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.calendar import sessions
from pipeline.cli.preflight import check
from pipeline.errors import DataError
from pipeline.prices import archive
from pipeline.prices.pieces import rows_sha256
from pipeline.prices.snapshot import SnapshotRecord
from pipeline.prices.sources import sample
from pipeline.settings import load_settings
from pipeline.steps import FLOW, Unit
from pipeline.steps.ingest import ingest
from pipeline.steps.validate import validate
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_of

AS_OF = dt.date(2025, 11, 21)
COLUMNS = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]
CELLS = st.sampled_from(
    [
        "",
        "null",
        "NaN",
        "inf",
        "-inf",
        "0",
        "-3.5",
        "1e308",
        "1e-320",
        "1e999",
        "abc",
        "\uff11\uff12",
        "12,5",
        "$3.10",
        "ø",
        "2025-11-21",
    ]
)
HEADERS = st.sampled_from(["Dato", "Clôture", "开盘", "Close ", "close", "Close", "", "Volume", "⚡", "Open"])


def table():
    """Return twelve sessions as text, as Yahoo writes them."""
    prices = sample.fetch("AAA", None, AS_OF, calendar="XNYS").iloc[-12:]
    text = prices[["open", "high", "low", "close", "adj_close", "volume"]].astype("object").map(repr)
    text.insert(0, "Date", [str(day.date()) for day in prices.index])
    return text.set_axis(COLUMNS, axis="columns").reset_index(drop=True)


CLEAN = table()
ROW, COLUMN = st.integers(0, 11), st.integers(0, 6)
DAYS = st.sampled_from(["2025-11-16", "2025-11-15", "2025-11-27", "-2025-11-05", "99999-01-01", "2025-02-30"])
DAMAGE = st.one_of(
    st.tuples(st.just("cell"), st.tuples(ROW, COLUMN), CELLS),
    st.tuples(st.just("swap"), ROW, ROW),
    st.tuples(st.just("again"), ROW, st.integers(1, 3)),
    st.tuples(st.just("drop"), ROW, st.integers(1, 9)),
    st.tuples(st.just("scale"), COLUMN, st.sampled_from([1e-9, -1.0, 1e300, 0.0])),
    st.tuples(st.just("header"), COLUMN, HEADERS),
    st.tuples(st.just("lose"), COLUMN, st.none()),
    st.tuples(st.just("empty"), st.none(), st.none()),
    st.tuples(st.just("holiday"), ROW, DAYS),
)


def scaled(cell, factor):
    """Return a number times `factor` as text, and "x" for a date."""
    try:
        return repr(float(cell) * factor)
    except ValueError:
        return "x"


# Each takes the header and the rows (at least one), and two values that it may use.
HITS = {
    "cell": lambda _, rows, at, what: rows[at[0] % len(rows)].__setitem__(at[1], what),
    "swap": lambda _, rows, one, two: rows.insert(two % len(rows), rows.pop(one % len(rows))),
    "again": lambda _, rows, one, times: rows.extend(list(rows[one % len(rows)]) for _ in range(times)),
    "drop": lambda _, rows, one, two: rows.__delitem__(slice(one % len(rows), one % len(rows) + two)),
    "scale": lambda _, rows, column, by: [row.__setitem__(column, scaled(row[column], by)) for row in rows],
    "header": lambda header, _, column, name: header.__setitem__(column, name),
    "lose": lambda header, rows, column, _: [line.__setitem__(column, "") for line in (header, *rows)],
    "empty": lambda _, rows, __, ___: rows.clear(),
    "holiday": lambda _, rows, one, day: rows[one % len(rows)].__setitem__(0, day),
}


def damaged(hits):
    """Return the table after some hits, as CSV."""
    header, rows = list(COLUMNS), [list(row) for row in CLEAN.to_numpy()]
    for kind, one, two in hits:
        if rows:
            HITS[kind](header, rows, one, two)
    return "\n".join(",".join(f'"{cell}"' for cell in row) for row in [header, *rows])


STEPS = {step.name: step for step in FLOW}
KINDS = (
    "columns",
    "close not above 0",
    "incomplete",
    "no close or an infinite price",
    "order",
    "too short",
    "twice",
    "holes",
    "stale",
)


def breaks(raw, trading):
    """Return the critical rules that `raw` breaks, found by slow and obvious loops over its rows."""
    if {"open", "high", "low", "close", "volume"} - set(raw.columns):
        return {"columns"}
    broken, rows = set(), []
    for day, row in raw.iterrows():
        values = [row["open"], row["high"], row["low"], row["close"]]
        if row["close"] <= 0:
            broken.add("close not above 0")
        if day in trading and not all(np.isnan(value) for value in values):
            rows.append((day, row, values))
    incomplete = [values for _, _, values in rows if any(np.isnan(value) for value in values)]
    if len(incomplete) > 0.1 * len(rows):
        broken.add("incomplete")
    for _, row, values in rows:
        if np.isnan(row["close"]) or any(np.isinf(value) for value in values):
            broken.add("no close or an infinite price")
        if row["low"] > min(row["open"], row["close"]) or max(row["open"], row["close"]) > row["high"]:
            broken.add("order")
    return broken | gaps([day for day, _, _ in rows], trading)


def gaps(days, trading):
    """Return what is wrong with the days on which there are prices."""
    if len(set(days)) < 5:
        return {"too short"}
    spanned = [day for day in trading if min(days) <= day <= max(days)]
    wrong = {"twice": len(set(days)) < len(days), "holes": len(set(days)) < 0.99 * len(spanned)}
    wrong["stale"] = max(days).date() != AS_OF
    return {name for name, is_so in wrong.items() if is_so}


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    """Return a unit whose prices are one file, and that file."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("fuzz")
        file = home / "X.csv"
        file.write_text("")
        patch.setenv("CLOSECAST_VAR", str(home / "var"))
        patch.setenv("CLOSECAST_PRESETS__DAILY__LOOKBACK", "3")
        given_settings = load_settings(tickers=("X",), source="files", prices=file, as_of=AS_OF, min_history=2)
        plan = check(given_settings)
        folder = Folder(f"{home}/unit")
        yield Unit("X", plan, folder, given_settings, registry=None, step=STEPS["ingest"], before=()), file


@settings(max_examples=int(os.environ.get("CLOSECAST_FUZZ", "25")), deadline=None)
@given(hits=st.lists(DAMAGE, min_size=0, max_size=4))
@example(hits=[])
@example(hits=[("cell", (3, 5), "")])  # an empty adjusted close passes
@example(hits=[("cell", (3, 4), "abc")])  # no number: a reading error
@example(hits=[("lose", 6, None)])
@example(hits=[("cell", (3, 4), "-3.5")])
@example(hits=[("cell", (3, 4), "")])
@example(hits=[("cell", (3, 3), ""), ("cell", (5, 3), "")])
@example(hits=[("scale", 3, 1e300)])
@example(hits=[("again", 3, 1)])
@example(hits=[("drop", 4, 1)])
@example(hits=[("drop", 0, 9)])
@example(hits=[("drop", 10, 2)])
def judge(unit, verdicts, hits):
    """Send a damaged file through the real steps, compare the verdict with slow loops, and count both in `verdicts`."""
    one, file = unit
    file.write_text(damaged(hits), encoding="utf-8")
    try:
        taken = ingest(one)
    except DataError:
        verdicts["reading error"] += 1
        return
    for path, data in taken.shared.items():
        Folder(one.store_url).keep(path, data)
    record = SnapshotRecord.from_json(taken.files["snapshot.json"])
    raw = archive.load(one.store_url, one.ticker, record.name).prices
    assert rows_sha256(raw) == record.sha256
    judged = dataclasses.replace(one, step=STEPS["validate"], before=("ingest",))
    vars(judged)["raw"] = raw  # the unit has no manifest that names the snapshot
    outcome = validate(judged)
    broken = breaks(raw, set(sessions("XNYS", raw.index[0].date(), AS_OF)))
    assert outcome.failed == bool(broken), (broken, outcome.findings)
    assert outcome.failed == ("validated.parquet" not in outcome.files)
    verdicts.update(broken)
    verdicts["refused" if broken else "passed"] += 1
    if not outcome.failed:
        validated = frame_of(outcome.files["validated.parquet"])
        assert (validated["close"] > 0).all()
        assert validated.index.is_unique
        assert pd.Series(validated.index).is_monotonic_increasing


def test_a_verdict_or_a_reading_error_and_nothing_critical_gets_through(unit):
    """The verdict agrees with slow loops over the rows; enough files reach one, and each kind of fault occurs."""
    verdicts = Counter()
    judge(unit, verdicts)
    files = verdicts["reading error"] + verdicts["refused"] + verdicts["passed"]
    assert verdicts["refused"] + verdicts["passed"] > 0.2 * files, verdicts
    assert verdicts["passed"] >= 2, verdicts
    assert verdicts["reading error"] > 0.1 * files, verdicts
    assert all(verdicts[kind] for kind in KINDS), verdicts
