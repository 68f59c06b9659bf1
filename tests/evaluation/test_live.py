"""Served forecasts beside the closes that came, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.live import decayed, score, summary, with_rival

SESSIONS = pd.to_datetime(["2025-11-17", "2025-11-18", "2025-11-19", "2025-11-20", "2025-11-21"])
CLOSES = pd.Series([100.0, 102.0, 101.0, 103.0, 104.0], index=SESSIONS)


def row(session, forecast, last, *, created=0, version=1, half=1.0, anchor=("2025-11-17", 100.0)):
    """Return one row of the ledger; its 80 % interval is `half` to each side, its 95 % interval twice that."""
    return {
        "session": pd.Timestamp(session), "as_of": SESSIONS[session > SESSIONS][-1],
        "created": pd.Timestamp("2025-11-17", tz="UTC") + pd.Timedelta(created, "h"),
        "version": version, "last_close": last, "forecast": forecast,
        "low_80": forecast - half, "high_80": forecast + half,
        "low_95": forecast - 2 * half, "high_95": forecast + 2 * half,
        "anchor_session": pd.Timestamp(anchor[0]), "anchor_close": anchor[1],
    }  # fmt: skip


LEDGER = pd.DataFrame(
    [
        row("2025-11-18", 100.5, 100.0),  # came 102: error -1.5, inside 95 % only
        row("2025-11-19", 102.5, 102.0),  # came 101: error 1.5
        row("2025-11-20", 102.0, 101.0),  # came 103: error -1
        row("2025-11-24", 105.0, 104.0),  # is still to come
    ]
)


def test_each_forecast_beside_its_close():
    """The one still to come is left out."""
    scored = score(LEDGER, CLOSES)
    assert scored["error"].tolist() == [-1.5, 1.5, -1.0]
    assert scored["inside_80"].tolist() == [False, False, True]
    assert scored["inside_95"].tolist() == [True, True, True]
    assert scored["ago"].tolist() == [3, 2, 1]


def test_the_last_sessions_in_figures():
    """Sessions are counted, not rows: of the last 3, two have a forecast that was scored."""
    live = summary(score(LEDGER, CLOSES), 3)
    assert live.rows == 2
    assert live.rmse == pytest.approx(math.sqrt((1.5**2 + 1) / 2))
    assert live.naive_rmse == pytest.approx(math.sqrt((1 + 4) / 2))
    assert live.skill == pytest.approx(1 - live.rmse / live.naive_rmse)
    assert (live.coverage_80, live.coverage_95) == (0.5, 1.0)
    assert summary(score(LEDGER, CLOSES), 1) is None


def test_a_split_since_the_forecast_is_no_error():
    """Ten new shares for one: every dollar of the row is a tenth, and the error too."""
    scored = score(LEDGER, CLOSES / 10)
    assert scored["error"].tolist() == pytest.approx([-0.15, 0.15, -0.1])
    assert scored["low_95"].tolist() == pytest.approx([9.85, 10.05, 10.0])
    assert scored["factor"].tolist() == pytest.approx([0.1] * 3)
    skills = [summary(score(LEDGER, closes), 20).skill for closes in (CLOSES, CLOSES / 10)]
    assert skills[0] == pytest.approx(skills[1])


def test_a_split_whose_history_came_a_night_late_is_no_error():
    """The forecast was made in new dollars beside an anchor in old ones, which is restated when it is scored."""
    late = pd.DataFrame([row("2025-11-21", 10.35, 10.3, anchor=("2025-11-17", 100.0))])
    scored = score(late, CLOSES / 10)
    assert scored["factor"].tolist() == pytest.approx([1.0])
    assert scored["error"].tolist() == pytest.approx([-0.05])


def test_a_corrected_last_close_restates_nothing():
    """The forecast was made from the wrong close, and answers for it: a cent, or a tenth of the price by a slip."""
    for wrong in (102.9, 10.3, 1030.0):
        scored = score(pd.DataFrame([row("2025-11-21", wrong + 0.5, wrong)]), CLOSES)
        assert scored["error"].tolist() == pytest.approx([wrong + 0.5 - 104])


@pytest.mark.parametrize(
    ("correction", "factor"),
    [
        (1.1, 0.1),  # log 0.095: a corrected close, the anchor decides
        (1.2, 0.1),  # log 0.182: the same
        (1.25, 0.125),  # log 0.223: other dollars, and the close was restated by less than the anchor
        (0.85, 0.1),  # log -0.163: a corrected close
        (0.8, 0.1),  # log -0.223: other dollars, and the anchor was restated by less
    ],
)
def test_a_close_that_was_corrected_after_a_split_is_judged_by_the_distance_of_both_factors(correction, factor):
    """The split multiplies by 0.1, the correction the last close alone: their distance chooses, not their sizes."""
    made = pd.DataFrame([row("2025-11-21", 104.5, 103.0)])
    closes = CLOSES / 10
    closes["2025-11-20"] *= correction
    assert score(made, closes)["factor"].tolist() == pytest.approx([factor])


def test_a_history_that_no_longer_has_the_anchor_is_judged_by_the_last_close():
    """One that has neither is taken as it is."""
    assert score(LEDGER, CLOSES.iloc[1:])["factor"].tolist() == [1.0] * 3
    assert score(LEDGER, CLOSES.iloc[1:] / 10)["factor"].tolist() == pytest.approx([1.0, 0.1, 0.1])


def test_the_first_forecast_of_a_session_counts():
    """A run that is repeated when the close is known does not improve the record."""
    again = row("2025-11-18", 102.0, 100.0, created=48, version=2)
    scored = score(pd.concat([pd.DataFrame([again]), LEDGER]), CLOSES)
    assert scored["version"].tolist() == [1, 1, 1]
    assert scored["error"].tolist() == [-1.5, 1.5, -1.0]


def test_no_forecasts_and_no_moves():
    """Nothing to say, and no division by 0."""
    assert score(LEDGER.iloc[:0], CLOSES).empty
    assert summary(score(LEDGER.iloc[:0], CLOSES), 20) is None
    still = pd.Series(100.0, index=SESSIONS)
    flat = pd.DataFrame([row("2025-11-18", 100.0, 100.0)])
    assert math.isnan(summary(score(flat, still), 20).skill)


def test_intervals_are_scored_beside_a_rival():
    """Width 4 around each forecast, all closes inside; the rival is twice as wide and has no row for the first."""
    scored = score(LEDGER, CLOSES)
    assert scored["interval_score_95_pct"].tolist() == pytest.approx([4.0, 100 * 4 / 102, 100 * 4 / 101])
    alone = summary(scored, 20)
    assert alone.interval_score_95_pct == pytest.approx((4 + 400 / 102 + 400 / 101) / 3)
    assert math.isnan(alone.interval_skill_95)
    known = SESSIONS[2:].to_numpy()
    beside = with_rival(scored, known, np.full(3, 98.0), np.full(3, 106.0))
    assert beside["rival_score_95_pct"].tolist() == pytest.approx([math.nan, 800 / 102, 800 / 101], nan_ok=True)
    assert summary(beside, 20).interval_skill_95 == pytest.approx(0.5)
    assert math.isnan(summary(with_rival(scored, known[:0], np.array([]), np.array([])), 20).interval_skill_95)


def test_a_close_outside_pays_forty_times_its_distance():
    """2 / (1 - 95 %), in per cent of the close before; the same after a split."""
    missed = pd.DataFrame([row("2025-11-18", 98.0, 100.0)])  # 96 to 100, came 102
    for closes in (CLOSES, CLOSES / 10):
        assert score(missed, closes)["interval_score_95_pct"].tolist() == pytest.approx([4 + 40 * 2])


def test_decay_is_named_with_its_limit():
    """Skill, coverage, both or none; too few rows are no evidence."""
    live = summary(score(LEDGER, CLOSES), 20)
    limits = {"min_rows": 3, "min_skill": 0.99, "min_coverage": 0.5, "min_interval_skill": -0.25}
    (only,) = decayed(live, **limits)
    assert only.startswith(f"skill {live.skill:+.4f} over 3 served forecasts (limit: at least +0.9900")
    both = decayed(live._replace(coverage_95=0.4), **limits)
    assert both[1] == "40.0% of 3 closes inside their 95 % interval (limit: at least 50.0%)"
    wide = decayed(live._replace(interval_skill_95=-0.3), **limits)
    assert wide[1] == ("interval skill -0.300 against the EWMA of closes over 3 forecasts (limit: at least -0.250)")
    assert decayed(live, **limits | {"min_rows": 4}) == []
    assert decayed(live, **limits | {"min_skill": -1.0}) == []
    assert decayed(live._replace(skill=float("nan")), **limits) == []
    assert decayed(None, **limits) == []
