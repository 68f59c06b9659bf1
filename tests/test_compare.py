"""The ladder through the real steps: the same rows for every rung, visible in MLflow, nothing promoted."""

import mlflow
import pytest
from typer.testing import CliRunner

from pipeline import compare
from pipeline.cli import app
from pipeline.compare import Rung
from pipeline.registry import Registry


@pytest.fixture
def small(tiny, monkeypatch):
    """Return settings in which every preset trains in seconds."""
    for preset in compare.LADDER:
        for field, value in {"lookback": 5, "units": "[3, 2]", "epochs": 2, "batch_size": 64}.items():
            monkeypatch.setenv(f"CLOSECAST_PRESETS__{preset.upper()}__{field.upper()}", str(value))
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
    assert list(ladder) == ["naive", "AR(1)", "SimpleRNN", "GRU", "LSTM"]
    assert ladder["naive"]["skill"] == 0
    for name in ("SimpleRNN", "GRU", "LSTM"):
        rung = ladder[name]
        assert rung["skill"] == pytest.approx(1 - rung["rmse_usd"] / ladder["naive"]["rmse_usd"])
        assert rung["seconds"] > 0
        assert rung["device"].startswith("cpu")
        assert runs[0].data.metrics[f"median_skill/{name}"] == pytest.approx(rung["skill"])
    parameters = [run.data.params["cell"] for run in client.search_runs(["1"], "tags.ticker = 'AAA'")]
    assert sorted(parameters) == ["gru", "lstm", "simple_rnn"]
    assert Registry(small).versions("AAA") == []


def test_a_ticker_without_prices_has_a_reason_on_each_rung(small, tmp_path, monkeypatch):
    """And fails the command."""
    (tmp_path / "AAA.csv").write_text("Date,Price\n2025-11-21,1\n")
    monkeypatch.setenv("CLOSECAST_PRICES", str(tmp_path))
    answer = CliRunner().invoke(app, ["compare", "--tickers", "AAA", "--source", "files"])
    assert answer.exit_code == 1
    rungs = compare.compare(small.model_copy(update={"source": "files", "prices": tmp_path, "tickers": ("AAA",)}))
    assert [rung.name for rung in rungs] == ["SimpleRNN", "GRU", "LSTM"]
    assert all("'Date', 'Price'" in rung.reason for rung in rungs)


def test_medians_by_hand():
    """Over the tickers that have a figure."""
    rungs = [Rung("A", "GRU", skill=0.1), Rung("B", "GRU", skill=0.3), Rung("C", "GRU"), Rung("A", "naive", skill=0.0)]
    assert compare.medians(rungs) == {"GRU": pytest.approx(0.2), "naive": 0.0}
