"""The contract of a step, with the real steps, the real store and a real MLflow on SQLite."""

import contextlib
import json
import traceback
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.alerting import notify
from pipeline.cli.preflight import check
from pipeline.errors import DataError, Unavailable
from pipeline.evaluation.metrics import rmse
from pipeline.prices import snapshot
from pipeline.steps import FLOW
from pipeline.store.runs import last_snapshot, read_plan, run_folder, unit_folder
from pipeline.tracking.client import answering
from pipeline.tracking.server import check_answers
from tests.support.alert_channels import PASSWORD, webhook
from tests.support.tiny import tiny_settings


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run everything once for two tickers, the second of which has a broken file; return what it left."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("prices")
        settings = tiny_settings(patch, tmp_path_factory.mktemp("run"))
        good = snapshot.fetch("GOOD", check(settings), settings)
        good.to_csv(folder / "GOOD.csv")
        (folder / "BAD.csv").write_text("Date,Price\n2025-11-21,1\n")
        patch.setenv("CLOSECAST_PRICES", str(folder))
        patch.setenv("CLOSECAST_SOURCE", "files")
        settings = runner.load_settings(tickers=("GOOD", "BAD"), batch_size=2)
        (batch,) = runs.plan(settings, "manual__1")
        for step in FLOW:
            assert runner.run(step.name, batch, settings=settings) == batch
        with pytest.raises(DataError, match="BAD in ingest"):
            runs.report("manual__1", settings=settings)
    return settings, batch


def folder_of(settings, batch, ticker="GOOD"):
    """Return a unit's folder."""
    return unit_folder(settings.store_url, ticker, read_plan(settings.store_url, batch["run"]))


def runs_of(settings):
    """Return all MLflow runs, children by ticker, the parent under ""."""
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("closecast")
    return client, experiment, client.search_runs([experiment.experiment_id])


def test_there_is_one_parent_and_one_child_per_ticker(finished):
    """Found by tags; the child of the broken file is failed, and so is the parent."""
    settings, _ = finished
    _, _, found = runs_of(settings)
    by_ticker = {run.data.tags["ticker"]: run for run in found}
    assert len(found) == 3
    assert {ticker: run.info.status for ticker, run in by_ticker.items()} == {
        "": "FAILED", "GOOD": "FINISHED", "BAD": "FAILED",
    }  # fmt: skip
    parent = by_ticker[""].info.run_id
    assert {by_ticker[t].data.tags["mlflow.parentRunId"] for t in ("GOOD", "BAD")} == {parent}
    assert "'Date', 'Price'" in by_ticker["BAD"].data.tags["findings.ingest"]


def test_the_childs_figures_are_those_of_the_store(finished):
    """Metrics, parameters, one point per epoch, pictures, the dataset."""
    settings, batch = finished
    client, _, found = runs_of(settings)
    run = next(run for run in found if run.data.tags["ticker"] == "GOOD")
    stored = json.loads(folder_of(settings, batch).read("metrics.json"))
    assert {name: run.data.metrics[name] for name in stored} == stored
    assert run.data.params["lookback"] == "5"
    assert run.data.params["seed"] == "0"
    for curve in ("loss", "val_loss", "gradient_norm"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, curve)] == [1, 2, 3]
    kept = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert {"forecast.png", "loss.png", "close.png", "validation.html", "metrics.json", "predictions.parquet"} <= kept
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "GOOD files"


def test_the_logged_model_forecasts_the_logged_error_again(finished):
    """Loaded by models:/, from raw closes to dollars: the same RMSE to 1e-6."""
    settings, batch = finished
    client, experiment, found = runs_of(settings)
    run = next(run for run in found if run.data.tags["ticker"] == "GOOD")
    (logged,) = client.search_logged_models([experiment.experiment_id])
    mlflow.set_tracking_uri(settings.mlflow_uri)
    served = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    closes = pd.read_parquet(f"{folder_of(settings, batch).url}/validated.parquet")["close"]
    asked = pd.DataFrame({"close": closes.to_numpy()})
    forecasts = served.predict(asked, params={"every_session": True})["forecast_usd"].to_numpy()
    assert len(forecasts) == len(closes) - 5  # the first one needs lookback closes and one
    assert served.predict(asked)["forecast_usd"].tolist() == [forecasts[-1]]
    tested = int(run.data.metrics["test_rows"])
    error = rmse(closes.to_numpy()[-tested:], forecasts[-tested - 1 : -1])
    assert error == pytest.approx(run.data.metrics["rmse_usd"], rel=1e-6)
    recipe = served.unwrap_python_model().recipe
    assert (recipe.preset, recipe.cell) == ("daily", run.data.params["cell"])
    assert logged.source_run_id == run.info.run_id
    assert "rmse_usd" in {metric.key for metric in logged.metrics}


def test_a_second_call_of_every_step_changes_nothing(finished, monkeypatch):
    """Finished work is reused: nothing is computed, no run, no model, no metric is added."""
    settings, batch = finished
    folder = Path(folder_of(settings, batch).url)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    client, experiment, found = runs_of(settings)
    history = {run.info.run_id: client.get_metric_history(run.info.run_id, "loss") for run in found}
    monkeypatch.setattr("pipeline.forecasting.training.train", None)  # would be called by nobody
    assert runs.plan(settings, "manual__1") == [batch]
    for step in FLOW:
        runner.run(step.name, batch, settings=settings)
    with pytest.raises(DataError):
        runs.report("manual__1", settings=settings)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    _, _, again = runs_of(settings)
    assert {run.info.run_id for run in again} == set(history)
    assert {run: [(p.step, p.value) for p in client.get_metric_history(run, "loss")] for run in history} == {
        run: [(p.step, p.value) for p in points] for run, points in history.items()
    }
    assert len(client.search_logged_models([experiment.experiment_id])) == 1


def test_a_lost_file_is_made_again_and_the_metrics_stay(finished):
    """A step whose output is gone runs again; the same inputs give the same figures."""
    settings, batch = finished
    folder = folder_of(settings, batch)
    before = folder.read("metrics.json")
    Path(folder.path("metrics.json")).unlink()
    runner.run("evaluate", batch, settings=settings)
    assert folder.read("metrics.json") == before


def test_the_broken_ticker_left_nothing_but_its_reason(finished):
    """One manifest with one critical finding; later steps did not touch it."""
    settings, batch = finished
    folder = folder_of(settings, batch, "BAD")
    assert [path.name for path in Path(folder.url).iterdir()] == ["ingest.manifest.json"]
    (finding,) = folder.manifest("ingest").outcome.findings
    assert finding.severity == "critical"
    assert "Price" in finding.observed


def test_the_report_names_both_tickers_and_needs_nothing_else(finished):
    """Verdict, reason, pictures inline, no address of another place."""
    settings, batch = finished
    page = run_folder(settings.store_url, batch["run"]).read("report.html").decode()
    assert "1 of 2 ticker(s) done" in page
    assert "Failed in ingest" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("http-equiv", "")


def test_inputs_and_outputs_are_named_by_their_hashes(finished):
    """What `train` read is what the steps before wrote."""
    settings, batch = finished
    folder = folder_of(settings, batch)
    train, scaled, laid = (folder.manifest(name) for name in ("train", "split_scale", "window"))
    assert train.inputs["scaled.npz"] == scaled.outputs["scaled.npz"]
    assert train.inputs["windows.json"] == laid.outputs["windows.json"]
    assert train.seconds > 0
    assert train.versions["keras"]


def test_bad_prices_stop_before_training(tiny):
    """A critical finding of the suite is the unit's last word, with its page kept."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA",), start="2025-06-02"), "manual__short")
    runner.run("ingest", batch, settings=tiny)
    with pytest.raises(DataError, match=r"long enough.*122 sessions \(limit: at least 255 sessions\)"):
        runner.run("validate", batch, settings=tiny)
    folder = folder_of(tiny, batch, "AAA")
    assert folder.exists("validation.html")
    assert not folder.exists("validated.parquet")


def test_a_service_that_is_away_is_worth_another_try(tiny, monkeypatch):
    """The task fails for a retry; on the last try only when no ticker is left; the retry then succeeds."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA", "BBB"), batch_size=2), "manual__away")
    real = snapshot.fetch

    def away(ticker, plan, settings):
        if ticker == "BBB":
            raise Unavailable("Yahoo must answer.", "HTTP 429", "Wait.")
        return real(ticker, plan, settings)

    monkeypatch.setattr(snapshot, "fetch", away)
    with pytest.raises(Unavailable, match="BBB failed"):
        runner.run("ingest", batch, settings=tiny, last_try=False)
    first = folder_of(tiny, batch, "AAA").manifest("ingest")
    assert runner.run("ingest", batch, settings=tiny, last_try=True) == batch
    monkeypatch.setattr(snapshot, "fetch", real)
    runner.run("ingest", batch, settings=tiny, last_try=False)
    assert not folder_of(tiny, batch, "BBB").manifest("ingest").failed
    assert folder_of(tiny, batch, "AAA").manifest("ingest") == first
    _, _, found = runs_of(tiny)
    (run,) = (run for run in found if run.data.tags["ticker"] == "BBB")
    assert run.info.status == "RUNNING"
    assert run.data.metrics["rows/raw"] == 977
    assert run.data.tags["findings.ingest"] == run.data.tags["mlflow.note.content"] == ""


def test_a_lost_mlflow_costs_no_work(tiny, monkeypatch):
    """What was done stays in the store; the next call only logs it."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA",)), "manual__lost")

    def gone(*_args, **_kwargs):
        raise Unavailable("The MLflow server must answer.", "nothing", "Start it.")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "log_step", gone)
        with pytest.raises(Unavailable):
            runner.run("ingest", batch, settings=tiny)
    done = folder_of(tiny, batch, "AAA").manifest("ingest")
    monkeypatch.setattr(snapshot, "fetch", None)  # would be called by nobody
    runner.run("ingest", batch, settings=tiny)
    assert folder_of(tiny, batch, "AAA").manifest("ingest") == done
    _, _, found = runs_of(tiny)
    assert {run.data.metrics.get("rows/raw") for run in found if run.data.tags["ticker"] == "AAA"} == {977.0}


def test_an_mlflow_server_that_does_not_answer_is_told_at_once(monkeypatch):
    """Before its client starts minutes of retries, and without a password in the message."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9.*\n.*CLOSECAST_TRACKING_URI") as error:
        check_answers("http://user:secret@127.0.0.1:9", seconds=1)
    assert "secret" not in str(error.value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://user:secret@127.0.0.1:9"
    with pytest.raises(Unavailable) as error, answering(uri):
        mlflow.MlflowClient(uri).create_run("0")
    assert "127.0.0.1:9" in str(error.value)
    assert "secret" not in "".join(traceback.format_exception(error.value))  # what a task's log gets


def test_a_stopped_run_leaves_nothing_running(tiny):
    """Ctrl-C: parent and child are ended as killed."""
    (batch,) = runs.plan(runner.load_settings(tickers=("AAA",)), "manual__stopped")
    runner.run("ingest", batch, settings=tiny)
    runs.stop("manual__stopped", tiny)
    _, _, found = runs_of(tiny)
    assert {run.info.status for run in found} == {"KILLED"}


def test_a_restated_history_is_explained_refused_or_accepted(tiny, test_data, tmp_path):
    """Netflix after its 10:1 split against the snapshot before it; then with one close altered."""
    new = pd.read_csv(test_data / "restated" / "NFLX_asof_2026-01-23_after_10for1.csv")
    (tmp_path / "altered").mkdir()
    row = new.index[new["Date"].str.startswith("2021-11-17")][0]
    new.loc[row, ["Close", "High"]] *= 1.01
    new.to_csv(tmp_path / "altered" / "NFLX.csv", index=False)

    def night(name, prices, as_of, **settings):
        given = runner.load_settings(
            tickers=("NFLX",), source="files", prices=prices, as_of=as_of, start="2010-04-01", **settings
        )
        (batch,) = runs.plan(given, f"manual__{name}")
        try:
            for step in ("ingest", "validate"):
                runner.run(step, batch, settings=tiny)
        except DataError:
            pass
        folder = folder_of(tiny, batch, "NFLX")
        findings = folder.manifest("ingest").outcome.findings
        return folder, [(one.severity, one.observed, one.rows) for one in findings]

    folder, findings = night("before", test_data / "NFLX.csv", "2023-10-27")
    assert findings == []
    assert not folder.exists("restatement.json")
    (explained,) = {file.name for file in (test_data / "restated").iterdir() if "2026" in file.name}
    folder, ((severity, observed, rows),) = night("split", test_data / "restated" / explained, "2026-01-23")
    assert (severity, rows) == ("warning", ())
    assert "10:1" in observed
    told = json.loads(folder.read("restatement.json"))
    assert (told["kind"], told["factor"]) == ("explained", 0.1)
    altered = tmp_path / "altered" / "NFLX.csv"
    folder, ((severity, observed, rows),) = night("altered", altered, "2026-01-23")
    assert severity == "critical"
    assert [words[:10] for words in rows] == ["2021-11-17"]
    assert not folder.exists("validated.parquet")
    folder, ((severity, _, _),) = night("accepted", altered, "2026-01-23", accept_restated=True)
    assert severity == "warning"
    assert folder.exists("validated.parquet")
    _, _, found = runs_of(tiny)
    tags = {run.data.tags["dag_run_id"]: run.data.tags.get("restatement") for run in found if run.data.tags["ticker"]}
    assert tags["manual__split"] == "explained"
    assert tags["manual__altered"] == "unexplained"


def test_the_last_snapshot_is_an_earlier_one_that_passed_and_had_no_fault(tiny):
    """Not this session's own, not a failed one, not one with a fault, not another source's."""
    folders = {}
    for name, as_of, fault in (
        ("old", "2025-11-18", None), ("good", "2025-11-19", None), ("fault", "2025-11-20", "partial_bar"),
        ("failed", "2025-11-20", "bad_bar"), ("now", "2025-11-21", None),
    ):  # fmt: skip
        (batch,) = runs.plan(runner.load_settings(tickers=("AAA",), as_of=as_of, fault=fault), f"manual__{name}")
        try:
            for step in ("ingest", "validate"):
                runner.run(step, batch, settings=tiny)
        except DataError:
            assert name == "failed"
        folders[name] = folder_of(tiny, batch, "AAA")
    plan = read_plan(tiny.store_url, "manual__now")
    assert last_snapshot(tiny.store_url, "AAA", plan) == folders["good"]
    assert last_snapshot(tiny.store_url, "BBB", plan) is None
    assert last_snapshot(tiny.store_url, "AAA", plan.model_copy(update={"source": "yahoo"})) is None


def test_people_are_told_of_a_bad_ticker_once_and_of_a_run_that_did_not_come(tiny, monkeypatch, tmp_path):
    """On a real webhook: the failure with its links, silence on a repeat, the late run, both recoveries."""
    (tmp_path / "prices").mkdir()
    file = tmp_path / "prices" / "AAA.csv"
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        monkeypatch.setenv("CLOSECAST_TICKERS", '["AAA"]')
        settings = runner.load_settings(source="files", prices=tmp_path / "prices")

        def night(name):
            (batch,) = runs.plan(settings, f"manual__{name}")
            with contextlib.suppress(DataError):
                for step in FLOW:
                    runner.run(step.name, batch, settings=settings)
            with contextlib.suppress(DataError):
                runs.report(f"manual__{name}", settings=settings)

        file.write_text("Date,Price\n2025-11-21,1\n")
        night("bad")
        night("bad-again")
        assert not notify.alert_unless_finished(settings, settings.as_of)
        assert not notify.alert_unless_finished(settings, settings.as_of)
        snapshot.fetch("AAA", check(tiny), tiny).to_csv(file)
        night("good")
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
    _, _, found = runs_of(tiny)
    assert PASSWORD not in str([run.to_dictionary() for run in found])


@pytest.mark.usefixtures("tiny")
def test_a_channel_that_fails_fails_no_run(monkeypatch):
    """Nobody listens there."""
    monkeypatch.setenv("CLOSECAST_ALERT_URLS", "json://127.0.0.1:9 nonsense")
    settings = runner.load_settings(tickers=("AAA",), fault="truncated")
    (batch,) = runs.plan(settings, "manual__1")
    runner.run("ingest", batch, settings=settings)
    with pytest.raises(DataError, match="long enough"):
        runner.run("validate", batch, settings=settings)
    with pytest.raises(DataError, match="AAA in validate"):
        runs.report("manual__1", settings=settings)


def test_another_source_or_fewer_tickers_end_no_alarm(tiny):
    """The run that is waited for is the one of the settings."""
    night = runner.load_settings(tickers=("AAA",))
    (batch,) = runs.plan(night, "manual__1")
    for step in FLOW:
        runner.run(step.name, batch, settings=night)
    runs.report("manual__1", settings=night)
    assert not notify.alert_unless_finished(tiny, tiny.as_of)  # the settings say AAA and BBB


@pytest.mark.parametrize("tickers", ['["*"]', '["aaa", "Bbb"]'])
def test_a_night_is_finished_however_the_settings_write_its_tickers(tiny, monkeypatch, tmp_path, tickers):
    """`*` and lower case mean the same tickers as the plan; one ticker that is done finishes the night."""
    folder = tmp_path / "prices"
    folder.mkdir()
    snapshot.fetch("AAA", check(tiny), tiny).to_csv(folder / "AAA.csv")
    (folder / "BBB.csv").write_text("Date,Price\n2025-11-21,1\n")
    monkeypatch.setenv("CLOSECAST_SOURCE", "files")
    monkeypatch.setenv("CLOSECAST_PRICES", str(folder))
    monkeypatch.setenv("CLOSECAST_TICKERS", tickers)
    settings = runner.load_settings(batch_size=2)
    (batch,) = runs.plan(settings, "scheduled__1")
    assert batch["tickers"] == ["AAA", "BBB"]
    assert not notify.alert_unless_finished(settings, tiny.as_of)
    for step in FLOW:
        runner.run(step.name, batch, settings=settings)
    with pytest.raises(DataError, match="BBB in ingest"):
        runs.report("scheduled__1", settings=settings)
    assert notify.alert_unless_finished(settings, tiny.as_of)


def test_a_lost_history_and_a_revised_last_bar_are_warnings(tiny, tmp_path):
    """People hear of both; neither stops the ticker."""
    prices = snapshot.fetch("AAA", check(tiny), tiny)
    found = {}
    for name, frame, as_of in (
        ("before", prices.iloc[:-1], "2025-11-20"),
        (
            "revised",
            prices.assign(close=prices["close"].where(prices.index != prices.index[-2], 1.001 * prices["close"])),
            "2025-11-21",
        ),
        ("lost", prices.iloc[-600:], "2025-11-21"),
    ):
        file = tmp_path / f"{name}.csv"
        frame.to_csv(file)
        given = runner.load_settings(tickers=("AAA",), source="files", prices=file, as_of=as_of)
        (batch,) = runs.plan(given, f"manual__{name}")
        for step in ("ingest", "validate"):
            with contextlib.suppress(DataError):
                runner.run(step, batch, settings=tiny)
        findings = folder_of(tiny, batch, "AAA").manifest("ingest").outcome.findings
        found[name] = [(one.severity, one.observed) for one in findings]
    assert found["before"] == []
    assert found["revised"] == [("warning", "1 of 976 closes differs")]
    assert found["lost"] == [("warning", "377 of 976 are gone, the last on 2023-07-05")]


def test_a_watchdog_that_could_not_look_is_told_and_recovers(tiny, monkeypatch):
    """With the link of its own DAG; once it can look again, that is told too."""
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        settings = runner.load_settings()
        notify.task_failed(settings, "look", "scheduled__1", None, dag="watch")
        notify.alert_unless_finished(settings, tiny.as_of)
    assert [one.title for one in hook.told] == [
        "Task look of watch failed",
        "No finished run for 2025-11-21",
        "Recovered: Task look of watch failed",
    ]
    assert "/dags/watch/runs/scheduled__1" in hook.told[0].body
    assert "ended without an error message" in hook.told[0].body
