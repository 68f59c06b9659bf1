"""Gate, champion, forecast and ledger through the real steps, with a real registry: night after night."""

import datetime as dt
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.outcome import ForecastRecord
from pipeline.prices.sources import sample
from pipeline.serving import ledger
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, run_folder, unit_folder
from pipeline.tracking.registry import Registry
from tests.support.alert_channels import webhook


def night(name, as_of, *, steps=FLOW, **settings):
    """Run AAA once as of a session and return its folder."""
    given = runner.load_settings(**{"tickers": ("AAA",), **settings, "as_of": as_of})
    (batch,) = runs.plan(given, f"manual__{name}")
    for step in steps:
        runner.run(step.name, batch, settings=given)
    return unit_folder(given.store_url, "AAA", read_plan(given.store_url, batch["run"]))


def told(folder, name):
    """Return a JSON file of a unit."""
    return json.loads(folder.read(f"{name}.json"))


def live_points(settings):
    """Return the steps of the series of served forecasts in MLflow."""
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("closecast").experiment_id
    runs = client.search_runs([experiment], "tags.live = 'synthetic'")
    return [point.step for run in runs for point in client.get_metric_history(run.info.run_id, "error_usd")]


def test_the_second_night_scores_the_first_ones_forecast(tiny):
    """Error in dollars and interval against the close that came; the forecast after it is by the new champion."""
    first = told(night("1", "2025-11-20"), "forecast")
    assert (first["forecast"]["session"], first["forecast"]["version"]) == ("2025-11-21", 1)
    assert first["scored"] is first["live"]["20"] is None
    folder = night("2", "2025-11-21")
    second, close = told(folder, "forecast"), pd.read_parquet(folder.path("validated.parquet"))["close"].iloc[-1]
    assert (second["scored"]["session"], second["scored"]["version"]) == ("2025-11-21", 1)
    assert second["scored"]["error_usd"] == pytest.approx(first["forecast"]["forecast_usd"] - close)
    assert second["live"]["60"]["rows"] == 1
    assert (second["forecast"]["session"], second["forecast"]["version"]) == ("2025-11-24", 2)
    assert len(live_points(tiny)) == 1


def test_restarting_any_task_adds_no_row_and_no_version(tiny):
    """Every step of both nights is called again, with its manifest and without."""
    for name, as_of in (("1", "2025-11-20"), ("2", "2025-11-21")):
        folder = night(name, as_of)
        before = ledger.read(tiny.ledger_place, "AAA")
        for step in FLOW:
            night(name, as_of, steps=[step])
        for step in FLOW[-2:]:  # killed before its manifest was written
            (manifest,) = [folder.path(f"{step.name}.manifest.json")]
            Path(manifest).unlink()
            night(name, as_of, steps=FLOW[FLOW.index(step) :])
        pd.testing.assert_frame_equal(ledger.read(tiny.ledger_place, "AAA"), before)
    registry = Registry(tiny)
    assert [one.number for one in registry.versions("AAA")] == [1, 2]
    assert [move.to for move in registry.history("AAA")] == [2, 1]
    assert len(live_points(tiny)) == 1


def test_killed_between_registering_and_moving_the_alias(tiny, monkeypatch):
    """The next night ends in one champion, that of the next night, and a late retry does not take it away."""
    night("1", "2025-11-19")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_move", lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            night("2", "2025-11-20")
    registry = Registry(tiny)
    assert (registry.champion("AAA").number, len(registry.versions("AAA"))) == (1, 2)
    folder = night("3", "2025-11-21")
    assert registry.champion("AAA").number == 3
    assert told(folder, "decision")["champion"] == 1
    late = night("2", "2025-11-20")
    assert registry.champion("AAA").number == 3
    assert "knows prices up to 2025-11-21" in told(late, "forecast")["why_not"]


def test_a_champion_with_a_later_cutoff_is_never_compared(tiny):
    """A run of the past: both dates are named, the champion stays, and nothing is forecast by looking ahead."""
    night("later", "2025-11-21")
    folder = night("past", "2025-10-21")
    decision, forecast = told(folder, "decision"), told(folder, "forecast")
    cutoffs = [one.tags["cutoff"] for one in Registry(tiny).versions("AAA")]
    assert (decision["promoted"], decision["champion_rmse_usd"]) == (False, None)
    assert all(cutoff in decision["reason"] for cutoff in cutoffs)
    (finding,) = folder.manifest("promote").outcome.findings
    assert all(cutoff in finding.observed + finding.limit for cutoff in cutoffs)
    assert Registry(tiny).champion("AAA").number == 1
    assert forecast["forecast"] is None
    assert ledger.read(tiny.ledger_place, "AAA")["as_of"].tolist() == [pd.Timestamp("2025-11-21")]


def test_prices_damaged_on_purpose_promote_nothing(tiny):
    """Rule `data`, and so there is no champion and no forecast."""
    folder = night("fault", "2025-11-21", fault="partial_bar")
    assert [rule["name"] for rule in told(folder, "decision")["rules"] if not rule["passed"]] == ["data"]
    assert "no champion yet" in told(folder, "forecast")["why_not"]
    assert ledger.read(tiny.ledger_place, "AAA").empty


def test_prices_damaged_on_purpose_are_not_forecast_from(tiny):
    """A champion is there: what was written down once would count, and a clean run could not replace it."""
    night("1", "2025-11-20")
    folder = night("fault", "2025-11-21", fault="unadjusted_split")
    assert "the injected fault unadjusted_split" in told(folder, "forecast")["why_not"]
    assert told(night("2", "2025-11-21"), "forecast")["forecast"]["run"] == "manual__2"
    assert ledger.read(tiny.ledger_place, "AAA")["run"].tolist() == ["manual__1", "manual__2"]


def test_a_run_that_is_cleared_under_new_code_replaces_its_own_champion(tiny, monkeypatch):
    """It trains again; the model that it had promoted stays whole until the new one is served, and afterwards."""
    night("1", "2025-11-20")
    night("2", "2025-11-21")
    monkeypatch.setattr(runner, "code_version", lambda: "changed")
    folder = night("2", "2025-11-21")
    registry = Registry(tiny)
    assert [(move.before, move.to) for move in registry.history("AAA")] == [(2, 3), (1, 2), (None, 1)]
    assert told(folder, "decision")["champion"] == 1
    assert told(folder, "decision")["promoted"]
    recorded = folder.manifest("forecast").results.recorded
    assert (recorded.version, recorded.session) == (3, dt.date(2025, 11, 24))
    for version in registry.versions("AAA"):
        assert registry.load("AAA", version)[1].ticker == "AAA"
    forecasts = ledger.read(tiny.ledger_place, "AAA")
    assert forecasts["version"].tolist() == [1, 2, 3]  # of the session's two the first counts


def test_a_decision_that_came_too_late_is_told_as_refused(tiny, monkeypatch):
    """In MLflow and in the report: another version became champion meanwhile."""
    night("1", "2025-11-19")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_move", lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            night("2", "2025-11-20")
    night("3", "2025-11-21")
    night("2", "2025-11-20")
    runs.report("manual__2", settings=runner.load_settings(tickers=("AAA",)))
    (result,) = json.loads(run_folder(tiny.store_url, "manual__2").read("results.json"))
    assert (result["decision"], result["refused_by"]) == ("refused", ["superseded"])
    client = mlflow.MlflowClient(tiny.mlflow_uri)
    unit, parent = (
        client.search_runs(["1"], f"tags.dag_run_id = 'manual__2' and tags.ticker = '{ticker}'")[0].data
        for ticker in ("AAA", "")
    )
    assert unit.tags["decision"].startswith("superseded: v3 became champion")
    assert (unit.metrics["promoted"], parent.metrics["promoted"], parent.metrics["refused"]) == (0, 0, 1)


def test_a_forecast_written_after_its_close_is_told_as_such(tiny, monkeypatch):
    """Nights that are made up for later: both sessions have closed long ago."""
    night("1", "2025-11-20")
    live = told(night("2", "2025-11-21"), "forecast")["live"]["20"]
    assert (live["rows"], live["late"]) == (1, 1)
    runs.report("manual__2", settings=runner.load_settings(tickers=("AAA",)))
    page = run_folder(tiny.store_url, "manual__2").read("report.html").decode()
    assert "(1 written after the close)" in page
    in_time, read = pd.Timestamp("2025-11-20 23:00", tz="UTC"), ledger.read
    monkeypatch.setattr(ledger, "read", lambda *place: read(*place).assign(created=in_time))
    assert told(night("3", "2025-11-21"), "forecast")["live"]["20"]["late"] == 0


def test_made_up_prices_replace_no_champion_of_real_ones(tiny, tmp_path):
    """And real ones replace a synthetic champion without beating it: it was of another market."""
    night("synthetic", "2025-11-19")
    frame = sample.fetch("BBB", pd.Timestamp("2022-01-03").date(), pd.Timestamp("2025-11-21").date(), calendar="XNYS")
    frame.to_csv(tmp_path / "AAA.csv")
    real = night("real", "2025-11-20", source="files", prices=tmp_path)
    assert (told(real, "decision")["promoted"], told(real, "decision")["champion"]) == (True, None)
    again = night("synthetic-again", "2025-11-21")
    assert [rule["name"] for rule in told(again, "decision")["rules"]] == ["market"]
    assert "trained on real prices" in told(again, "forecast")["why_not"]
    assert Registry(tiny).champion("AAA").number == 2


@pytest.mark.usefixtures("tiny")
def test_a_split_between_forecast_and_score_is_no_error(tmp_path):
    """The pending forecast is rescaled; a champion that knows price levels forecasts in the new dollars."""
    frame = sample.fetch("BBB", pd.Timestamp("2022-01-03").date(), pd.Timestamp("2025-11-21").date(), calendar="XNYS")
    frame.loc[:"2025-11-20"].to_csv(tmp_path / "AAA.csv")
    levels = {"source": "files", "prices": tmp_path, "preset": "tutorial"}
    patch = pytest.MonkeyPatch()
    for field, value in {"lookback": 5, "units": "[3, 2]", "epochs": 60, "batch_size": 64}.items():
        patch.setenv(f"CLOSECAST_PRESETS__TUTORIAL__{field.upper()}", str(value))
    gate = {"tolerance": 1000, "significance": 1e-9, "min_coverage_95": 0, "max_coverage_95": 1}
    patch.setenv("CLOSECAST_GATE", json.dumps(gate))
    before = told(night("before", "2025-11-20", **levels), "forecast")["forecast"]
    split = frame.copy()
    split[["open", "high", "low", "close"]] /= 10
    split["volume"] *= 10
    split["splits"] = np.where(split.index == "2025-11-21", 10.0, 0.0)
    split.to_csv(tmp_path / "AAA.csv")
    folder = night("after", "2025-11-21", **levels)
    patch.undo()
    scored, decision = told(folder, "forecast")["scored"], told(folder, "decision")
    assert scored["forecast_usd"] == pytest.approx(before["forecast_usd"] / 10)
    assert scored["high_95_usd"] == pytest.approx(before["high_95_usd"] / 10)
    assert scored["last_close_usd"] == pytest.approx(before["last_close_usd"] / 10)
    rmse = folder.manifest("evaluate").outcome.metrics["rmse_usd"]
    assert decision["champion_rmse_usd"] == pytest.approx(rmse, rel=0.25)  # and not ten times as large


def test_walk_forward_shows_each_fold_and_the_whole(tiny):
    """Each test row once, each by a network that could know no more than the row two before it."""
    folder = night("walked", "2025-11-21", walk_forward=3)
    rows = pd.read_parquet(folder.path("walk_forward.parquet"))
    tested = pd.read_parquet(folder.path("predictions.parquet"))
    assert rows.index.tolist() == tested.index.tolist()
    assert (pd.to_datetime(rows["cutoff"]) < rows.index - pd.Timedelta(days=1)).all()
    metrics = folder.manifest("evaluate").outcome.metrics
    assert metrics["walk_forward/naive_rmse_usd"] == pytest.approx(metrics["naive_rmse_usd"])
    client = mlflow.MlflowClient(tiny.mlflow_uri)
    (run,) = client.search_runs(["1"], "tags.ticker = 'AAA'")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "fold/skill")] == [1, 2, 3]
    assert run.data.metrics["walk_forward/skill"] == metrics["walk_forward/skill"]


def test_the_decision_is_in_mlflow_rule_by_rule(tiny):
    """As tags of the run and of the version, and as its description."""
    night("1", "2025-11-20")
    night("2", "2025-11-21")
    client = mlflow.MlflowClient(tiny.mlflow_uri)
    version = client.get_model_version_by_alias("closecast-AAA", "champion")
    run = client.get_run(version.run_id)
    for rule in ("data", "rmse", "naive", "coverage", "champion"):
        assert run.data.tags[f"decision.{rule}"] == version.tags[f"decision.{rule}"]
        assert version.tags[f"decision.{rule}"].startswith("pass: ")
        assert f"| {rule} |" in version.description
    assert run.data.tags["decision"] == "promoted: all 5 rules hold"
    assert run.data.metrics["champion_rmse_usd"] > 0


def test_forecasts_that_decayed_are_a_finding_and_an_alert(tiny, monkeypatch):
    """30 served forecasts, each 10 % off: skill and coverage are named with their limits, in the alert too."""
    closes = sample.fetch("AAA", dt.date(2022, 1, 3), dt.date(2025, 11, 21), calendar="XNYS")["close"]
    for session, before in zip(closes.index[-31:-1], closes.index[-32:-2], strict=True):
        made, last = 1.1 * closes[session], closes[before]
        bounds = {"low_80_usd": made - 1, "high_80_usd": made + 1, "low_95_usd": made - 2, "high_95_usd": made + 2}
        row = ForecastRecord(
            ticker="AAA", session=session.date(), version=1, run="old", as_of=before.date(),
            created=before.to_pydatetime().replace(tzinfo=dt.UTC), source="sample", synthetic=True,
            last_close_usd=last, forecast_usd=made, anchor_session=before.date(), anchor_close_usd=last, **bounds,
        )  # fmt: skip
        ledger.write(tiny.ledger_place, row)
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        folder = night("1", "2025-11-21")
        runs.report("manual__1", settings=runner.load_settings(tickers=("AAA",)))
    findings = folder.manifest("forecast").outcome.findings
    assert [(one.rule, one.severity) for one in findings] == [("Served forecasts should not decay", "warning")] * 2
    assert "over 30 served forecasts (limit: at least -0.0200)" in findings[0].observed
    assert "0.0% of 30 closes inside their 95 % interval (limit: at least 85.0%)" in findings[1].observed
    (alert,) = (one for one in hook.told if "decay" in one.body)
    assert "closecast champion rollback AAA" in alert.body
    assert b"Served forecasts should not decay" in run_folder(tiny.store_url, "manual__1").read("report.html")


def test_the_ledger_can_be_a_table_of_a_database(tiny, tmp_path, monkeypatch):
    """By its URL, through the real steps; `closecast forecast` reads it there."""
    monkeypatch.setenv("CLOSECAST_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    night("1", "2025-11-20")
    folder = night("2", "2025-11-21")
    assert told(folder, "forecast")["scored"]["session"] == "2025-11-21"
    place = runner.load_settings().ledger_place
    assert ledger.read(place, "AAA")["session"].dt.day.tolist() == [21, 24]
    assert not Path(tiny.ledger_place).exists()
