"""The suite of expectations/prices.json, run by the real Great Expectations."""

import datetime as dt

import pandas as pd
import pytest

from pipeline.calendar import sessions
from pipeline.settings import load_settings
from pipeline.sources import sample
from pipeline.validate import check, checked_frame

AS_OF = dt.date(2025, 11, 21)


@pytest.fixture(scope="module")
def prices():
    """Return 800 clean sessions."""
    return sample.fetch("AAA", None, AS_OF, calendar="XNYS").iloc[-800:]


def verdict(prices, min_sessions=350, as_of=AS_OF):
    """Check `prices` as the pipeline does."""
    first = prices.index[0].date() if len(prices) else as_of
    return check(
        prices,
        load_settings().suite_path.read_bytes(),
        as_of=as_of,
        min_sessions=min_sessions,
        sessions=sessions("XNYS", first, as_of),
    )


def changed(prices, rows, column, value):
    """Return a copy with some cells changed."""
    copy = prices.copy()
    copy.iloc[rows, copy.columns.get_loc(column)] = value
    return copy


def test_clean_prices_pass_every_rule(prices):
    """No finding, and a page that says so."""
    checked = verdict(prices)
    assert (checked.failed, checked.findings) == (0, ())
    assert checked.rules == 10
    assert "<html" in checked.page


BROKEN = {
    "a missing column": (lambda p: p.drop(columns="open"), "columns open, high, low, close, volume", None),
    "a null close": (lambda p: changed(p, [7], "close", None), "must have a close", 7),
    "a close of zero": (lambda p: changed(p, [9], "close", 0.0), "above 0", 9),
    "a negative close": (lambda p: changed(p, [9], "close", -1.0), "above 0", 9),
    "a session twice": (lambda p: pd.concat([p.iloc[:4], p.iloc[3:]]), "stand there once", 3),
    "rows out of order": (lambda p: p.iloc[[*range(5), 6, 5, *range(7, 800)]], "ascending", 6),
    "too few sessions": (lambda p: p.iloc[-349:], "long enough", None),
    "prices that end too early": (lambda p: p.iloc[:-1], "newest session must be AS_OF", None),
    "weekly prices": (lambda p: p.iloc[799::-5].iloc[::-1], "must be daily", None),
    "a high below the close, lately": (lambda p: changed(p, [-3], "high", 0.01), "last 250 sessions", -3),
    "many broken rows long ago": (lambda p: changed(p, list(range(100)), "low", 1e9), "90 % of all sessions", 0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_critical_rule_names_itself_the_limit_and_the_rows(prices, name):
    """One fault, one rule, its first row among those shown, and what to do."""
    damage, words, row = BROKEN[name]
    damaged = damage(prices)
    findings = verdict(damaged, min_sessions=100 if "weekly" in name else 350).findings
    finding = next(one for one in findings if words in one.rule)
    assert finding.severity == "critical"
    assert finding.observed
    assert finding.limit
    assert finding.todo
    assert len(finding.rows) <= 10
    if row is not None:
        assert str(damaged.index[row].date()) in finding.rows
    assert len(findings) == 1 or name == "weekly prices"


def test_the_as_of_that_would_fit_is_named(prices):
    """The newest session there is."""
    (finding,) = verdict(prices.iloc[:-1]).findings
    assert "AS_OF=2025-11-20 would fit" in finding.todo
    assert finding.limit == "2025-11-21"


def test_have_and_need_are_named(prices):
    """349 rows where 350 are needed."""
    (finding,) = verdict(prices.iloc[-349:]).findings
    assert (finding.observed, finding.limit) == ("349", "at least 350 sessions")


def test_no_rows_at_all_is_a_verdict_too(prices):
    """An empty frame is too short and not up to date."""
    assert {finding.severity for finding in verdict(prices.iloc[:0]).findings} == {"critical"}


def test_an_old_quirk_of_the_source_stops_nothing(prices):
    """A few broken highs more than 250 sessions ago are under 10 %."""
    assert verdict(changed(prices, list(range(20)), "high", 0.01)).findings == ()


def test_order_is_unknown_where_a_price_is_missing(prices):
    """A null open is no broken order."""
    frame = checked_frame(changed(prices, [5], "open", None), sessions("XNYS", prices.index[0].date(), AS_OF))
    assert frame["ordered"].isna().sum() == 1
