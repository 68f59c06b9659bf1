"""The life of a run: its plan, its report and its early end."""

import contextlib
import datetime as dt
import json
import re

import pandas as pd
import pytest

from pipeline import calendar, runner, runs
from pipeline.alerting import notify
from pipeline.errors import DataError, PartlyFailed, StoreError, UsageError
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, run_folder
from tests.support.alert_channels import webhook
from tests.support.calendars import forget_closure
from tests.support.fleets import leave_forecast
from tests.support.nights import folder_of, logged_runs


def test_a_second_plan_of_a_run_is_the_first_one(tiny):
    """A retry uses the values of the first try, whatever the settings are by then; MLflow has one parent run."""
    first = runs.plan(tiny, "manual__1")
    written = run_folder(tiny.store_url, "manual__1").read("plan.json")
    assert runs.plan(load_settings(tickers=("ZZZ",), as_of="2025-11-20"), "manual__1") == first
    assert run_folder(tiny.store_url, "manual__1").read("plan.json") == written
    (parent,) = logged_runs(tiny).runs
    assert (parent.data.tags["dag_run_id"], parent.info.status) == ("manual__1", "RUNNING")


def test_two_runs_whose_names_give_one_folder_are_refused(tiny):
    """The second one would continue the first one's steps."""
    runs.plan(tiny, "manual__a:b")
    with pytest.raises(UsageError, match="Two runs must not share a folder") as error:
        runs.plan(tiny, "manual__a+b")
    assert "'manual__a+b' after 'manual__a:b'" in error.value.received


def test_a_ledger_that_refuses_ends_the_run_before_its_plan(tiny, tmp_path):
    """Hours of training would come before the step that writes there."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="CLOSECAST_LEDGER"):
        runs.plan(load_settings(ledger=str(tmp_path / "file" / "ledger")), "manual__1")
    assert not run_folder(tiny.store_url, "manual__1").exists("plan.json")


def test_a_comparison_ends_before_the_gate(tiny):
    """Its flow has neither `promote` nor `forecast`."""
    runs.plan(tiny, "manual__1")
    runs.plan(tiny, "compare__1", until="evaluate")
    whole = runs.flow(read_plan(tiny.store_url, "manual__1"))
    compared = runs.flow(read_plan(tiny.store_url, "compare__1"))
    assert [step.name for step in whole[len(compared) :]] == ["promote", "forecast"]


def test_a_report_needs_a_plan(tiny):
    """The reader is sent to the step `plan`."""
    with pytest.raises(UsageError, match="See why `plan` failed"):
        runs.report("manual__never", settings=tiny)


def test_a_run_that_was_stopped_before_its_steps_is_reported_as_failed(tiny):
    """Each ticker says so, in the results, on the page and in MLflow."""
    runs.plan(tiny, "manual__1")
    with pytest.raises(DataError, match="AAA in plan: The run was stopped"):
        runs.report("manual__1", settings=tiny)
    folder = run_folder(tiny.store_url, "manual__1")
    assert [one["step"] for one in json.loads(folder.read("results.json"))["tickers"]] == ["plan"] * len(tiny.tickers)
    assert b"The run was stopped before this ticker was done" in folder.read("report.html")
    statuses = {run.data.tags["ticker"]: run.info.status for run in logged_runs(tiny).runs}
    assert statuses == {"": "FAILED"} | dict.fromkeys(tiny.tickers, "KILLED")


def test_the_report_names_both_tickers_and_needs_nothing_else(finished):
    """Verdict, reason, pictures inline, no address of another place but links."""
    settings, batch = finished
    page = run_folder(settings.store_url, batch["run"]).read("report.html").decode()
    assert "1 of 2 ticker(s) done" in page
    assert "Failed in ingest" in page
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in re.sub('<a href="http[^"]*"', "", page.replace("http-equiv", ""))


def test_the_report_of_a_second_night_shows_the_skill_of_both(two_nights):
    """The first night had one value, which makes no curve."""
    for run, count in (("manual__1", 0), ("manual__2", 1)):
        runs.report(run, settings=load_settings(tickers=("AAA",)))
        page = run_folder(two_nights.store_url, run).read("report.html").decode()
        assert page.count("skill of the last runs") == count


def test_a_stopped_run_leaves_nothing_running(tiny):
    """Ctrl-C: parent and child are ended as killed."""
    (batch,) = runs.plan(load_settings(tickers=("AAA",)), "manual__stopped")
    runner.run("ingest", batch, settings=tiny)
    runs.stop("manual__stopped", tiny)
    found = logged_runs(tiny).runs
    assert {run.info.status for run in found} == {"KILLED"}


MOURNING = dt.date(2018, 12, 5)  # for George H. W. Bush


@pytest.fixture
def hook(monkeypatch):
    """Run a webhook that is the only channel."""
    with webhook() as running:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", running.url)
        yield running


@pytest.fixture
def universe(tiny, monkeypatch, test_data):
    """Return a function that runs and reports AAPL and MSFT, real prices, on a calendar that expects MOURNING."""
    del tiny
    forget_closure(monkeypatch, MOURNING)
    monkeypatch.setattr(runs, "FLOW", FLOW[:2])  # the steps that look at sessions
    monkeypatch.setenv("CLOSECAST_TICKERS", '["AAPL", "MSFT"]')
    monkeypatch.setenv("CLOSECAST_SOURCE", "files")
    monkeypatch.setenv("CLOSECAST_START", "2014-01-02")

    def night(as_of, prices=test_data / "panel", **given):
        settings = load_settings(as_of=as_of, prices=prices, batch_size=2, **given)
        name = f"manual__{as_of}-{len(given)}"
        for batch in runs.plan(settings, name):
            for step in FLOW[:2]:
                with contextlib.suppress(PartlyFailed):
                    runner.run(step.name, batch, settings=settings)
        runs.report(name, settings=settings)
        return settings, read_plan(settings.store_url, name)

    return night


def ends(night, *given, **more):
    """Run a night whose tickers all fail, and return the error of its report."""
    with pytest.raises(DataError, match="must leave at least one ticker"):
        night(*given, **more)
    name = f"manual__{given[0]}-{len(more)}"
    with pytest.raises(DataError) as error:
        runs.report(name, settings=load_settings())
    return str(error.value)


def test_an_unscheduled_closure_is_reported_once_and_the_next_night_goes_on(universe, hook):
    """One message for both tickers, and silence of `watch`. The next night fills nothing in."""
    said = ends(universe, "2018-12-05")
    assert "2 ticker(s): 2018-12-05 looks like an unscheduled closure of XNYS" in said
    page = run_folder(load_settings().store_url, "manual__2018-12-05-0").read("report.html").decode()
    assert page.count("2018-12-05 looks like an unscheduled closure of XNYS") == 3  # the run and each ticker
    with pytest.raises(DataError):  # a task that is cleared
        runs.report("manual__2018-12-05-0", settings=load_settings())
    assert notify.alert_unless_finished(load_settings(source="files"), MOURNING)
    settings, plan = universe("2018-12-06")
    assert plan.presumed_closures == (MOURNING,)
    assert hook.titles == ["2018-12-05 looks like an unscheduled closure of XNYS"]
    for ticker in plan.tickers:
        folder = folder_of(settings, plan.batches()[0], ticker)
        kept = pd.read_parquet(folder.path("validated.parquet")).index
        assert [str(day.date()) for day in kept[-2:]] == ["2018-12-04", "2018-12-06"]
        assert not folder.manifest("validate").outcome.findings


def test_a_first_run_after_the_closure_finds_it_too(universe, hook):
    """The store of that night is not needed: the later sessions show the gap."""
    assert "2 ticker(s): 2018-12-05 looks like" in ends(universe, "2018-12-07")
    universe("2018-12-10")
    assert hook.titles == ["2018-12-05 looks like an unscheduled closure of XNYS"]


def test_bars_that_come_late_end_the_presumption(universe, hook, tmp_path, test_data):
    """The source was late on that night. The next night uses its bars, and the message is taken back."""
    ends(universe, "2018-12-05")
    for ticker in ("AAPL", "MSFT"):
        prices = pd.read_csv(test_data / "panel" / f"{ticker}.csv", index_col="Date")
        prices.loc["2018-12-05"] = prices.loc["2018-12-04"]
        prices.sort_index().to_csv(tmp_path / f"{ticker}.csv")
    settings, plan = universe("2018-12-06", tmp_path)
    folder = folder_of(settings, plan.batches()[0], "AAPL")
    assert pd.Timestamp(MOURNING) in pd.read_parquet(folder.path("validated.parquet")).index
    assert universe("2018-12-07", tmp_path)[1].presumed_closures == ()
    assert hook.titles[-1] == "Recovered: 2018-12-05 looks like an unscheduled closure of XNYS"


def test_a_closed_session_of_the_settings_is_no_session(universe, hook):
    """It is closed from the first night on, and says nothing."""
    closed = {"closed_sessions": (MOURNING,)}
    with pytest.raises(UsageError, match="CLOSECAST_CLOSED_SESSIONS names as closed") as error:
        universe("2018-12-05", **closed)
    assert "AS_OF=2018-12-04" in error.value.todo
    universe("2018-12-06", **closed)
    assert hook.titles == []


def test_one_ticker_without_the_session_is_critical_as_before(universe, hook, tmp_path, test_data):
    """The other ticker has it: the exchange was open."""
    for ticker in ("AAPL", "MSFT"):
        prices = pd.read_csv(test_data / "panel" / f"{ticker}.csv", index_col="Date")
        if ticker == "AAPL":
            prices.loc["2018-12-05"] = prices.loc["2018-12-04"]
        prices.sort_index().to_csv(tmp_path / f"{ticker}.csv")
    with pytest.raises(DataError, match="MSFT in validate: The newest session must be AS_OF"):
        universe("2018-12-05", tmp_path)
    assert hook.titles == ["MSFT validate: The newest session must be AS_OF, with a price"]


@pytest.mark.usefixtures("tiny")
def test_a_fault_of_the_synthetic_market_is_no_closure(hook):
    """The fault `gap` removes the same sessions of each ticker, and shows the check and its alerts."""
    settings = load_settings(fault="gap", batch_size=2)
    (batch,) = runs.plan(settings, "manual__1")
    runner.run("ingest", batch, settings=settings)
    with pytest.raises(DataError, match="The last 5 sessions must have prices"):
        runner.run("validate", batch, settings=settings)
    with pytest.raises(DataError, match=r"AAA in validate.*BBB in validate"):
        runs.report("manual__1", settings=settings)
    assert len(hook.titles) == 2


@pytest.mark.parametrize(("days", "warned"), [(41, True), (42, False)])
@pytest.mark.usefixtures("tiny")
def test_a_calendar_that_ends_within_six_weeks_warns_in_log_report_and_alert(monkeypatch, hook, caplog, days, warned):
    """Once, with cause and cure."""
    settings = load_settings()
    caplog.set_level("WARNING", logger="closecast")
    end = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    monkeypatch.setattr(calendar, "last_known_day", lambda name: end)  # noqa: ARG005
    for name in ("manual__1", "manual__2"):
        runs.plan(settings, name)
        with pytest.raises(DataError, match="The run was stopped"):
            runs.report(name, settings=settings)
    ends_on = f"XNYS ends on {end} in exchange_calendars"
    assert (ends_on in caplog.text) is warned
    assert (ends_on.encode() in run_folder(settings.store_url, "manual__1").read("report.html")) is warned
    warnings = [one for one in hook.told if "calendar" in one.title]
    assert [one.title for one in warnings] == ["The calendar should know the sessions of the next weeks"] * warned
    for one in warnings:
        assert ends_on in one.body
        assert "--upgrade exchange_calendars" in one.body


def test_a_ticker_without_a_recent_forecast_is_an_alert_until_it_has_one(tiny, hook, monkeypatch):
    """It failed for two nights. The alert is sent once, and recovers with the next forecast in a whole night."""
    monkeypatch.setenv("CLOSECAST_TICKERS", "AAA")
    leave_forecast(tiny, "AAA", "2025-11-20", "2025-11-19")
    settings = load_settings()
    for name, asked in (("1", settings), ("2", settings), ("other", load_settings(tickers=("BBB",)))):
        runs.plan(asked, f"manual__{name}")
        with pytest.raises(DataError):
            runs.report(f"manual__{name}", settings=asked)
    rule = "Each ticker should have a recent forecast"
    (alert,) = (one for one in hook.told if one.title == rule)
    assert "1 ticker(s) without one: the oldest misses 2 sessions" in alert.body
    assert "Rows: AAA" in alert.body
    assert rule.encode() in run_folder(tiny.store_url, "manual__1").read("report.html")
    assert f"Recovered: {rule}" not in hook.titles
    leave_forecast(tiny, "AAA", "2025-11-24", "2025-11-21")
    runs.plan(settings, "manual__3")
    with pytest.raises(DataError):
        runs.report("manual__3", settings=settings)
    assert f"Recovered: {rule}" in hook.titles
