"""The fleet at a glance: what the store says about each ticker."""

import datetime as dt
import json

import pytest

from pipeline.errors import Damaged
from pipeline.outcome import Finding
from pipeline.reporting import fleet as fleets
from pipeline.serving.served import DECAY
from pipeline.settings import load_settings
from pipeline.store.closures import write_closures
from pipeline.store.runs import read_plan, run_folder
from tests.support.fleets import leave_forecast, leave_night, row

EVENING = dt.datetime(2025, 11, 21, 23, tzinfo=dt.UTC)  # two hours after the close of Friday
NIGHT = dt.datetime(2025, 11, 22, 2, tzinfo=dt.UTC)  # five hours after it


@pytest.fixture
def look(tiny):
    """Return the state of tickers at a time."""
    assert tiny.late_minutes == 240

    def state(*tickers, now=NIGHT, **given):
        settings = load_settings(tickers=tickers, **given)
        found = fleets.fleet(settings, now)
        return found, {one.ticker: one for one in found.tickers}

    return state


def test_a_ticker_in_order_has_its_figures(tiny, look):
    """Those of its last night, and no problem."""
    leave_night(tiny, "2025-11-20", [row("AAA", decision="refused")])
    leave_night(tiny, "2025-11-21", [row("AAA")])
    found, by_name = look("AAA")
    one = by_name["AAA"]
    assert found.in_order
    assert str(found.due) == "2025-11-21"
    assert (str(one.last_night), one.verdict, one.problems) == ("2025-11-21", "promoted", ())
    assert (one.champion, str(one.champion_trained), one.champion_age) == (7, "2025-11-20", 1)
    assert (one.interval_skill_60, one.coverage_95_60) == (0.071, 0.95)
    assert (str(one.forecast_session), one.forecast, one.forecast_age) == ("2025-11-24", 105.25, 0)


def test_a_session_is_due_once_its_run_would_be_late(tiny, look):
    """In the evening after the close the night before is enough."""
    leave_night(tiny, "2025-11-20", [row("AAA")])
    assert look("AAA", now=EVENING)[1]["AAA"].problems == ()
    assert look("AAA", now=NIGHT)[1]["AAA"].problems == ("stale",)


def test_each_problem_is_found_and_counted(tiny, look):
    """Stale, failed, decayed, a champion and a forecast beyond their limits."""
    decayed = str(Finding(rule=DECAY, severity="warning", observed="skill -0.5"))
    leave_night(tiny, "2025-11-19", [row("STALE")])
    rows = [
        row("FAILED", reason="no close column", step="ingest", served_version=None, forecast_session=""),
        row("WAITING", waiting="2 closes differ", decision="", served_version=None, forecast_session=""),
        row("DECAYED", warnings=(decayed,)),
        row("CHAMPION", served_trained="2025-08-26"),  # 62 sessions before 2025-11-21
        row("FORECAST", forecast_session="", forecast_version=None, no_forecast="prices of another currency"),
        row("FIRST", forecast_session="", served_version=None, forecast_version=None, no_forecast="no champion yet"),
    ]
    leave_night(tiny, "2025-11-21", rows)
    leave_forecast(tiny, "FORECAST", "2025-11-20", "2025-11-19")
    leave_forecast(tiny, "FORECAST", "2025-11-24", "2025-11-21", synthetic=False)
    found, by_name = look("STALE", "FAILED", "WAITING", "DECAYED", "CHAMPION", "FORECAST", "FIRST", "NEVER")
    assert {name: one.problems for name, one in by_name.items()} == {
        "STALE": ("stale", "old_forecast"),
        "FAILED": ("failed",),
        "WAITING": ("waiting",),
        "DECAYED": ("decayed",),
        "CHAMPION": ("old_champion",),
        "FORECAST": ("old_forecast",),
        "FIRST": (),
        "NEVER": ("stale",),
    }
    assert not found.in_order
    assert found.counts.model_dump() == {
        "tickers": 8, "in_order": 1, "stale": 2, "failed": 1, "waiting": 1, "decayed": 1, "old_champion": 1,
        "old_forecast": 2,
    }  # fmt: skip
    assert by_name["CHAMPION"].champion_age == 62
    assert (str(by_name["FORECAST"].forecast_session), by_name["FORECAST"].forecast_age) == ("2025-11-20", 2)
    assert by_name["FAILED"].findings == ("no close column",)
    assert (by_name["WAITING"].verdict, by_name["WAITING"].findings) == ("waiting", ("2 closes differ",))


def test_the_limits_are_those_of_the_gate(tiny, look):
    """At the limit nothing is old yet."""
    leave_night(tiny, "2025-11-20", [row("AAA", served_trained="2025-11-18")])
    leave_night(tiny, "2025-11-21", [row("AAA", forecast_session="", served_trained="2025-11-18")])
    leave_forecast(tiny, "AAA", "2025-11-21", "2025-11-20")
    assert look("AAA", gate={"max_champion_age": 3, "max_forecast_age": 1})[1]["AAA"].problems == ()
    beyond = look("AAA", gate={"max_champion_age": 2, "max_forecast_age": 0})[1]["AAA"]
    assert beyond.problems == ("old_champion", "old_forecast")


def test_a_ticker_that_failed_keeps_the_champion_of_the_night_before(tiny, look):
    """It still is served, and its age goes on."""
    leave_night(tiny, "2025-11-19", [row("AAA", served_version=4, served_trained="2025-11-14")])
    for day in ("2025-11-20", "2025-11-21"):
        failed = row("AAA", reason="no close column", served_version=None, served_trained="", forecast_session="")
        leave_night(tiny, day, [failed])
    one = look("AAA")[1]["AAA"]
    assert (one.champion, one.champion_age) == (4, 5)


def test_a_later_run_of_the_same_session_counts(tiny, look):
    """A ticker that was repeated alone is in order again; the others keep the night's row."""
    failed = row("AAA", reason="HTTP 429", step="ingest", forecast_session="")
    leave_night(tiny, "2025-11-21", [failed, failed._replace(ticker="BBB")])
    later = dt.datetime(2025, 11, 22, 1, tzinfo=dt.UTC)
    leave_night(tiny, "2025-11-21", [row("AAA")], run="again", created=later)
    by_name = look("AAA", "BBB")[1]
    assert (by_name["AAA"].problems, by_name["BBB"].problems) == ((), ("failed",))


@pytest.mark.parametrize("other", [{"source": "files"}, {"fault": "bad_bar"}, {"until": "evaluate"}])
def test_runs_of_another_kind_do_not_count(tiny, look, other):
    """Another source, a fault on purpose, a comparison; and a run without a report."""
    leave_night(tiny, "2025-11-20", [row("AAA", decision="refused")])
    leave_night(tiny, "2025-11-21", [row("AAA")], run="other", **other)
    leave_night(tiny, "2025-11-21", [row("AAA")], run="running")
    run_folder(tiny.store_url, "manual__running").remove("results.json")
    assert str(look("AAA")[1]["AAA"].last_night) == "2025-11-20"


def test_a_presumed_closure_is_neither_due_nor_a_failure(tiny, look):
    """Its run failed for every ticker, because the exchange did not open."""
    leave_night(tiny, "2025-11-20", [row("AAA")])
    leave_night(tiny, "2025-11-21", [row("AAA", reason="looks like an unscheduled closure")])
    assert look("AAA")[1]["AAA"].problems == ("failed",)
    write_closures(tiny.store_url, read_plan(tiny.store_url, "manual__2025-11-21"), [dt.date(2025, 11, 21)])
    found, by_name = look("AAA")
    assert (str(found.due), by_name["AAA"].problems) == ("2025-11-20", ())


def test_results_of_an_earlier_version_lack_the_champion(tiny, look):
    """Its number comes from the forecast, its age is unknown until the next night."""
    leave_night(tiny, "2025-11-21", [row("AAA")])
    folder = run_folder(tiny.store_url, "manual__2025-11-21")
    rows = json.loads(folder.read("results.json"))["tickers"]
    added = ("served_version", "served_trained", "served_cutoff", "live_coverage_95_60")
    old = [{name: value for name, value in one.items() if name not in added} for one in rows]
    folder.write("results.json", json.dumps(old).encode())
    one = look("AAA")[1]["AAA"]
    assert (one.champion, one.champion_age, one.coverage_95_60, one.problems) == (7, None, None, ())


def test_damaged_results_are_named(tiny, look):
    """The file and what to do; no traceback."""
    leave_night(tiny, "2025-11-21", [row("AAA")])
    run_folder(tiny.store_url, "manual__2025-11-21").write("results.json", b"[{")
    with pytest.raises(Damaged, match=r"results\.json"):
        look("AAA")
