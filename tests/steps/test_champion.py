"""A champion that stays, through the real steps with a real registry: tonight's intervals around its forecasts."""

from pathlib import Path

import mlflow
import numpy as np
import pytest

from pipeline.forecasting import inference, intervals, training
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.forecaster import predicted, scale_of
from pipeline.serving import ledger
from pipeline.steps import FLOW, Unit, champion
from pipeline.store.formats import frame_of, json_of
from pipeline.store.runs import read_plan
from pipeline.tracking.registry import Registry
from tests.support.nights import json_in, night

# Both networks forecast as naive here, so that no challenger has a smaller error.
STAYS = {"gate": {"policy": "if_better"}}


@pytest.fixture
def stayed(one_night):
    """Return settings with a second night, in which the champion of the first one stayed."""
    night("2", "2025-11-21", **STAYS)
    return one_night


def unit_of(settings, run, step="promote"):
    """Return AAA as a step of a run sees it."""
    names = [one.name for one in FLOW]
    folder = night(run, "2025-11-21", steps=(), **STAYS)
    plan = read_plan(settings.store_url, f"manual__{run}")
    before = tuple(names[: names.index(step)])
    return Unit("AAA", plan, folder, settings, Registry(settings), FLOW[names.index(step)], before)


def test_it_is_registered_again_under_its_own_weights(stayed):
    """Version 1 trained, 2 was refused, 3 is 1 with the intervals of the second night; the next night it is 5."""
    registry = Registry(stayed)
    first, refused, served = registry.versions("AAA")
    assert refused.tags["decision"].startswith("refused: champion")
    assert registry.champion("AAA") == served
    assert (served.weights_of, served.run_id, served.cutoff) == (1, first.run_id, first.cutoff)
    assert (str(served.as_of), served.dag_run_id) == ("2025-11-21", "manual__2")
    networks = [inference.to_bytes(registry.load("AAA", one).network) for one in (first, served)]
    assert networks[0] == networks[1]
    assert ledger.read(stayed.ledger_place, "AAA")["version"].tolist() == [1, 3]
    night("3", "2025-11-24", **STAYS)
    assert (registry.champion("AAA").number, registry.champion("AAA").weights_of) == (5, 1)


def test_repeating_every_task_adds_no_version(stayed):
    """With the manifest of each step, and without that of `promote`."""
    for step in FLOW:
        night("2", "2025-11-21", steps=[step], **STAYS)
    folder = night("2", "2025-11-21", steps=(), **STAYS)
    Path(folder.path("promote.manifest.json")).unlink()  # killed before it was written
    night("2", "2025-11-21", steps=FLOW[-2:], **STAYS)
    assert [one.number for one in Registry(stayed).versions("AAA")] == [1, 2, 3]
    assert ledger.read(stayed.ledger_place, "AAA")["version"].tolist() == [1, 3]


def test_its_half_widths_are_those_of_a_slow_reference(stayed):
    """Residuals of the network of its evaluation on rows that did not fit it, and of its scale on rows before them."""
    registry = Registry(stayed)
    served = registry.champion("AAA")
    folder = night("2", "2025-11-21", steps=(), **STAYS)
    prices = frame_of(folder.read("validated.parquet"))
    bars = Bars(*(prices[name].to_numpy("float64") for name in Bars._fields))
    network, evaluated = registry.load_evaluation("AAA", served)
    recipe = registry.load("AAA", served)[1]
    evaluated = evaluated.with_weights_of(recipe)
    first = json_of(folder.read("rows.json"))["windows"]["validation"][0]
    rows = range(recipe.first_forecast, len(bars.close))
    said = predicted(network, bars, rows, evaluated)
    scale = scale_of(said, evaluated)
    scale[: first - rows.start] = said.scales[: first - rows.start, 0]  # the EWMA of the range
    last = bars.close[rows.start - 1 : rows.stop - 1]
    residuals = np.abs(np.log(bars.close[rows.start :] / last)) / scale
    assert recipe.weight == 0
    known = recipe.distribution
    widths = intervals.roll(residuals, len(residuals), most=known.calibration_rows, step=known.adaptive_step)[-1]
    assert recipe.widths == pytest.approx(widths, rel=1e-9)
    assert recipe.widths.tolist() != registry.load("AAA", registry.versions("AAA")[0])[1].widths.tolist()


def test_the_served_model_gives_the_ledgers_quantiles(stayed):
    """Asked by its alias, on a night on which the champion stayed."""
    folder = night("2", "2025-11-21", steps=(), **STAYS)
    prices = frame_of(folder.read("validated.parquet"))[["open", "high", "low", "close"]].reset_index(drop=True)
    mlflow.set_tracking_uri(stayed.mlflow_uri)
    (answer,) = mlflow.pyfunc.load_model("models:/closecast-AAA@champion").predict(prices).to_dict("records")
    row = ledger.record_of(ledger.read(stayed.ledger_place, "AAA").iloc[-1])
    assert row.version == 3
    assert [answer[f"q{level:02d}"] for level in range(5, 100, 5)] == pytest.approx(row.quantiles, rel=1e-6)
    assert (answer["low_95"], answer["scale"]) == pytest.approx((row.low_95, row.scale), rel=1e-6)


def test_a_run_of_the_past_and_damaged_prices_do_not_calibrate_it(one_night):
    """Neither may replace intervals that know more."""
    night("past", "2025-11-19", **STAYS)
    night("fault", "2025-11-21", fault="partial_bar")
    assert Registry(one_night).champion("AAA").number == 1
    assert not [one for one in Registry(one_night).versions("AAA") if "weights_of" in one.tags]


def test_a_reference_that_took_the_place_of_the_network_is_compared_as_it_is_served(one_night):
    """The network of its evaluation has weights of its own, which nobody was served by."""
    strict = {"gate": {"min_coverage_95": 0.99, "max_coverage_95": 0.991}}
    folder = night("2", "2025-11-21", **strict, presets={"daily": {"blend": False}})
    assert folder.manifest("evaluate").outcome.tags["candidate"].endswith("alone")
    registry = Registry(one_night)
    registry.set_champion("AAA", 2, "by hand")
    night("3", "2025-11-24", steps=FLOW[:-2], **STAYS)
    unit = unit_of(one_night, "3")
    loaded = champion.load(unit, registry.champion("AAA"))
    assert json_in(folder, "recipe")["weight"] == 1
    assert (loaded.evaluated.recipe.weight, loaded.evaluated.recipe.uses_network) == (0, False)


@pytest.fixture
def spoilt(tiny, monkeypatch):
    """Return a store with a champion whose refit changed the network of its evaluation."""
    with monkeypatch.context() as patch:
        patch.setattr(training._Trainer, "own_network", lambda trainer: trainer.network)
        night("1", "2025-11-20")
    assert champion.load(unit_of(tiny, "1"), Registry(tiny).champion("AAA")).is_spoilt
    return tiny


def test_a_champion_that_was_evaluated_on_rows_it_had_seen_is_not_compared(spoilt):
    """Tonight's version is judged as the first one, and takes its place."""
    folder = night("2", "2025-11-21", **STAYS)
    decision = json_in(folder, "decision")
    assert (decision["champion"], decision["champion_rmse"]) == (None, None)
    assert "must not have seen its test rows" in folder.manifest("promote").outcome.findings[0].rule
    served = Registry(spoilt).champion("AAA")
    assert served.number == 2
    night("3", "2025-11-24")
    assert not champion.load(unit_of(spoilt, "3"), served).is_spoilt


@pytest.mark.usefixtures("spoilt")
def test_such_a_champion_is_not_carried_through_the_next_night():
    """A night between two trainings would serve it again."""
    folder = night("2", "2025-11-21", retrain_every=5)
    assert folder.manifest("train").outcome.metrics["fit_seconds"] > 0
