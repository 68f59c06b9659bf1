"""The ladder through the real steps: the same rows for every rung, visible in MLflow, nothing promoted."""

import datetime as dt
import functools
import itertools

import mlflow
import pytest
from typer.testing import CliRunner

from pipeline import ladder
from pipeline.cli import app
from pipeline.errors import StoreError
from pipeline.ladder import Rung
from pipeline.prices import snapshot
from pipeline.settings import load_settings
from pipeline.tracking.registry import Registry
from tests.support.nights import silent_for
from tests.support.tiny import set_network

REFERENCES = ("constant", "EWMA of closes", "EWMA of the range", "GJR-GARCH")


@pytest.fixture
def small(tiny, monkeypatch):
    """Return settings in which every preset trains in seconds."""
    for preset in ladder.LADDER:
        set_network(monkeypatch, preset, epochs=2)
    return tiny


def test_the_ladder_has_every_rung_on_the_same_rows(small):
    """Printed with skill, seconds and device, and logged as one run per preset that share a tag."""
    answer = CliRunner().invoke(app, ["compare", "--tickers", "AAA"])
    assert answer.exit_code == 0, answer.output
    client = mlflow.MlflowClient(small.mlflow_uri)
    runs = client.search_runs(["1"], "tags.ticker = ''")
    assert {run.data.tags["preset"] for run in runs} == {"daily", "gru", "lstm"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.data.tags["compare"] for run in runs}) == 1
    logged = mlflow.artifacts.load_dict(f"runs:/{runs[0].info.run_id}/compare.json")
    ladder = {one["name"]: one for one in logged["ladder"]}
    assert list(ladder) == ["naive", "AR(1)", *REFERENCES, "SimpleRNN", "GRU", "LSTM"]
    for name in (*REFERENCES, "SimpleRNN", "GRU", "LSTM"):
        rung = ladder[name]
        assert 0 < rung["pinball_pct"] < rung["interval_score_95_pct"]
        assert 0.5 < rung["coverage_95"] <= 1
    assert {ladder[name]["rmse"] for name in REFERENCES} == {ladder["naive"]["rmse"]}
    assert ladder["naive"]["skill"] == 0
    assert {one["currency"] for one in ladder.values()} == {"USD"}
    for name in ("SimpleRNN", "GRU", "LSTM"):
        rung = ladder[name]
        assert rung["skill"] == pytest.approx(1 - rung["rmse"] / ladder["naive"]["rmse"])
        assert rung["seconds"] > 0
        assert rung["device"].startswith("cpu")
        assert runs[0].data.metrics[f"median_skill/{name}"] == pytest.approx(rung["skill"])
    parameters = [run.data.params["cell"] for run in client.search_runs(["1"], "tags.ticker = 'AAA'")]
    assert sorted(parameters) == ["gru", "lstm", "simple_rnn"]
    assert Registry(small).versions("AAA") == []


def test_a_ticker_without_prices_has_a_reason_on_each_rung(small, tmp_path):
    """And no rung has a figure."""
    (tmp_path / "AAA.csv").write_text("Date,Price\n2025-11-21,1\n")
    rungs = ladder.compare(small.model_copy(update={"source": "files", "prices": tmp_path, "tickers": ("AAA",)}))
    assert [rung.name for rung in rungs] == ["SimpleRNN", "GRU", "LSTM"]
    assert all("'Date', 'Price'" in rung.reason for rung in rungs)
    assert {rung.rmse for rung in rungs} == {None}


def statuses(settings):
    """Return how the runs of the presets ended."""
    client = mlflow.MlflowClient(settings.mlflow_uri)
    return [run.info.status for run in client.search_runs(["1"], "tags.ticker = ''")]


@pytest.fixture
def uneven(small, monkeypatch):
    """Compare AAA on rows that differ from preset to preset, and BBB without an answer of the source.

    GRU has another train_fraction. The source corrects a volume of AAA each time, and a close before LSTM asks.
    """
    monkeypatch.setenv("CLOSECAST_PRESETS__GRU__TRAIN_FRACTION", "0.7")
    real, asked = silent_for("BBB"), itertools.count(1)

    def restless(ticker, plan, settings):
        quoted, time = real(ticker, plan, settings), next(asked)
        prices = quoted.prices
        prices.iloc[-3, prices.columns.get_loc("volume")] += time
        if time == 3:
            prices.iloc[-3, prices.columns.get_loc("close")] *= 1.0001
        return quoted

    monkeypatch.setattr(snapshot, "fetch", restless)
    settings = load_settings(tickers=("AAA", "BBB"))
    assert settings.var_dir == small.var_dir
    return settings, ladder.compare(settings)


def test_what_goes_wrong_costs_one_rung_or_one_ticker(uneven):
    """A rung of other rows has a reason and no figure; a corrected volume is none. BBB's rungs say why."""
    settings, rungs = uneven
    mine = {one.name: one for one in rungs if one.ticker == "AAA"}
    assert [one.name for one in mine.values() if not one.reason] == ["naive", "AR(1)", *REFERENCES, "SimpleRNN"]
    assert "the same rows: 294 rows from" in mine["GRU"].reason
    assert "train_fraction" in mine["GRU"].reason
    assert "the same closes" in mine["LSTM"].reason
    assert mine["GRU"].skill is mine["LSTM"].skill is None
    assert [(one.name, "HTTP 429" in one.reason) for one in rungs if one.ticker == "BBB"] == [
        (name, True) for name in ("SimpleRNN", "GRU", "LSTM")
    ]
    assert statuses(settings) == ["FAILED"] * 3


def test_a_session_that_closes_meanwhile_is_in_no_preset(small, monkeypatch):
    """All presets know the same last session, that of the moment of the command."""
    closed = itertools.chain([dt.date(2025, 11, 20)], itertools.repeat(dt.date(2025, 11, 21)))
    newest = functools.cache(lambda _name, _now, _closed: next(closed))  # another moment, another session
    monkeypatch.setattr("pipeline.calendar.last_closed_session", newest)
    ladder.compare(small.model_copy(update={"as_of": None, "fault": "truncated"}))  # stops before training
    client = mlflow.MlflowClient(small.mlflow_uri)
    assert [run.data.tags["as_of"] for run in client.search_runs(["1"], "tags.ticker = ''")] == ["2025-11-20"] * 3


def test_a_ladder_that_cannot_be_built_leaves_no_run_open(small, monkeypatch):
    """Whatever goes wrong after training."""
    monkeypatch.setattr(ladder, "_ladder", lambda *_: (_ for _ in ()).throw(StoreError("The disk.", "full", "Room.")))
    with pytest.raises(StoreError):
        ladder.compare(small.model_copy(update={"fault": "truncated"}))
    assert statuses(small) == ["KILLED"] * 3


def test_medians_by_hand():
    """Over the tickers that have a figure."""
    rungs = [Rung("A", "GRU", skill=0.1), Rung("B", "GRU", skill=0.3), Rung("C", "GRU"), Rung("A", "naive", skill=0.0)]
    assert ladder.medians(rungs) == {"GRU": pytest.approx(0.2), "naive": 0.0}
