"""The suite of expectations/prices.json, run by the real Great Expectations."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from pipeline.calendar import sessions
from pipeline.prices.clean import clean
from pipeline.prices.sources import files, sample
from pipeline.prices.suite import check
from pipeline.settings import load_settings

AS_OF = dt.date(2025, 11, 21)


@pytest.fixture(scope="module")
def prices():
    """Return 800 clean sessions."""
    return sample.fetch("AAA", None, AS_OF, calendar="XNYS").iloc[-800:]


def verdict(prices, min_sessions=350, as_of=AS_OF):
    """Check `prices` as the pipeline does."""
    trading = sessions("XNYS", prices.index.min().date() if len(prices) else as_of, as_of)
    return check(
        "AAA",
        prices,
        clean(prices, trading),
        load_settings().suite_path.read_bytes(),
        as_of=as_of,
        min_sessions=min_sessions,
        max_jump=0.5,
        sessions=trading,
    )


def changed(prices, rows, column, value):
    """Return a copy with some cells changed."""
    copy = prices.copy()
    copy.iloc[rows, copy.columns.get_loc(column)] = value
    return copy


def test_clean_prices_pass_every_rule(prices):
    """No finding, and a page that says so."""
    checked = verdict(prices)
    assert checked.findings == ()
    assert set(checked.offending.values()) == {0}
    assert len(checked.offending) == 27
    assert b"No findings by 27 rules on 800 sessions" in checked.page
    assert json.loads(checked.result)["success"] is True


def test_the_page_says_what_was_found_and_fetches_nothing(prices):
    """Rule, observed, limit, rows and what to do, on top of all rules; no address of another place."""
    checked = verdict(changed(on_holiday(prices), [5], "volume", 0.0))
    page = checked.page.decode()
    for finding in checked.findings:
        for words in (finding.rule, finding.observed, *finding.rows, finding.todo):
            assert str(escape(words)) in page
    assert "1 row(s) on days without trading" in page
    assert not re.search(r"https?://|src=|@import", page)
    assert json.loads(checked.result)["success"] is False


def calm(prices, closes):
    """Return a copy with new closes at its end, and the rest of each bar around them."""
    copy = prices.copy()
    for column, share in {"open": 1.0, "high": 1.01, "low": 0.99, "close": 1.0, "adj_close": 1.0}.items():
        copy.iloc[-len(closes) :, copy.columns.get_loc(column)] = [share * close for close in closes]
    return copy


def priceless(prices, rows):
    """Return a copy in which some rows have a volume only."""
    copy = prices.copy()
    copy.iloc[list(rows), : copy.columns.get_loc("volume")] = np.nan
    return copy


def on_holiday(prices):
    """Return a copy with a row on Christmas 2024."""
    row = prices.loc[["2024-12-24"]].set_axis(pd.DatetimeIndex(["2024-12-25"], name="session"))
    return pd.concat([prices, row]).sort_index()


# what is done to the prices, the rule that says so, its severity, the first of the rows that it names
BROKEN = {
    "a missing column": (lambda p: p.drop(columns="open"), "columns open, high, low, close, volume", "critical", None),
    "a null close": (lambda p: changed(p, [7], "close", None), "must have a close", "critical", 7),
    "a close of zero": (lambda p: changed(p, [9], "close", 0.0), "above 0", "critical", 9),
    "a negative close": (lambda p: changed(p, [9], "close", -1.0), "above 0", "critical", 9),
    "an infinite price": (lambda p: changed(p, [9], "high", np.inf), "finite", "critical", 9),
    "a session twice": (lambda p: pd.concat([p.iloc[:4], p.iloc[3:]]), "appear exactly once", "critical", 3),
    "out of order": (lambda p: p.iloc[[*range(5), 6, 5, *range(7, 800)]], "ascending", "critical", 5),
    "too few sessions": (lambda p: p.iloc[-349:], "long enough", "critical", None),
    "ends too early": (lambda p: p.iloc[:-1], "newest session must be AS_OF", "critical", None),
    "no price today": (lambda p: priceless(p, [-1]), "newest session must be AS_OF", "critical", None),
    "a hole this week": (lambda p: p.drop(p.index[-3]), "last 5 sessions", "critical", -3),
    "no price this week": (lambda p: priceless(p, [-5]), "last 5 sessions", "critical", -5),
    "nine missing of 800": (lambda p: p.drop(p.index[100:109]), "At most 1 %", "critical", None),
    "weekly prices": (lambda p: p.iloc[799::-5].iloc[::-1], "must be daily", "critical", None),
    "a high below the close, lately": (lambda p: changed(p, [-3], "high", 0.01), "last 250", "critical", -3),
    "many broken rows": (lambda p: changed(p, list(range(100)), "low", 1e9), "90 % of all", "critical", 90),
    "a few broken rows": (lambda p: changed(p, list(range(20)), "high", 0.01), "old sessions too", "warning", 10),
    "a hole last year": (lambda p: p.drop(p.index[300]), "Every session of the cal", "warning", 300),
    "eight missing of 800": (lambda p: priceless(p, range(100, 108)), "Every session of the cal", "warning", 100),
    "a row on a holiday": (on_holiday, "be a session of the calendar", "warning", None),
    "no volume": (lambda p: changed(p, [5], "volume", 0.0), "should have traded", "warning", 5),
    "half the price": (lambda p: calm(p, [p["close"].iloc[-2] * 0.5]), "without a split", "warning", -1),
    "five equal closes": (lambda p: calm(p, [p["close"].iloc[-6]] * 5), "equal in 5 sessions", "warning", -2),
    "half a week at half the price": (
        lambda p: calm(p, [*(p["close"].iloc[-6:-3] / 2), *p["close"].iloc[-3:]]),
        "and back",
        "critical",
        -6,
    ),
    "a partial bar": (lambda p: changed(p, [-1], "volume", 1.0), "near its usual size", "warning", -1),
    "an adjusted close too high": (lambda p: changed(p, [5], "adj_close", 1e6), "adjusted close", "warning", 5),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_names_itself_the_limit_and_the_rows(prices, name):
    """One fault, one rule, its rows, and what to do."""
    damage, words, severity, row = BROKEN[name]
    damaged = damage(prices)
    findings = verdict(damaged, min_sessions=100 if "weekly" in name else 350).findings
    finding = next(one for one in findings if words in one.rule)
    assert finding.severity == severity
    assert finding.observed
    assert finding.limit
    assert finding.todo
    assert len(finding.rows) <= 10
    assert "{" not in str(finding)
    if row is not None:
        assert str(prices.index[row].date()) == finding.rows[0]
    others = {"weekly prices": 3, "nine missing of 800": 1}  # what else such prices break
    assert len(findings) == 1 + others.get(name, 0)


@pytest.mark.parametrize(
    ("closes", "found"),
    [([1.0, 1.0, 1.0, 1.0], None), ([1.0] * 6, "2 repeats beyond the 4th, the last on 2025-11-21, the longest run 6")],
)
def test_a_run_of_equal_closes_counts_from_the_fifth(prices, closes, found):
    """Four in a row happen; the length of the longest run is told."""
    level = prices["close"].iloc[-len(closes) - 1] * 1.01
    findings = verdict(calm(prices, [level * close for close in closes])).findings
    assert [one.observed for one in findings] == ([found] if found else [])


def test_a_jump_that_the_reported_split_explains_is_critical(prices):
    """The source reports the split and has not adjusted the closes before it."""
    damaged = calm(prices, [prices["close"].iloc[-2] * 0.5])
    (finding,) = verdict(changed(damaged, [-1], "splits", 2.0)).findings
    assert finding.severity == "critical"
    assert "adjusted for reported splits" in finding.rule
    assert finding.rows == ("2025-11-21",)


@pytest.mark.parametrize("rows", [slice(-1, None), slice(-3, None), slice(400, 401), slice(400, None)])
def test_bars_in_another_unit_are_critical_at_the_end_and_in_the_middle(prices, rows):
    """Pounds for pence."""
    damaged = prices.copy()
    damaged.iloc[rows, :5] /= 100
    finding = next(one for one in verdict(damaged).findings if "one unit" in one.rule)
    assert finding.severity == "critical"
    assert str(prices.index[rows.start].date()) in finding.rows


def test_a_series_without_volume_has_one_finding_for_information(prices):
    """A currency or a fund: the rules about volume are skipped, which the page says."""
    for volume in (0.0, np.nan):
        checked = verdict(prices.assign(volume=volume))
        (finding,) = checked.findings
        assert (finding.severity, finding.rows) == ("info", ())
        assert "zero_volume and partial_bar are skipped" in finding.todo
        assert checked.page.decode().count("skipped: no row has the value") == 2


def test_a_missing_column_is_named_beside_the_columns_of_the_source(prices):
    """The 19 helper columns are ours."""
    (finding,) = verdict(prices[["high", "low", "close", "volume"]]).findings
    assert finding.observed == "no open; the columns are high, low, close, volume"


def test_the_longest_run_is_found_beyond_200_repeats(prices):
    """Great Expectations cuts its list of values at 200: a short run of 210 sessions comes before the long one."""
    calmed = prices.copy()
    bars = ["open", "high", "low", "close", "adj_close"]
    for start, stop in ((0, 240), (300, 580)):
        calmed.iloc[start:stop, :5] = calmed[bars].iloc[start]["close"]
    finding = next(one for one in verdict(calmed).findings if "equal in 5 sessions" in one.rule)
    assert "512 repeats" in finding.observed
    assert "the longest run 280" in finding.observed


def test_rows_that_change_every_night_are_a_lasting_state(prices):
    """Closes without trading are one message; each jump is another."""
    checked = verdict(changed(calm(prices, [prices["close"].iloc[-2] * 0.5]), [5], "volume", 0.0))
    assert {one.rule[:12]: one.lasting for one in checked.findings} == {"Every sessio": True, "A close shou": False}


def test_a_row_that_is_left_out_stops_nothing(prices):
    """A holiday row with broken prices, twice; and an empty row beside a priced one."""
    broken = on_holiday(prices)
    broken.loc["2024-12-25", ["open", "high", "low"]] = 0.0
    (finding,) = verdict(pd.concat([broken, broken.loc[["2024-12-25"]]]).sort_index()).findings
    assert (finding.severity, finding.observed[:30]) == ("warning", "2 on days without trading, the")
    empty = priceless(prices, [9]).iloc[[9]]
    twice = pd.concat([prices, empty]).sort_index(kind="stable")
    assert verdict(twice).findings == ()
    assert len(clean(twice, prices.index).without_price) == 1


def test_a_source_with_closes_only_is_refused(prices):
    """Columns of nulls are no prices."""
    (finding,) = verdict(prices.assign(open=np.nan, high=np.nan, low=np.nan)).findings
    assert finding.observed == "800 of 800 sessions lack one, the last on 2025-11-21"


def test_the_as_of_that_would_fit_is_named(prices):
    """The newest session there is."""
    (finding,) = verdict(prices.iloc[:-1]).findings
    assert "AS_OF=2025-11-20, which fits" in finding.todo
    assert finding.limit == "2025-11-21"


def test_have_and_need_are_named(prices):
    """349 rows where 350 are needed."""
    (finding,) = verdict(prices.iloc[-349:]).findings
    assert (finding.observed, finding.limit) == ("349 sessions", "at least 350 sessions")


def test_no_rows_at_all_is_a_verdict_too(prices):
    """One finding names the cause; no AS_OF would fit."""
    for rows in (prices.iloc[:0], priceless(prices, range(800))):
        (finding,) = verdict(rows).findings
        assert finding.severity == "critical"
        assert finding.rule == "At least one session must have a price"
        assert "AS_OF" not in str(finding)


def test_order_is_unknown_where_a_price_is_missing(prices):
    """A null open is no broken order."""
    assert verdict(changed(prices, [5], "open", None)).findings == ()


NULLS, ZEROS, EQUALS, EXTRA = (
    "Every session of the calendar should",
    "traded",
    "equal in 5 sessions",
    "row should be a session",
)
ORDER, JUMP, PARTIAL = "old sessions too", "jump without a split", "usual size"
# Broken orders of GM (2) and K (175) were roundings by 2.2e-16 of the price.
DIRTY = {  # file, as_of: what is found, by words of the rule, with words of what was observed
    ("yfinance_multiindex_header_NFLX", "2025-02-06"): {PARTIAL: "0.135"},
    ("yfinance_multiindex_header_NFLX", "2025-02-05"): {},
    ("nasdaq_com_style_desc_TSLA", "2022-09-27"): {},
    ("quantmod_prefixed_header_NFLX", "2023-10-27"): {JUMP: "1 jump(s), the last on 2004-10-15"},
    ("lowercase_columns_zero_volume_AMCR", "2023-06-29"): {
        ZEROS: "232 zero", EXTRA: "2 on days without trading", EQUALS: "longest run 19",
    },
    ("zero_volume_FICO", "2020-12-11"): {
        ZEROS: "549 zero volumes, the last on 1995-11-24", ORDER: "665 broken, the last on 1991-11-08", EQUALS: "",
    },
    ("null_row_AAPL", "2020-12-11"): {
        NULLS: "1 without, the last on 1981-08-10", JUMP: "1 jump(s), the last on 2000-09-29",
    },
    ("null_rows_BRC", "2020-12-11"): {NULLS: "35 without", ZEROS: "385 zero", EQUALS: ""},
    ("nan_prices_recent_day_GM", "2026-07-24"): {"newest session must be AS_OF": "2026-07-23"},
    ("nan_prices_recent_day_GM", "2026-07-27"): {
        "last 5 sessions": "1 without, the last on 2026-07-24",
    },
    ("missing_day_FISV", "2026-07-23"): {
        NULLS: "1 without, the last on 2025-11-12", JUMP: "1 jump(s), the last on 2025-10-29",
    },
    ("extra_holiday_rows_NFLX", "2023-06-29"): {EXTRA: "2 on days without trading"},
    ("duplicate_date_VIV", "2020-12-11"): {"appear exactly once": "2 rows", "long enough": "1 sessions"},
    ("zscored_not_prices_NFLX", "2024-12-31"): {
        "above 0": "388 closes not above 0", EXTRA: "29", ZEROS: "383", JUMP: "2 jump(s)", PARTIAL: "-",
    },
    ("delisted_K_trailing_empty", "2026-01-23"): {
        "newest session must be AS_OF": "2025-12-10", "At most 1 %": "13336", NULLS: "158 without",
        ZEROS: "37", EQUALS: "longest run 7",
    },
}  # fmt: skip
CRITICAL = (
    "newest session must be AS_OF",
    "last 5 sessions",
    "appear exactly once",
    "long enough",
    "above 0",
    "At most 1 %",
)


@pytest.mark.parametrize(("file", "as_of"), DIRTY, ids=lambda value: value[:18])
def test_real_dirty_files_get_their_verdict(test_data, file, as_of):
    """Every finding and no other; counts checked by hand against exchange_calendars from 1960."""
    day = dt.date.fromisoformat(as_of)
    ticker = "K" if file.startswith("delisted") else file.rpartition("_")[2]
    prices = files.fetch(ticker, None, day, path=test_data / "dirty" / f"{file}.csv")
    findings = list(verdict(prices, as_of=day).findings)
    for words, observed in DIRTY[file, as_of].items():
        (found,) = (one for one in findings if words in one.rule)
        assert observed in found.observed
        assert found.severity == (
            "critical" if words in CRITICAL or words == "newest session must be AS_OF" else "warning"
        )
        findings.remove(found)
    assert findings == []


def test_extra_sessions_are_named(test_data):
    """The rows on market holidays, by their dates."""
    path = test_data / "dirty" / "extra_holiday_rows_NFLX.csv"
    (finding,) = verdict(
        files.fetch("NFLX", None, dt.date(2023, 6, 29), path=path), as_of=dt.date(2023, 6, 29)
    ).findings
    assert finding.rows == ("2022-06-20", "2023-06-19")


def test_no_file_of_the_panel_breaks_a_rule(test_data):
    """Clean real prices: no false alarm among five of sixty."""
    for ticker in ("AAPL", "GM", "MSFT", "XOM", "WHR"):
        prices = files.fetch(ticker, None, dt.date(2020, 12, 11), path=test_data / "panel")
        assert verdict(prices, as_of=dt.date(2020, 12, 11)).findings == ()


def test_opens_of_zero_in_old_sessions_are_named_with_the_start_that_leaves_them_out(prices):
    """As in the old history of an index: another source would have none either."""
    broken = changed(prices, slice(0, 300), "open", 0.0)
    (finding,) = [one for one in verdict(broken).findings if one.severity == "critical"]
    assert finding.name == "order_most"
    assert "a price is 0 in 300 of them" in finding.observed
    assert finding.todo.startswith(f"Set START={prices.index[300].date()}, which leaves 500 sessions. Or: ")


def test_a_start_is_advised_only_if_enough_sessions_follow(prices):
    """Rows that break a rule in the newest sessions, or too few after them, need another source."""
    for rows in (slice(0, 600), slice(700, 800)):
        found = verdict(changed(prices, rows, "open", 0.0)).findings
        assert not [one for one in found if "Set START=" in one.todo]
    (finding,) = [one for one in verdict(changed(prices, [100], "close", -1.0)).findings if one.severity == "critical"]
    assert finding.todo.startswith(f"Set START={prices.index[101].date()}, which leaves 699 sessions. Or: ")
    assert "a price is 0" not in finding.observed
