"""Step `train`: the fitted network, its curves, and the recipe of each ticker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import calendar
from pipeline.errors import DataError
from pipeline.evaluation import baselines
from pipeline.forecasting import fitting, forecaster, inference, target, walk_forward, windows
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import Fitted, History
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import Split, split
from pipeline.outcome import Outcome
from pipeline.steps import carry, join
from pipeline.steps.histories import Ticker, evaluated_history, read, whole_history, with_common_borders
from pipeline.steps.rows import border_tags, rows_json
from pipeline.store.formats import frame_bytes, json_bytes

if TYPE_CHECKING:
    from pipeline.forecasting.training import OnEpoch
    from pipeline.forecasting.windows import Windows
    from pipeline.plan import Plan
    from pipeline.steps.unit import Unit


def train(units: Sequence[Unit]) -> list[Outcome]:
    """Fit one network to all units, and return for each its weights, its curves and the recipe that serving needs.

    On a night between two trainings the networks are those of the champion. A unit that comes after the shared training
    of its night, because a person had to accept its prices, takes the network of that training.

    Several units are a universe: one date begins validation and one begins test for all of them.
    """
    carried = carry.carry(units)
    if carried is not None:
        return carried
    joined = join.join(units)
    if joined is not None:
        return joined
    from pipeline.forecasting import model

    plan = units[0].plan
    if units[0].settings.gpu == "require":
        model.require_gpu()
    tickers = [read(unit) for unit in units]
    if len(tickers) > 1:
        tickers = with_common_borders(tickers)

    def on_epoch(epoch: int, epochs: int, loss: float) -> None:
        for unit in units:
            if unit.on_epoch:
                unit.on_epoch(epoch, epochs, loss)

    evaluated = _evaluated(tickers, plan, on_epoch)
    refitted = _refitted(tickers, plan, evaluated, on_epoch) if plan.preset.refit else None
    shared = _shared_files(tickers, plan, evaluated, refitted)
    return [_outcome(one, plan, evaluated, refitted, at, shared) for at, one in enumerate(tickers)]


def _evaluated(tickers: Sequence[Ticker], plan: Plan, on_epoch: OnEpoch) -> Fitted:
    """Fit the network on the past of the test rows."""
    histories = [evaluated_history(one) for one in tickers]
    learned = [one.learned for one in tickers]
    return fitting.fit(histories, plan.preset, preset_name=plan.preset_name, learned=learned, on_epoch=on_epoch)


def _refitted(tickers: Sequence[Ticker], plan: Plan, evaluated: Fitted, on_epoch: OnEpoch) -> Fitted:
    """Fit the network that is served on every row."""
    histories = [whole_history(one) for one in tickers]
    learned = [one.learned for one in tickers]
    return fitting.refit(
        histories, plan.preset, evaluated, preset_name=plan.preset_name, learned=learned, on_epoch=on_epoch
    )


def _shared_files(
    tickers: Sequence[Ticker], plan: Plan, evaluated: Fitted, refitted: Fitted | None
) -> dict[str, bytes]:
    """Return the files that are the same for each ticker: the networks, and the picture of the training."""
    from pipeline.forecasting import model
    from pipeline.reporting import plots

    trained = evaluated.trained
    name = tickers[0].unit.ticker if len(tickers) == 1 else f"{len(tickers)} tickers"
    is_likelihood = plan.preset.output == "distribution"
    return {
        "model.keras": model.to_bytes(trained.network),
        "loss.png": plots.loss_curves(trained.curves, trained.best_epoch, name, likelihood=is_likelihood),
        **({"refitted.keras": model.to_bytes(refitted.trained.network)} if refitted else {}),
    }


def _outcome(
    one: Ticker, plan: Plan, evaluated: Fitted, refitted: Fitted | None, at: int, shared: dict[str, bytes]
) -> Outcome:
    from pipeline.forecasting import model

    trained = evaluated.trained
    recipe = evaluated.recipes[at]
    served = {"refitted.json": refitted.recipes[at].to_json()} if refitted else {}
    folds = _walk_forward(one, plan) if plan.walk_forward else {}
    layers = model.layer_parameters(trained.network)
    return Outcome(
        files={
            **shared,
            "recipe.json": recipe.to_json(),
            "rows.json": rows_json(one.parts, one.laid),
            "history.json": json_bytes(trained.curves),
            **served,
            **folds,
        },
        # The network of the evaluation is kept beside the served model: it meets the challengers of later nights.
        attach=("recipe.json", "history.json", "loss.png", *folds, *(("model.keras",) if refitted else ())),
        curves=trained.curves,
        metrics={
            "fit_seconds": trained.fit_seconds + (refitted.trained.fit_seconds if refitted else 0.0),
            "epochs_trained": len(trained.curves["loss"]),
            "best_epoch": trained.best_epoch,
            "step/rows_train": one.parts.test,
            "step/rows_test": one.parts.end - one.parts.test,
            **recipe.metrics,
        },
        params={
            **plan.preset.parameters,
            "preset": plan.preset_name,
            "layer_parameters": " + ".join(str(count) for count in layers),
            "parameters": str(sum(layers)),
        },
        tags={
            "device": trained.device,
            "device_name": trained.device_name,
            "backend": trained.backend,
            "intervals": _intervals_text(one, plan),
            **border_tags(one.sessions, one.parts),
            "cutoff": refitted.recipes[at].cutoff if refitted else recipe.cutoff,
            **({"evaluation_cutoff": recipe.cutoff} if refitted else {}),
        },
    )


def _intervals_text(one: Ticker, plan: Plan) -> str:
    if plan.preset.output == "distribution":
        return f"calibrated every night on the newest {plan.preset.calibration_rows:,} residuals"
    return "calibrated on validation" if one.laid.validation else "calibrated on train: too narrow"


def _walk_forward(one: Ticker, plan: Plan) -> dict[str, bytes]:
    """Train once per fold on the sessions known by then, and return the forecasts of all test rows."""
    import pandas as pd

    preset = plan.preset
    closes = one.bars.close
    forecasts = []
    for number, fold in enumerate(walk_forward.lay_folds(one.laid.test, plan.walk_forward, sliding=plan.sliding), 1):
        known = Bars(*(column[fold.train.start : fold.train.stop] for column in one.bars))
        parts = split(len(known.close), 1.0, preset.validation_fraction)
        scaler = fit_scaler(target.to_values(known.close, preset.target), preset.scaler)
        history = History(
            ticker=one.unit.ticker,
            calendar=plan.calendar,
            currency=one.unit.currency,
            bars=known,
            scaler=scaler,
            laid=_fold_windows(parts, one.unit),
            cutoff=str(one.sessions[fold.train.stop - 1]),
            train_stop=len(known.close),
        )
        trained, (recipe,) = fitting.fit([history], preset, preset_name=plan.preset_name, on_epoch=one.unit.on_epoch)
        network = inference.as_loaded(trained.network, recipe)
        made = forecaster.forecast(network, one.bars.up_to(fold.test.stop), fold.test, recipe)
        forecasts.append(
            pd.DataFrame(
                {
                    "fold": number,
                    "cutoff": recipe.cutoff,
                    "close": closes[fold.test.start : fold.test.stop],
                    "naive": baselines.naive(closes, fold.test),
                    **made.columns(),
                    "weight": recipe.weight,
                },
                index=calendar.session_index(one.sessions[fold.test.start : fold.test.stop]),
            )
        )
    return {"walk_forward.parquet": frame_bytes(pd.concat(forecasts))}


def _fold_windows(parts: Split, unit: Unit) -> Windows:
    preset = unit.plan.preset
    laid = windows.windows_of(parts, preset)
    if not laid.train or (preset.validation_fraction and not laid.validation):
        raise DataError(
            f"Each fold must hold at least one window of {preset.lookback} sessions and its target.",
            f"{parts.end} sessions in the first fold",
            "Take an earlier START, or fewer folds.",
        )
    return laid
