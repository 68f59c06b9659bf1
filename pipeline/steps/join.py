"""A ticker that comes after the shared training of its night: it takes tonight's network, with a recipe of its own.

A person accepted its prices after the others were trained. Training again would change the network that serves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.forecasting import inference
from pipeline.forecasting.adoption import Adopted, adopt
from pipeline.forecasting.recipe import Recipe
from pipeline.outcome import Outcome
from pipeline.steps.histories import Ticker, cut_at, evaluated_history, read, whole_history
from pipeline.steps.rows import BORDER_TAGS, borders_in, rows_json
from pipeline.store.runs import unit_folder
from pipeline.tracking.versions import LAST_TRAINING, TRAINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.outcome import Manifest
    from pipeline.steps.unit import Unit
    from pipeline.store.folder import Folder

JOINED = "joined"  # tag: the ticker with the network that this one took
# Tags of the training. LAST_TRAINING is there on a night on which the others carried their network.
_SHARED = ("device", "device_name", "backend", "intervals", *BORDER_TAGS, TRAINED, LAST_TRAINING)
_NETWORKS = ("model.keras", "refitted.keras", "history.json", "loss.png")  # files that are the same for all tickers
_EPOCHS = ("epochs_trained", "best_epoch")


class _Training(NamedTuple):
    """The training of another ticker of the night, which shares its network."""

    ticker: str
    folder: Folder
    manifest: Manifest

    def file(self, name: str) -> bytes:
        return self.folder.read_written(name, self.manifest)


def join(units: Sequence[Unit]) -> list[Outcome] | None:
    """Return the outcome of a unit that an answer brought back; None for a training, and where there is no network."""
    if len(units) > 1:
        return None
    unit = units[0]
    trained = _shared_training(unit)
    if trained is None:
        return None
    one = cut_at(read(unit), borders_in(trained.manifest.outcome.tags))
    return [_outcome(one, trained)] if one.learned else None


def _shared_training(unit: Unit) -> _Training | None:
    """Return the first finished training of another ticker of the night; None where each ticker has its own network."""
    if unit.answer is None or not unit.plan.shares_network:
        return None
    for ticker in unit.plan.tickers:
        folder = unit_folder(unit.store_url, ticker, unit.plan)
        manifest = folder.manifest("train")
        if ticker != unit.ticker and manifest and not manifest.failed:
            return _Training(ticker, folder, manifest)
    return None


def _outcome(one: Ticker, trained: _Training) -> Outcome:
    plan = one.unit.plan
    outcome = trained.manifest.outcome
    adopted = _adopted(one, trained)
    recipe = adopted.evaluated
    copied = {name: trained.file(name) for name in _NETWORKS if name in trained.manifest.outputs}
    refit = plan.preset.refit
    return Outcome(
        files={
            **copied,
            "recipe.json": recipe.to_json(),
            "rows.json": rows_json(one.parts, one.laid),
            **({"refitted.json": adopted.served.to_json()} if refit else {}),
        },
        attach=tuple(name for name in outcome.attach if name in {*copied, "recipe.json"}),
        curves=outcome.curves,
        metrics={
            "fit_seconds": 0.0,
            **{name: outcome.metrics[name] for name in _EPOCHS if name in outcome.metrics},
            "step/rows_train": one.parts.test,
            "step/rows_test": one.parts.end - one.parts.test,
            **recipe.metrics,
        },
        params=outcome.params,
        tags={
            **{name: outcome.tags[name] for name in _SHARED if name in outcome.tags},
            "cutoff": adopted.served.cutoff if refit else recipe.cutoff,
            **({"evaluation_cutoff": recipe.cutoff} if refit else {}),
            JOINED: trained.ticker,
        },
    )


def _adopted(one: Ticker, trained: _Training) -> Adopted:
    plan = one.unit.plan
    network = inference.load(trained.file("model.keras"), Recipe.from_json(trained.file("recipe.json")))
    return adopt(network, evaluated_history(one), whole_history(one), plan.preset, preset_name=plan.preset_name)
