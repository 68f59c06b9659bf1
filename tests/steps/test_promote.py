"""Gate and champion through the real steps, with a real registry: night after night."""

import datetime as dt
import json
from pathlib import Path
from typing import NamedTuple

import mlflow
import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.serving import ledger
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW
from pipeline.store.runs import run_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.versions import Version
from tests.support.nights import folder_of_run, json_in, live_points, night, sample_prices
from tests.support.tiny import tiny_settings


class LateRetry(NamedTuple):
    """Night 2 was killed before it moved the alias. Night 3 ran, and then the retry of night 2."""

    home: Path
    settings: Settings
    after_the_kill: Version  # the champion
    versions_after_the_kill: int
    after_the_next_night: Version  # the champion


@pytest.fixture(scope="module")
def late_retry(tmp_path_factory):
    """Run the three nights and the retry. The tests only read them."""
    home = tmp_path_factory.mktemp("late-retry")
    with pytest.MonkeyPatch.context() as environment:
        settings = tiny_settings(environment, home)
        night("1", "2025-11-19")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Registry, "_move", lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                night("2", "2025-11-20")
        registry = Registry(settings)
        after_the_kill = registry.champion("AAA")
        versions = len(registry.versions("AAA"))
        night("3", "2025-11-21")
        after_the_next_night = registry.champion("AAA")
        night("2", "2025-11-20")
    return LateRetry(home, settings, after_the_kill, versions, after_the_next_night)


def test_restarting_any_task_adds_no_row_and_no_version(two_nights_copied):
    """Every step of both nights is called again, with its manifest and without."""
    for name, as_of in (("1", "2025-11-20"), ("2", "2025-11-21")):
        folder = night(name, as_of)
        before = ledger.read(two_nights_copied.ledger_place, "AAA")
        for step in FLOW:
            night(name, as_of, steps=[step])
        for step in FLOW[-2:]:  # killed before its manifest was written
            (manifest,) = [folder.path(f"{step.name}.manifest.json")]
            Path(manifest).unlink()
            night(name, as_of, steps=FLOW[FLOW.index(step) :])
        pd.testing.assert_frame_equal(ledger.read(two_nights_copied.ledger_place, "AAA"), before)
    registry = Registry(two_nights_copied)
    assert [one.number for one in registry.versions("AAA")] == [1, 2]
    assert [move.to for move in registry.history("AAA")] == [2, 1]
    assert len(live_points(two_nights_copied)) == 1


def test_killed_between_registering_and_moving_the_alias(late_retry):
    """The next night ends in one champion, that of the next night, and a late retry does not take it away."""
    assert (late_retry.after_the_kill.number, late_retry.versions_after_the_kill) == (1, 2)
    assert late_retry.after_the_next_night.number == 3
    assert json_in(folder_of_run(late_retry.settings, "manual__3"), "decision")["champion"] == 1
    assert Registry(late_retry.settings).champion("AAA").number == 3
    late = folder_of_run(late_retry.settings, "manual__2")
    assert "knows prices up to 2025-11-21" in json_in(late, "forecast")["why_not"]


def test_a_champion_with_a_later_cutoff_is_never_compared(tiny):
    """A run of the past: both dates are named, the champion stays, and nothing is forecast by looking ahead."""
    night("later", "2025-11-21")
    folder = night("past", "2025-10-21")
    decision, forecast = json_in(folder, "decision"), json_in(folder, "forecast")
    cutoffs = [one.tags["evaluation_cutoff"] for one in Registry(tiny).versions("AAA")]
    assert (decision["promoted"], decision["champion_rmse"]) == (False, None)
    assert all(cutoff in decision["reason"] for cutoff in cutoffs)
    (finding,) = folder.manifest("promote").outcome.findings
    assert all(cutoff in finding.observed + finding.limit for cutoff in cutoffs)
    assert Registry(tiny).champion("AAA").number == 1
    assert forecast["forecast"] is None
    assert ledger.read(tiny.ledger_place, "AAA")["as_of"].tolist() == [pd.Timestamp("2025-11-21")]


def test_prices_damaged_on_purpose_promote_nothing(tiny):
    """Rule `data`, and so there is no champion and no forecast."""
    folder = night("fault", "2025-11-21", fault="partial_bar")
    assert [rule["name"] for rule in json_in(folder, "decision")["rules"] if not rule["passed"]] == ["data"]
    assert "no champion yet" in json_in(folder, "forecast")["why_not"]
    assert ledger.read(tiny.ledger_place, "AAA").empty


def test_a_run_that_is_cleared_under_new_code_replaces_its_own_champion(two_nights_copied, monkeypatch):
    """It trains again; the model that it had promoted stays whole until the new one is served, and afterwards."""
    monkeypatch.setattr(runner, "code_version", lambda: "changed")
    folder = night("2", "2025-11-21")
    registry = Registry(two_nights_copied)
    assert [(move.before, move.to) for move in registry.history("AAA")] == [(2, 3), (1, 2), (None, 1)]
    assert json_in(folder, "decision")["champion"] == 1
    assert json_in(folder, "decision")["promoted"]
    recorded = folder.manifest("forecast").results.recorded
    assert (recorded.version, recorded.session) == (3, dt.date(2025, 11, 24))
    for version in registry.versions("AAA"):
        assert registry.load("AAA", version)[1].ticker == "AAA"
    forecasts = ledger.read(two_nights_copied.ledger_place, "AAA")
    assert forecasts["version"].tolist() == [1, 2, 3]  # of the session's two the first counts


def test_a_decision_that_came_too_late_is_shown_as_refused(late_retry, monkeypatch):
    """In MLflow and in the report: another version became champion meanwhile."""
    settings = tiny_settings(monkeypatch, late_retry.home)
    runs.report("manual__2", settings=load_settings(tickers=("AAA",)))
    (result,) = json.loads(run_folder(settings.store_url, "manual__2").read("results.json"))["tickers"]
    assert (result["decision"], result["refused_by"]) == ("refused", ["superseded"])
    client = mlflow.MlflowClient(settings.mlflow_uri)
    unit, parent = (
        client.search_runs(["1"], f"tags.dag_run_id = 'manual__2' and tags.ticker = '{ticker}'")[0].data
        for ticker in ("AAA", "")
    )
    assert unit.tags["decision"].startswith("superseded: v3 became champion")
    assert (unit.metrics["promoted"], parent.metrics["promoted"], parent.metrics["refused"]) == (0, 0, 1)


def test_made_up_prices_replace_no_champion_of_real_ones(one_night, tmp_path):
    """And real ones replace a synthetic champion without beating it: it was of another market."""
    frame = sample_prices("BBB")
    frame.to_csv(tmp_path / "AAA.csv")
    real = night("real", "2025-11-21", source="files", prices=tmp_path)
    assert (json_in(real, "decision")["promoted"], json_in(real, "decision")["champion"]) == (True, None)
    again = night("synthetic-again", "2025-11-24")
    assert [rule["name"] for rule in json_in(again, "decision")["rules"]] == ["market"]
    assert "trained on real prices" in json_in(again, "forecast")["why_not"]
    assert Registry(one_night).champion("AAA").number == 2


def test_the_decision_is_in_mlflow_rule_by_rule(two_nights):
    """As tags of the run and of the version, and as its description."""
    client = mlflow.MlflowClient(two_nights.mlflow_uri)
    version = client.get_model_version_by_alias("closecast-AAA", "champion")
    run = client.get_run(version.run_id)
    for rule in ("data", "rmse", "naive", "coverage", "interval", "champion", "champion_interval"):
        assert run.data.tags[f"decision.{rule}"] == version.tags[f"decision.{rule}"]
        assert version.tags[f"decision.{rule}"].startswith("pass: ")
        assert f"| {rule} |" in version.description
    assert run.data.tags["decision"] == "promoted: all 7 rules hold"
    assert run.data.metrics["champion_rmse"] > 0
