"""Whether a price history was told anew, and whether with good reason."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.prices.restatement import Restatement, compare
from pipeline.prices.sources import files

LATE = dt.date(2030, 1, 1)
FIVE = [10.0, 11.0, 12.0, 13.0, 14.0]
JUMP = [80.0, 84.0, 82.0, 86.0, 88.0, 21.5, 22.0]  # 4:1 before the sixth session, history not yet restated
NAMES = {
    "AAPL 2019": "restated/AAPL_asof_2019-03-22",
    "AAPL 2020": "restated/AAPL_asof_2020-12-11",
    "AAPL 2023": "restated/AAPL_asof_2023-10-27",
    "NFLX 2019": "restated/NFLX_asof_2019-03-22",
    "NFLX 2023": "NFLX",
    "NFLX 2026": "restated/NFLX_asof_2026-01-23_after_10for1",
    "NFLX 2023, quantmod": "dirty/quantmod_prefixed_header_NFLX",
    "NFLX 2025": "dirty/yfinance_multiindex_header_NFLX",
    "GM 2026": "dirty/nan_prices_recent_day_GM",
}


@pytest.fixture(scope="session")
def real(test_data):
    """Return a function that reads a file of real prices by its name above, or a ticker of the panel."""
    cache = {}

    def read(name):
        if name not in cache:
            path = test_data / f"{NAMES.get(name, f'panel/{name}')}.csv"
            cache[name] = files.fetch(name.split()[0], None, LATE, path=path)
        return cache[name]

    return read


def frame(closes, start="2024-01-02", **columns):
    """Return prices on weekdays: 2024-01-02 is a Tuesday, the fourth row a Friday, the fifth Monday the 8th."""
    index = pd.bdate_range(start, periods=len(closes), name="session").astype("datetime64[s]")
    return pd.DataFrame({"close": closes} | columns, index=index, dtype="float64")


def dividend_adjusted(prices):
    """Return `prices` as a source gives them that takes dividends off the close itself."""
    return prices.assign(close=prices["adj_close"]).drop(columns="adj_close")


def altered(prices, row, factor):
    """Return `prices` with one close multiplied."""
    closes = prices["close"].to_numpy(copy=True)
    closes[row] *= factor
    return prices.assign(close=closes)


def days(rows):
    """Return the sessions that `rows` name."""
    return [row.partition(":")[0] for row in rows]


# ---- real files


@pytest.mark.parametrize(
    ("then", "now", "overlap"),
    [
        ("AAPL 2020", "AAPL 2023", 4310),
        ("AAPL 2023", "AAPL 2020", 4310),
        ("NFLX 2019", "NFLX 2023", 1314),
        ("NFLX 2023", "NFLX 2023, quantmod", 5033),
        ("NFLX 2023", "NFLX 2025", 184),
        ("NFLX 2019", "NFLX 2025", 0),
        ("AAPL 2020", "AAPL", 2016),
    ],
)
def test_other_downloads_of_the_same_prices_are_unchanged(real, then, now, overlap):
    """They differ in the seventh digit, and one has a row without prices."""
    found = compare(real(then), real(now))
    assert found[:3] == ("unchanged", 1.0, None)
    assert (found.rows, found.overlap) == ((), overlap)


@pytest.mark.parametrize(
    ("then", "now", "factor", "since", "split"),
    [
        ("AAPL 2019", "AAPL 2020", 0.25, "2019-03-25", "4:1"),
        ("AAPL 2020", "AAPL 2019", 4.0, "2019-03-23", "1:4"),  # the older file ends on a Friday
        ("NFLX 2019", "NFLX 2026", 0.1, "2019-03-25", "10:1"),
        ("NFLX 2023", "NFLX 2026", 0.1, "2023-10-30", "10:1"),
        ("NFLX 2026", "NFLX 2023", 10.0, "2023-10-28", "1:10"),
    ],
)
def test_a_split_after_the_last_snapshot_is_explained(real, then, now, factor, since, split):
    """The factor is exact although each price is rounded."""
    found = compare(real(then), real(now))
    assert found[:3] == ("explained", factor, dt.date.fromisoformat(since))
    assert found.reason == f"prices before {since} multiplied by {factor:g}, as a split {split} does"


def test_a_reported_split_gives_the_reason_and_the_date(real):
    """The row is in Netflix's own history; the files from the wild have no such column."""
    now = real("NFLX 2026").assign(splits=0.0)
    now.loc["2025-11-17", "splits"] = 10.0
    found = compare(real("NFLX 2023"), now)
    assert found[:4] == ("explained", 0.1, dt.date(2025, 11, 17), "split 10:1 on 2025-11-17")
    now.loc["2025-11-17", "splits"] = 5.0
    found = compare(real("NFLX 2023"), now)
    assert found.kind == "unexplained"
    assert found.reason == "prices before 2023-10-30 multiplied by 0.1, but split 5:1 on 2025-11-17 would make it 0.2"
    assert found.rows[0] == "2003-10-30: 4.165 -> 0.4165"


@pytest.mark.parametrize("factor", [1.001, 0.999, 1.01, 0.99, 1.5, 0.5])
@pytest.mark.parametrize("row", [0, 1, 2500, 5031, 5032])
@pytest.mark.parametrize("now", ["NFLX 2026", "NFLX 2023, quantmod"])
def test_one_altered_close_is_named_alone(real, now, row, factor):
    """Whether the rest was split or not, wherever it stands, from a tenth of a percent on."""
    then = real("NFLX 2023")
    session = then.index[row]
    prices = real(now)
    found = compare(then, altered(prices, prices.index.get_loc(session), factor))
    assert found.kind == "unexplained"
    assert math.isnan(found.factor)
    assert days(found.rows) == [f"{session:%Y-%m-%d}"]
    assert found.reason.startswith("1 of 5,033 closes differs")


@pytest.mark.parametrize(("then", "now"), [("AAPL 2020", "AAPL 2020"), ("AAPL 2023", "AAPL 2019")])
def test_a_tenth_of_a_percent_shows_in_the_lowest_price(real, then, now):
    """Apple's is 0.049 dollars."""
    row = int(np.nanargmin(real(now)["close"]))
    found = compare(real(then), altered(real(now), row, 1.001))
    assert days(found.rows) == [f"{real(now).index[row]:%Y-%m-%d}"]


def test_an_altered_cent_shows_at_seven_hundred_dollars(real):
    """The last digit that people see must count."""
    then = real("NFLX 2023")
    found = compare(then, altered(then, then.index.get_loc("2021-11-17"), 691.70 / 691.69))
    assert found.rows == ("2021-11-17: 691.69 -> 691.7",)


def test_a_bar_of_an_open_session_is_found(real):
    """The last row of this download was taken during the session."""
    found = compare(real("NFLX 2025"), real("NFLX 2026"))
    assert found.kind == "unexplained"
    assert found.rows == ("2025-02-06: 1008.155 -> 101.568, not 100.8155",)
    split = "prices before 2025-02-07 multiplied by 0.1, as a split 10:1 does"
    assert found.reason == f"1 of 503 closes differs, apart from this: {split}"


# ---- change of basis


@pytest.mark.parametrize(
    ("name", "since"), [("AAPL 2019", "2019-02-08"), ("AAPL 2020", "2020-11-06"), ("AAPL 2023", "2023-10-28")]
)
def test_dividend_adjusted_closes_are_recognised_by_adj_close(real, name, since):
    """`since` is Apple's last dividend in the file; the third file has a later one taken off, from 2023-11-10."""
    prices = real(name)
    to = compare(prices, dividend_adjusted(prices))
    back = compare(dividend_adjusted(prices), prices)
    assert to.kind == back.kind == "basis"
    assert to.since == back.since == dt.date.fromisoformat(since)
    assert to.reason == "change of basis: dividend-adjusted now, split-adjusted before"
    assert back.reason == "change of basis: split-adjusted now, dividend-adjusted before"
    assert math.isnan(to.factor)
    assert to.rows == back.rows == ()


def test_a_change_of_basis_across_a_split_names_both(real):
    """Yahoo's own adj_close does not help here: two dividends of 2014 were wrong in 2019 and right in 2020."""
    found = compare(dividend_adjusted(real("AAPL 2019")), real("AAPL 2020"))
    assert (found.kind, found.since) == ("basis", dt.date(2019, 3, 25))
    basis = "change of basis: split-adjusted now, dividend-adjusted before"
    assert found.reason == f"{basis}; prices before 2019-03-25 multiplied by 0.25, as a split 4:1 does"


def test_a_split_may_have_come_with_it(real):
    """All of Apple's adj_close of 2023 has a later dividend taken off, so that the last factor is 0.9987 / 4."""
    prices = real("AAPL 2023")
    now = dividend_adjusted(prices)
    found = compare(prices, now.assign(close=now["close"] / 4))
    assert (found.kind, found.since) == ("basis", dt.date(2023, 10, 28))
    assert found.reason.endswith(
        "split-adjusted before; prices before 2023-10-28 multiplied by 0.25, as a split 4:1 does"
    )


@pytest.mark.parametrize("ticker", ["O", "JCI", "CB", "FTI", "MSFT", "UNH", "XOM"])
def test_dividends_are_recognised_without_adj_close(real, ticker):
    """O pays monthly; JCI spun off an eighth of itself; UNH has dividends on two days in a row."""
    prices = real(ticker)
    plain = prices.drop(columns="adj_close")
    assert compare(plain, dividend_adjusted(prices)).kind == "basis"
    assert compare(dividend_adjusted(prices), plain).kind == "basis"


def test_dividends_after_the_overlap_leave_no_common_session(real):
    """GM as of 2020 against dividend-adjusted closes of 2026: the newest common session differs, too."""
    found = compare(real("GM"), real("GM 2026"))
    assert found.kind == "unexplained"
    latest = "the latest session in both was multiplied by 0.960471, too, which is no known split"
    assert found.reason == f"looks like a change of basis: dividend-adjusted now, split-adjusted before; but {latest}"
    found = compare(real("AAPL 2020"), dividend_adjusted(real("AAPL 2023")))  # most sessions precede all dividends
    assert "looks like a change of basis" in found.reason


def test_steps_must_stand_where_dividends_are_reported():
    """Two dividends of 1 % in ten sessions; a reported day without a price counts for the next one."""
    closes = np.linspace(50, 60, 10)
    now = frame(closes * np.repeat([0.9801, 0.99, 1.0], [3, 4, 3]))
    paid = np.zeros(10)
    paid[[3, 7]] = 0.5, 0.55
    assert compare(frame(closes, dividends=paid), now).kind == "basis"
    assert compare(frame(closes), now.assign(dividends=paid)).kind == "basis"
    assert compare(frame(closes, dividends=paid), now.assign(close=now["close"].where(paid == 0))).kind == "basis"
    assert compare(frame(closes, dividends=np.roll(paid, 1)), now).kind == "unexplained"
    assert compare(frame(closes, dividends=0.0), now).kind == "unexplained"
    assert compare(frame(closes, dividends=np.where(closes < 55, paid, 0)), now).kind == "unexplained"
    assert compare(frame(closes), now).kind == "unexplained"  # too little to go by
    assert compare(frame(closes, dividends=np.nan), now).kind == "unexplained"


def test_prices_that_drift_between_dividends_are_unexplained():
    """Each session's step is too small to see, all of them are not."""
    closes, paid = np.linspace(50, 60, 100), np.where(np.arange(100) == 90, 0.5, 0)
    steps = np.where(np.arange(100) < 90, 0.99, 1.0)
    then = frame(closes, dividends=paid)
    assert compare(then, frame(closes * steps)).kind == "basis"
    drift = np.exp(-4e-6 * np.maximum(89 - np.arange(100), 0))
    found = compare(then, frame(closes * steps * drift))
    assert found.kind == "unexplained"
    assert "closes differ, apart from this: change of basis: dividend-adjusted now" in found.reason


def test_an_empty_column_of_dividends_says_nothing(real):
    """Files have it where a table of several tickers was cut apart."""
    plain = real("MSFT").drop(columns="adj_close").assign(dividends=np.nan)
    assert compare(plain, dividend_adjusted(real("MSFT"))).kind == "basis"
    assert compare(plain.assign(dividends=0.0), dividend_adjusted(real("MSFT"))).kind == "unexplained"


@pytest.mark.parametrize("factor", [1.002, 0.998, 1.5])
@pytest.mark.parametrize("row", [0, 1000, 2015])
@pytest.mark.parametrize("adj_close", [True, False])
@pytest.mark.parametrize("adjusted_now", [True, False])
def test_one_altered_close_spoils_a_change_of_basis(real, adjusted_now, adj_close, row, factor):
    """It makes a step up and one down, or cuts off the first or last session alone."""
    plain = real("MSFT") if adj_close else real("MSFT").drop(columns="adj_close")
    then, now = plain, dividend_adjusted(real("MSFT"))
    if not adjusted_now:
        then, now = now, then
    assert compare(then, now).kind == "basis"
    assert compare(then, altered(now, row, factor)).kind == "unexplained"


@pytest.mark.parametrize("ticker", ["EA", "ETN", "FDX"])
def test_only_the_last_snapshot_proves_odd_steps(real, ticker):
    """One dividend in eight years; a step of 51 % at a spin-off; a dividend in the very last session."""
    prices = real(ticker)
    assert compare(prices, dividend_adjusted(prices)).kind == "basis"
    assert compare(dividend_adjusted(prices), prices).kind == "unexplained"  # today's adj_close says nothing of closes


# ---- splits by hand


def test_a_split_inside_the_overlap_divides_the_rows_before_it():
    """The source was late last night: five closes of then are four times too high, and its jump is gone now."""
    now = frame([20.0, 21.0, 20.5, 21.5, 22.0, 21.5, 22.0])
    reason = "prices before 2024-01-09 multiplied by 0.25, as a split 4:1 does"
    assert compare(frame(JUMP), now) == Restatement("explained", 0.25, dt.date(2024, 1, 9), reason, (), 7)
    found = compare(frame(JUMP), now.assign(splits=[0, 0, 0, 0, 0, 4.0, 0]))
    assert found == Restatement("explained", 0.25, dt.date(2024, 1, 9), "split 4:1 on 2024-01-09", (), 7)
    assert compare(frame(JUMP), now.assign(splits=[0, 0, 3.0, 0, 0, 4.0, 3.0])) == found  # the others were known then
    found = compare(frame(JUMP), now.assign(splits=[0, 0, 0, 4.0, 0, 2.0, 0]))
    assert found.kind == "unexplained"
    assert found.reason == (
        "prices before 2024-01-09 multiplied by 0.25, but split 2:1 on 2024-01-09 would make it 0.5"
    )


def test_a_split_that_tears_today_s_prices_apart_is_unexplained():
    """The other way round history was whole and is broken now: a source that divided twice."""
    smooth = frame([20.0, 21.0, 20.5, 21.5, 22.0, 21.5, 22.0])
    found = compare(smooth, frame([5.0, 5.25, 5.125, 5.375, 5.5, 21.5, 22.0]))
    assert found.kind == "unexplained"
    assert found.reason == "prices before 2024-01-09 multiplied by 0.25, which leaves a jump in today's prices"
    assert found.rows[0] == "2024-01-02: 20 -> 5"
    assert len(found.rows) == 5


def test_four_old_closes_are_no_split_unless_it_is_reported():
    """Too few to tell from mistakes."""
    then, now = frame(JUMP[1:]), frame([21.0, 20.5, 21.5, 22.0, 21.5, 22.0])
    assert days(compare(then, now).rows) == ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    assert compare(then, now.assign(splits=[0, 0, 0, 0, 4.0, 0])).kind == "explained"


@pytest.mark.parametrize(
    ("factor", "split"), [(8, "1:8"), (2 / 3, "3:2"), (1 / 7, "7:1"), (0.05, "20:1"), (0.8, "5:4"), (0.02, "50:1")]
)
def test_the_usual_ratios_need_no_confirmation(factor, split):
    """Whole numbers, their inverses, and a few small fractions; rounding to 4 decimals does not hide them."""
    found = compare(frame(FIVE), frame(np.round(np.array(FIVE) * factor, 4)))
    assert found[:3] == ("explained", pytest.approx(factor, rel=1e-12), dt.date(2024, 1, 9))
    assert found.reason.endswith(f"as a split {split} does")


@pytest.mark.parametrize("factor", [0.37, 0.01, 100, 0.9, 1 / 1.281])
def test_another_factor_is_no_split(factor):
    """Nor is the step between pence and pounds."""
    found = compare(frame(FIVE), frame(np.array(FIVE) * factor))
    assert found.kind == "unexplained"
    assert f"multiplied by {factor:.6g}, which is no split ratio, and no split is reported" in found.reason
    assert ("a dividend" in found.reason) == (factor == 0.9)
    assert len(found.rows) == 5


@pytest.mark.parametrize(
    ("reported", "factor", "reason"),
    [
        ([1.281], 1 / 1.281, "split 1.281:1 on 2024-01-09"),
        ([0.3333], 3, "split 1:3 on 2024-01-09"),
        ([1.05], 1 / 1.05, "split 1.05:1 on 2024-01-09"),
        ([2, 1.5], 1 / 3, "splits 2:1 on 2024-01-09 and 3:2 on 2024-01-10"),
        ([np.nan, 2], 0.5, "split 2:1 on 2024-01-10"),
    ],
)
def test_reported_splits_confirm_any_factor(reported, factor, reason):
    """As numbers of new shares per old one, after the last session of then."""
    closes = np.array([*FIVE, *[14.5] * len(reported)]) * factor
    now = frame(np.round(closes, 4), splits=[0] * 5 + reported)
    found = compare(frame(FIVE), pd.concat([now, now]).sort_index(kind="stable"))  # each row twice: one split
    assert (found.kind, found.reason) == ("explained", reason)
    assert found.factor == pytest.approx(factor, rel=1e-12)
    assert found.since is not None
    assert f"{found.since} " in f"{reason} "


def test_a_rounded_report_gives_the_exact_factor():
    """Neither 1 / 0.3333 nor what rounded prices say."""
    closes = np.array([10.0, 11.0, 13.0, 14.0, 16.0, 17.0])
    found = compare(frame(np.round(closes[:5] / 3, 4)), frame(closes, splits=[0, 0, 0, 0, 0, 0.3333]))
    assert (found.factor, found.reason) == (3.0, "split 1:3 on 2024-01-09")


def test_splits_at_other_times_neither_confirm_nor_contradict():
    """One before the overlap's end was in force then as now."""
    found = compare(frame(FIVE), frame(np.array(FIVE) / 2, splits=[0, 3.0, 0, 0, 0]))
    assert (found.kind, found.factor) == ("explained", 0.5)


# ---- the rest by hand


def test_no_common_session_is_unchanged():
    """There is nothing to compare."""
    expected = Restatement("unchanged", 1.0, None, "no session has a price in both", (), 0)
    assert compare(frame(FIVE), frame(FIVE, start="2025-01-02")) == expected
    assert compare(frame([]), frame(FIVE)) == compare(frame(FIVE), frame([])) == expected
    assert compare(pd.DataFrame(), frame(FIVE)) == compare(pd.DataFrame(), pd.DataFrame()) == expected
    assert compare(frame(FIVE).drop(columns="close").assign(open=1.0), frame(FIVE)) == expected
    assert compare(frame([np.nan, -1.0, 0.0, np.inf, -np.inf]), frame(FIVE)) == expected


def test_rows_without_a_price_and_repeated_sessions_do_not_count():
    """Of a repeated session the first row with a price does."""
    then = frame([10.0, np.nan, 12.0, 0.0, 14.0])
    now = frame(FIVE)
    again = pd.concat([now.iloc[:1] * np.nan, now, now.iloc[2:3] * 9]).sort_index(kind="stable")
    assert compare(then, again) == Restatement("unchanged", 1.0, None, "3 closes agree", (), 3)
    found = compare(then, again.assign(close=again["close"].where(again["close"] != 12.0, 12.1)))
    assert found.rows == ("2024-01-04: 12 -> 12.1",)


def test_resolutions_of_the_index_and_newer_sessions_do_not_matter():
    """Parquet gives other units than a source."""
    now = frame([*FIVE, 15.0])
    now.index = now.index.astype("datetime64[ns]")
    assert compare(frame(FIVE), now)[:3] == ("unchanged", 1.0, None)


def one_dividend(level, adj_close_error):
    """Return two snapshots of 60 sessions: then with `adj_close`, 3 % lower before a dividend, now with closes of it.

    Args:
        level: dollars.
        adj_close_error: dollars by which every second `adj_close` differs from the closes of now.
    """
    closes = level * (1 + 0.0011237 * np.arange(60))
    adjusted = np.where(np.arange(60) < 30, 0.97 * closes, closes).round(6)
    error = np.where(np.arange(60) % 2, adj_close_error, 0.0)
    then = frame(closes.round(6), adj_close=(adjusted + error).round(4))
    return then, frame(adjusted)


def test_an_adj_close_with_four_decimals_is_given_its_rounding():
    """Half a unit of the 4th decimal is 1e-4 of 50 cents; without that slack one step is no change of basis."""
    then, now = one_dividend(0.5, 0.0)
    assert np.abs(now["close"] / then["adj_close"] - 1).max() > 5e-5
    assert compare(then, now).kind == "basis"


def test_the_rounding_of_an_adj_close_is_a_share_of_its_price():
    """Half a unit of the 4th decimal is 2.5e-7 of 200 dollars: 2 cents beside the adj_close are another price."""
    assert compare(*one_dividend(200.0, 0.0)).kind == "basis"
    assert compare(*one_dividend(200.0, 0.02)).kind == "unexplained"


def test_a_factor_without_bounds_is_unexplained():
    """Not even where a dividend would account for a step."""
    found = compare(frame([1e-3, 1.0, 1.0]), frame([1e308, 1.0, 1.0], dividends=[0, 1, 0]))
    assert days(found.rows) == ["2024-01-02"]
    found = compare(frame([1.0, 1.0, 1e308]), frame([1.0, 1.0, 1e-16], dividends=[0, 0, 1]))
    assert days(found.rows) == ["2024-01-04"]


def test_noise_on_all_rows_is_unexplained():
    """The first ten are shown."""
    then = frame(np.linspace(50, 60, 40))
    found = compare(then, then * np.random.default_rng(0).uniform(0.99, 1.01, (40, 1)))
    assert (found.kind, found.since, found.reason) == ("unexplained", None, "40 of 40 closes differ")
    assert days(found.rows) == [f"{session:%Y-%m-%d}" for session in then.index[:10]]


def test_a_source_with_four_decimals_is_given_its_rounding():
    """A close of 0.8123 is 0.2031 after 4:1, 0.01 % off; one unit of the last decimal more is a difference."""
    closes = np.round(np.random.default_rng(1).uniform(0.5, 2, 300), 4)
    now = frame(np.round(closes / 4, 4))
    assert compare(frame(closes), now)[:2] == ("explained", 0.25)
    assert len(compare(frame(closes), altered(now, 7, 1.001)).rows) == 1


# ---- properties

PRICES = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40)
ANY = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -1.0, 1e-320, 1e308, 10.0, 5.0])


@given(PRICES)
def test_a_history_agrees_with_itself(closes):
    """Whatever it is."""
    assert compare(frame(closes), frame(closes))[:3] == ("unchanged", 1.0, None)


@given(PRICES, st.integers(2, 20))
def test_a_whole_number_is_a_split_in_either_direction(closes, shares):
    """Forth it is 1 / n, back it is n."""
    then, now = frame(closes), frame(np.array(closes) / shares)
    assert compare(then, now)[:2] == ("explained", pytest.approx(1 / shares, rel=1e-12))
    assert compare(now, then)[:2] == ("explained", pytest.approx(shares, rel=1e-12))


@given(
    st.lists(st.floats(1, 1e3), min_size=30, max_size=60),
    st.dictionaries(st.integers(0, 29), st.floats(0.002, 0.2), min_size=1, max_size=14),
    st.sampled_from([1, 2, 3, 10]),
)
def test_altered_rows_are_those_of_the_obvious_loop(closes, alterations, shares):
    """Any fourteen rows or fewer, each by another share, in a history that was split or not."""
    changed = np.array(closes) / shares
    for turn, (row, share) in enumerate(alterations.items()):
        changed[row] *= 1 + share * (-1) ** turn * (1 + turn / 100)
    then, now = frame(closes), frame(changed)
    found = compare(then, now)
    expected = []
    for session in then.index:
        old, new = then.loc[session, "close"], now.loc[session, "close"]
        if abs(new * shares / old - 1) > 1e-3 and len(expected) < 10:
            shown = "" if shares == 1 else f", not {old / shares:.8g}"
            expected.append(f"{session:%Y-%m-%d}: {old:.8g} -> {new:.8g}{shown}")
    assert found.kind == "unexplained"
    assert list(found.rows) == expected
    assert found.overlap == len(closes)


@st.composite
def frames(draw):
    """Draw a frame of any numbers: rows repeated, columns missing."""
    offsets = sorted(draw(st.lists(st.integers(0, 12), max_size=25)))
    names = draw(st.sets(st.sampled_from(["close", "adj_close", "dividends", "splits"])))
    index = pd.DatetimeIndex(pd.Timestamp("2024-01-01") + pd.to_timedelta(offsets, "D"), name="session")
    columns = {name: draw(st.lists(ANY, min_size=len(offsets), max_size=len(offsets))) for name in sorted(names)}
    return pd.DataFrame(columns, index=index, dtype="float64")


@given(frames(), frames())
@example(frame([1e308, 1e308]), frame([1e-320, 1e-320], splits=[1e-320, 1e-320]))
@example(frame([1e-320] * 6), frame([1e308] * 6, adj_close=[1e-320] * 6))
@example(frame([1.0] * 2), frame([2.0] * 4, splits=[0, 0, 1e-200, 1e-200]))
@pytest.mark.filterwarnings("error")
def test_no_frame_is_too_strange(then, now):
    """There is a verdict, and rows exactly if it is unexplained."""
    found = compare(then, now)
    assert (found.kind == "unexplained") == bool(found.rows)
    assert (found.since is None) == (found.kind in {"unchanged", "unexplained"})
    assert math.isnan(found.factor) == (found.kind in {"basis", "unexplained"})
    assert found.reason
