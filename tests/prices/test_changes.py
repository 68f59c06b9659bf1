"""The differences between two snapshots, on tiny frames and two real vintages of Netflix."""

import datetime as dt

import pandas as pd

from pipeline.prices.changes import changes
from pipeline.prices.sources import files

DAYS = pd.DatetimeIndex(["2025-11-17", "2025-11-18", "2025-11-19", "2025-11-20"], name="session")


def frame(closes, **columns):
    return pd.DataFrame(
        {"close": closes, "volume": [5.0, 6.0, 7.0, 8.0][: len(closes)], **columns}, DAYS[: len(closes)]
    )


def test_equal_snapshots_have_no_change():
    """A missing price equals a missing price."""
    assert changes(frame([1.0, 2.0, float("nan")]), frame([1.0, 2.0, float("nan")])) == []


def test_a_changed_close_is_named_with_both_prices():
    """In the words of a restatement; a session more is another change."""
    close, session = changes(frame([10.0, 11.0, 12.0]), frame([10.0, 11.5, 12.0, 13.0]))
    assert close == ("closes", "1 of 3 closes differs", ("2025-11-18: 11 -> 11.5",))
    assert session == ("sessions", "1 added: 2025-11-20", ())


def test_another_column_is_named_where_the_closes_agree():
    """A column that came or went, too; sessions that are gone."""
    then = frame([10.0, 11.0, 12.0], open=[9.0, 9.5, 9.6])
    now = frame([10.0, 11.0], splits=[0.0, 0.0])
    now.loc[now.index[0], "volume"] = 4.0
    assert changes(then, now) == [
        ("sessions", "1 gone: 2025-11-19", ()),
        ("open", "gone", ()),
        ("splits", "added", ()),
        ("volume", "1 of 2 sessions differs", ("2025-11-17: 5 -> 4",)),
    ]


def test_a_split_explains_every_column():
    """Only the factor is worth a line."""
    (change,) = changes(frame([10.0, 11.0, 12.0, 13.0]), frame([5.0, 5.5, 6.0, 6.5], volume=[10.0, 12.0, 14.0, 16.0]))
    assert "as a split 2:1 does" in change.words


def test_two_vintages_of_netflix_name_the_split(test_data):
    """Downloads of 2019 and of 2026, after 10:1; the second has dividend-adjusted style and no Adj Close."""
    until = dt.date(2019, 3, 22)
    then = files.fetch("NFLX", None, until, path=test_data / "restated" / "NFLX_asof_2019-03-22.csv")
    now = files.fetch("NFLX", None, until, path=test_data / "restated" / "NFLX_asof_2026-01-23_after_10for1.csv")
    found = {one.about: one.words for one in changes(then, now)}
    assert "split 10:1" in found["closes"]
