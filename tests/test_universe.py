"""A universe: one network for all tickers of a run, with the recipe, the run and the version of each."""

import json

import pytest

from pipeline import runner, runs
from pipeline.settings import load_settings
from pipeline.store.runs import read_plan
from pipeline.tracking.registry import Registry
from tests.support.nights import folder_of_run, json_in, sample_prices
from tests.support.tiny import WIDE_GATE, tiny_settings


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Return settings of three tickers with a shared network: LATE begins years later, BAD has no close."""
    home = tmp_path_factory.mktemp("universe")
    prices = home / "prices"
    prices.mkdir()
    for ticker in ("AAA", "BBB"):
        sample_prices(ticker).to_csv(prices / f"{ticker}.csv")
    sample_prices("LATE").iloc[-150:].to_csv(prices / "LATE.csv")
    (prices / "BAD.csv").write_text("Date,Price\n2025-11-21,1\n")
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home, scope="universe")
        patch.setenv("CLOSECAST_GATE", WIDE_GATE)
        patch.setenv("CLOSECAST_MIN_HISTORY", "20")
        patch.setenv("CLOSECAST_PRICES", str(prices))
        yield load_settings(source="files", tickers=("AAA", "BAD", "BBB", "LATE"))


def run_all(settings, name):
    """Do all stages of a run as one process does, and return the names of the steps of each stage."""
    batches = runs.plan(settings, name)
    stages = runs.stages(read_plan(settings.store_url, batches[0]["run"]), batches)
    for stage in stages:
        runs.run_stage(settings, stage, None)
    return stages


@pytest.fixture(scope="module")
def one_by_one(market):
    """Return the stages of a run with one ticker in each batch."""
    return run_all(market.model_copy(update={"batch_size": 1}), "manual__one")


def test_train_gathers_all_batches(one_by_one):
    """Four batches up to `window`, one training, four batches from `evaluate` on."""
    assert [(stage.steps[0].name, stage.steps[-1].name) for stage in one_by_one] == [
        *[("ingest", "window")] * 4, ("train", "train"), *[("evaluate", "forecast")] * 4,
    ]  # fmt: skip
    assert one_by_one[4].batch["tickers"] == ["AAA", "BAD", "BBB", "LATE"]


@pytest.mark.usefixtures("one_by_one")
def test_each_ticker_has_the_network_and_a_recipe_of_its_own(market):
    """A ticker that failed costs no other its forecast; each has its own version that serves alone."""
    folders = {ticker: folder_of_run(market, "manual__one", ticker) for ticker in ("AAA", "BBB", "LATE")}
    recipes = {ticker: json_in(folder, "recipe") for ticker, folder in folders.items()}
    assert len({recipe["center"] for recipe in recipes.values()}) == 3
    curves = {json.dumps(json_in(folder, "history")) for folder in folders.values()}
    assert len(curves) == 1
    for ticker, folder in folders.items():
        assert json_in(folder, "forecast")["forecast"]["ticker"] == ticker
        assert Registry(market).champion(ticker).number == 1
    assert folder_of_run(market, "manual__one", "BAD").manifest("train") is None


@pytest.mark.usefixtures("one_by_one")
def test_one_date_begins_the_test_rows_of_all_that_the_network_learned(market):
    """LATE has no rows before it: it keeps its own split, and gets the reference."""
    tags = {
        ticker: folder_of_run(market, "manual__one", ticker).manifest("train").outcome.tags
        for ticker in ("AAA", "BBB", "LATE")
    }
    assert tags["AAA"]["first_test_session"] == tags["BBB"]["first_test_session"]
    assert tags["LATE"]["first_test_session"] > tags["AAA"]["first_test_session"]
    late = json_in(folder_of_run(market, "manual__one", "LATE"), "recipe")
    assert (late["weight"], late["distribution"]["scale_weights"]) == (0.0, [1.0, 0.0, 0.0, 0.0, 0.0])
    assert {one["cutoff"] for one in tags.values()} == {"2025-11-21"}


@pytest.mark.usefixtures("one_by_one")
def test_figures_do_not_depend_on_the_batches(market):
    """One batch of all tickers gives the same scores and forecasts to the last bit."""
    run_all(market.model_copy(update={"batch_size": 4}), "manual__all")
    for ticker in ("AAA", "BBB", "LATE"):
        one, other = (folder_of_run(market, run, ticker) for run in ("manual__one", "manual__all"))
        assert one.read("metrics.json") == other.read("metrics.json")
        assert one.read("predictions.parquet") == other.read("predictions.parquet")
        assert one.read("served.json") == other.read("served.json")


def test_a_retry_reuses_the_trained_network(market, one_by_one, monkeypatch):
    """Called again, `train` fits nothing."""
    from pipeline.forecasting import training

    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained again"))
    runner.run("train", one_by_one[4].batch, settings=market.model_copy(update={"batch_size": 1}))
