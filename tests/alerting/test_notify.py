"""Alerts of a run, of a failed task and of a run that did not come, on a real webhook."""

import pytest

from pipeline import runner, runs
from pipeline.alerting import notify
from pipeline.errors import DataError, Unavailable, UsageError
from pipeline.serving import ledger
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, unit_folder
from tests.support.alert_channels import PASSWORD, webhook
from tests.support.nights import logged_runs, sample_prices


def test_people_are_told_of_a_bad_ticker_once_and_of_a_run_that_did_not_come(tiny, monkeypatch, tmp_path):
    """On a real webhook: the failure with its links, silence on a repeat, the late run, both recoveries."""
    (tmp_path / "prices").mkdir()
    file = tmp_path / "prices" / "AAA.csv"
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        monkeypatch.setenv("CLOSECAST_TICKERS", '["AAA"]')
        settings = load_settings(source="files", prices=tmp_path / "prices")

        def bad_night(name):
            (batch,) = runs.plan(settings, f"manual__{name}")
            with pytest.raises(DataError, match="AAA failed"):
                runner.run("ingest", batch, settings=settings)
            with pytest.raises(DataError, match="AAA in ingest"):
                runs.report(f"manual__{name}", settings=settings)

        file.write_text("Date,Price\n2025-11-21,1\n")
        bad_night("bad")
        bad_night("bad-again")
        assert not notify.alert_unless_finished(settings, settings.as_of)
        assert not notify.alert_unless_finished(settings, settings.as_of)
        sample_prices("AAA").to_csv(file)
        (batch,) = runs.plan(settings, "manual__good")
        for step in FLOW:
            runner.run(step.name, batch, settings=settings)
        runs.report("manual__good", settings=settings)
        assert notify.alert_unless_finished(settings, settings.as_of)
        monkeypatch.setenv("CLOSECAST_SOURCE", "sample")
        runs.plan(settings, "manual__stopped")
        with pytest.raises(DataError):
            runs.report("manual__stopped", settings=settings)
    assert [one.title for one in hook.told] == [
        f"AAA ingest: {file} must be a table of daily prices",
        "No finished run for 2025-11-21",
        f"Recovered: AAA ingest: {file} must be a table of daily prices",
        "Recovered: No finished run for 2025-11-21",
        "AAA report: The run should reach its end",
    ]
    for words in ("'Date', 'Price'", "/dags/retrain/runs/manual__bad", "#/experiments/", "Left the ticker out"):
        assert words in hook.told[0].body
    found = logged_runs(tiny).runs
    assert PASSWORD not in str([run.to_dictionary() for run in found])


def test_a_message_about_a_ticker_has_the_newest_hash_of_its_ledger(two_nights):
    """A copy that lies outside; a night without a forecast has none."""
    settings = load_settings()
    planned = read_plan(settings.store_url, "manual__2")
    folder = unit_folder(settings.store_url, "AAA", planned)
    ended = [folder.manifest(step.name) for step in FLOW]
    links = notify._ticker_links(settings, planned, ended, "page")
    assert links["Ledger"] == str(ledger.head(two_nights.ledger_place, "AAA"))
    assert "Ledger" not in notify._ticker_links(settings, planned, ended[:3], "page")


@pytest.mark.usefixtures("tiny")
def test_a_channel_that_fails_fails_no_run(monkeypatch):
    """Nobody listens there."""
    monkeypatch.setenv("CLOSECAST_ALERT_URLS", "json://127.0.0.1:9 nonsense")
    settings = load_settings(tickers=("AAA",), fault="truncated")
    (batch,) = runs.plan(settings, "manual__1")
    runner.run("ingest", batch, settings=settings)
    with pytest.raises(DataError, match="long enough"):
        runner.run("validate", batch, settings=settings)
    with pytest.raises(DataError, match="AAA in validate"):
        runs.report("manual__1", settings=settings)


def test_another_source_or_fewer_tickers_end_no_alarm(tiny):
    """The run that is waited for is the one of the settings."""
    night = load_settings(tickers=("AAA",))
    (batch,) = runs.plan(night, "manual__1")
    for step in FLOW:
        runner.run(step.name, batch, settings=night)
    runs.report("manual__1", settings=night)
    assert not notify.alert_unless_finished(tiny, tiny.as_of)  # the settings say AAA and BBB


def test_a_watchdog_that_could_not_look_is_told_and_recovers(tiny, monkeypatch):
    """With the link of its own DAG; once it can look again, that is told too."""
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        settings = load_settings()
        notify.task_failed(settings, "look", "scheduled__1", None, dag="watch")
        notify.alert_unless_finished(settings, tiny.as_of)
    assert [one.title for one in hook.told] == [
        "Task look of watch failed",
        "No finished run for 2025-11-21",
        "Recovered: Task look of watch failed",
    ]
    assert "/dags/watch/runs/scheduled__1" in hook.told[0].body
    assert "ended without an error message" in hook.told[0].body


@pytest.mark.parametrize(
    ("task", "error", "sent"),
    [
        ("plan", UsageError("A rule.", "a value", "Do."), 1),  # without a plan there is no report
        ("train", DataError("A rule.", "a value", "Do."), 0),
        ("train", Unavailable("A rule.", "a value", "Do."), 0),
        ("train", ValueError("a bug"), 1),
        ("train", None, 1),  # its process died
        ("report", DataError("A rule.", "a value", "Do."), 0),
        ("report", Unavailable("A rule.", "a value", "Do."), 1),  # the report itself failed
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_failure_is_alerted_by_its_task_or_by_the_report_and_never_twice(monkeypatch, hook, task, error, sent):
    """The report names the failures that steps record; every other failure is alerted by the task."""
    monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
    notify.task_failed(load_settings(), task, "manual__1", error)
    assert len(hook.told) == sent
    for message in hook.told:
        assert task in message.title
        assert "/dags/retrain/runs/manual__1" in message.body


@pytest.mark.parametrize("tickers", ['["*"]', '["aaa", "Bbb"]'])
def test_a_night_is_finished_however_the_settings_write_its_tickers(tiny, monkeypatch, tmp_path, tickers):
    """`*` and lower case mean the same tickers as the plan; one ticker that is done finishes the night."""
    folder = tmp_path / "prices"
    folder.mkdir()
    sample_prices("AAA").to_csv(folder / "AAA.csv")
    (folder / "BBB.csv").write_text("Date,Price\n2025-11-21,1\n")
    monkeypatch.setenv("CLOSECAST_SOURCE", "files")
    monkeypatch.setenv("CLOSECAST_PRICES", str(folder))
    monkeypatch.setenv("CLOSECAST_TICKERS", tickers)
    settings = runner.load_settings(batch_size=2)
    (batch,) = runs.plan(settings, "scheduled__1")
    assert batch["tickers"] == ["AAA", "BBB"]
    assert not notify.alert_unless_finished(settings, tiny.as_of)
    runs.run_stage(settings, runs.Stage(FLOW, batch), None)
    with pytest.raises(DataError, match="BBB in ingest"):
        runs.report("scheduled__1", settings=settings)
    assert notify.alert_unless_finished(settings, tiny.as_of)
