"""A session that no ticker has is a closure, and stops the tickers for one night only."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from pipeline.outcome import Finding
from pipeline.prices import suite
from pipeline.prices.clean import clean
from pipeline.prices.closures import closure_finding, closures, explain, recent_bars, without_absent
from pipeline.settings import load_settings
from tests.support.calendars import unaware_xnys

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (dt.date(2025, 11, day) for day in (17, 18, 19, 20))


def bars(*states):
    """Return the bars of four sessions: p has a price, e is empty, - is no row."""
    names = {"p": "price", "e": "empty", "-": "none"}
    return dict(zip((MONDAY, TUESDAY, WEDNESDAY, THURSDAY), (names[one] for one in states), strict=False))


@pytest.mark.parametrize(
    ("universe", "closed"),
    [
        (["pp-p", "pp-p"], [WEDNESDAY]),  # in the middle
        (["ppp-", "ppp-"], [THURSDAY]),  # on the night itself
        (["p--p", "p--p"], [TUESDAY, WEDNESDAY]),  # two in a row
        (["pp-p", "pp-p", "p---"], [WEDNESDAY]),  # the third was delisted before
        (["pp-p", "pppp"], []),  # one ticker has it
        (["pp-p", "pp-p", "ppep"], []),  # the source knows the session and has not completed it
        (["pp-p"], []),  # one ticker is no universe
        (["pp-p", "p--p"], []),  # one witness only
        (["--pp", "--pp"], []),  # before both were listed
        ([], []),
    ],
)
def test_a_session_that_no_ticker_has_is_a_closure(universe, closed):
    """Two tickers or more must have the session before the gap."""
    assert closures([bars(*one) for one in universe]) == tuple(closed)


def finding(name, severity="critical"):
    return Finding(rule="A rule", severity=severity, observed="a value", name=name)


@pytest.mark.parametrize(
    ("states", "names", "explained"),
    [
        ("pp-p", ["missing_recent"], True),
        ("ppp-", ["fresh"], False),  # THURSDAY is no closure
        ("p--p", ["missing_recent"], False),  # TUESDAY is missing for another reason
        ("pp-p", ["missing_recent", "order_recent"], False),
        ("pp-p", [], False),
    ],
)
def test_a_ticker_is_excused_only_if_closures_explain_all_that_stopped_it(states, names, explained):
    """Another broken rule or another missing session is news about the ticker."""
    findings = [*map(finding, names), finding("jump", "warning")]
    assert explain([WEDNESDAY], bars(*states), findings) is explained


def test_a_gap_long_ago_does_not_matter():
    """The suite stops a ticker for a gap among its last 5 sessions."""
    days = [dt.date(2025, 11, day) for day in (10, 11, 12, 13, 14, 17, 18, 19)]
    states = ["none", "price", "price", "price", "price", "price", "price", "none"]
    assert explain([days[-1]], dict(zip(days, states, strict=True)), [finding("fresh")])


def test_the_bars_are_those_of_the_last_twenty_sessions():
    """With a row without a price apart from no row."""
    sessions = pd.bdate_range("2025-01-01", "2025-11-20")
    raw = pd.DataFrame({"close": 1.0}, sessions[:-1])
    raw.loc["2025-11-18", "close"] = np.nan
    found = recent_bars(raw.drop(pd.Timestamp("2025-11-17")), sessions)
    assert len(found) == 20
    assert [found[day] for day in (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)] == ["none", "empty", "price", "none"]


def test_a_bar_that_came_late_is_kept():
    """The presumption counts only where there is no row."""
    sessions = pd.bdate_range("2025-11-17", "2025-11-20")
    raw = pd.DataFrame({"close": 1.0}, sessions)
    assert without_absent(sessions, [WEDNESDAY], raw).equals(sessions)
    assert list(without_absent(sessions, [WEDNESDAY], raw.drop(sessions[2]))) == list(sessions.delete(2))


def test_the_message_names_the_session_and_the_setting():
    """It says what happens next, too."""
    said = str(closure_finding("XNYS", [WEDNESDAY], 3))
    for words in ("2025-11-19 looks like an unscheduled closure of XNYS", "3 tickers", "Nothing was filled in"):
        assert words in said
    assert "CLOSECAST_CLOSED_SESSIONS=2025-11-19." in said
    assert "CLOSECAST_CLOSED_SESSIONS=2025-11-19,2025-11-20." in str(closure_finding("X", [WEDNESDAY, THURSDAY], 3))


def criticals(raw, sessions, as_of):
    """Return the findings of the suite's critical rules."""
    raw = raw[raw.index <= pd.Timestamp(as_of)]
    rules = json.loads(load_settings().suite_path.read_bytes())
    rules["expectations"] = [one for one in rules["expectations"] if one["severity"] == "critical"]
    content = json.dumps(rules).encode()
    limits = {"min_sessions": 100, "max_jump": 0.5}
    return suite.check("A", raw, clean(raw, sessions), content, as_of=as_of, sessions=sessions, **limits).findings


@pytest.mark.parametrize("day", ["2001-09-11", "2012-10-29", "2018-12-05", "2025-01-09"])
def test_real_closures_stop_the_tickers_for_one_night(day):
    """By a calendar of the time, which has the session. Without the evidence six nights stop."""
    closed = dt.date.fromisoformat(day)
    calendar = unaware_xnys(closed)
    known = calendar.sessions_window(calendar.date_to_session(day), -250)
    after = calendar.sessions_window(calendar.date_to_session(day), 7)[1:]
    everything = known.union(after)
    draws = np.random.default_rng(0).normal(0, 0.01, len(everything))
    close = 100 * np.exp(np.cumsum(draws))
    raw = pd.DataFrame({"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}, everything)
    raw = raw.assign(volume=1e6).rename_axis("session").drop(pd.Timestamp(closed))

    tonight = criticals(raw, known, closed)
    assert [one.name for one in tonight] == ["fresh"]
    seen = recent_bars(raw[raw.index <= day], known)
    assert closures([seen, seen]) == (closed,)
    assert explain([closed], seen, tonight)
    for night, stopped in ((3, True), (5, False)):  # the suite looks back over the last 5 sessions
        session = after[night]
        sessions = everything[everything <= session]
        assert closures([recent_bars(raw[raw.index <= session], sessions)] * 2) == (closed,)
        assert bool(criticals(raw, sessions, session.date())) is stopped
        assert not criticals(raw, without_absent(sessions, [closed], raw), session.date())
