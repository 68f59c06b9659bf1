"""The champion as step `promote` meets it: scored on the challenger's test rows, and continued if it stays."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.evaluation import metrics
from pipeline.forecasting import inference
from pipeline.forecasting.backtest import forecasts_of, interval_p_worse, next_widths
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.forecasts import Interval
from pipeline.old_names import present_name
from pipeline.outcome import Continuation
from pipeline.settings.currency import UNKNOWN, differ
from pipeline.store.formats import arrays_of, frame_of
from pipeline.tracking.versions import LAST_TRAINING, TRAINED, WEIGHTS_OF

if TYPE_CHECKING:
    from pipeline.arrays import Dates, Floats
    from pipeline.forecasting.recipe import Recipe
    from pipeline.forecasting.windows import FittedRows
    from pipeline.steps.unit import Unit
    from pipeline.tracking.registry import Loaded
    from pipeline.tracking.versions import Version

# Tags of a version that the one which continues it keeps.
_KEPT = ("ticker", "cutoff", "evaluation_cutoff", "synthetic", "currency", "preset", TRAINED)


class Champion(NamedTuple):
    """The served version with its networks, beside the history of tonight."""

    version: Version
    served: Loaded
    served_today: Loaded  # the same in prices of today: a split may have divided them since
    evaluated: Loaded  # by its evaluation, which knew fewer rows; in prices of today, with the weights of `served`
    evaluated_then: Loaded  # the same as it was logged
    sessions: Dates
    bars: Bars

    @property
    def is_spoilt(self) -> bool:
        """Return whether the network of its evaluation is the one that is served, which has seen the test rows.

        Nights of before 2026-11-30, with a preset that refits, left such champions.
        """
        refitted = self.version.evaluation_cutoff < self.version.cutoff
        return refitted and np.array_equal(
            inference.weights(self.evaluated_then.network), inference.weights(self.served.network)
        )


class Tested(NamedTuple):
    """A challenger on its test rows; arrays have shape (n,) and are in the currency of the prices."""

    actual: Floats
    forecast: Floats
    naive: Floats
    interval: Interval | None  # its 95 % intervals; None for output `point`


class Rescored(NamedTuple):
    """The champion on the challenger's test rows."""

    rmse: float
    challenger_p_worse: float
    interval_p_worse: float | None  # None for output `point`


class Continued(NamedTuple):
    """The champion with the intervals of tonight."""

    files: dict[str, bytes]
    effect: Continuation


def load(unit: Unit, served: Version) -> Champion:
    """Return the champion with its networks.

    Raises:
        PipelineError: when its files are gone or broken.
    """
    arrays = arrays_of(unit.read("scaled.npz"))
    bars = Bars(arrays["open"], arrays["high"], arrays["low"], arrays["closes"])
    loaded = unit.registry.load(unit.ticker, served)
    then = unit.registry.load_evaluation(unit.ticker, served)
    return tonight(served, loaded, then, arrays["sessions"], bars)


def tonight(served: Version, loaded: Loaded, then: Loaded, sessions: Dates, bars: Bars) -> Champion:
    """Return a champion beside the history of tonight.

    Args:
        served: its version.
        loaded: the network that is served.
        then: the network of its evaluation, as it was logged.
        sessions: of the history, shape (n,).
        bars: of the history.
    """
    # The weights differ where a reference took the place of the network after its evaluation.
    evaluated = then._replace(recipe=then.recipe.with_weights_of(loaded.recipe))
    return Champion(
        version=served,
        served=loaded,
        served_today=_in_today(loaded, sessions, bars.close),
        evaluated=_in_today(evaluated, sessions, bars.close),
        evaluated_then=then,
        sessions=sessions,
        bars=bars,
    )


def _in_today(loaded: Loaded, sessions: Dates, closes: Floats) -> Loaded:
    """Return a network with its recipe in the prices of today."""
    recipe = loaded.recipe
    at_cutoff = np.flatnonzero(sessions == np.datetime64(recipe.cutoff))
    factor = closes[at_cutoff[0]] / recipe.cutoff_close if len(at_cutoff) else 1.0
    return loaded._replace(recipe=recipe.rebased(factor))


def is_comparable(unit: Unit, served: Version) -> bool:
    """Return whether the challenger's test rows are the champion's kind of prices, and new to it."""
    same_kind = served.synthetic == unit.plan.synthetic
    return same_kind and is_new_to(served, unit.recipe.cutoff)


def is_new_to(served: Version, cutoff: str) -> bool:
    """Return whether rows after the cutoff of a challenger are new to the network that evaluated the champion."""
    return served.evaluation_cutoff <= dt.date.fromisoformat(cutoff)


def rescored(unit: Unit, champion: Champion) -> Rescored:
    """Return the champion's errors on the challenger's test rows, which are new to it."""
    made = frame_of(unit.read("predictions.parquet")).rename(columns=present_name)
    columns = {name: made[name].to_numpy() for name in ("close", "forecast", "naive", "low_95", "high_95")}
    actual, forecast, naive, *bounds = columns.values()
    interval = Interval(*bounds) if unit.plan.preset.output == "distribution" else None
    return beside(champion, unit.fitted, Tested(actual, forecast, naive, interval))


def beside(champion: Champion, fitted: FittedRows, tested: Tested) -> Rescored:
    """Return the champion's errors on the test rows of a challenger, which are new to it."""
    made = forecasts_of(*champion.evaluated, champion.bars, fitted)
    interval = None
    if tested.interval:
        interval = interval_p_worse(tested.actual, tested.interval, made.interval(95), tested.naive)
    return Rescored(
        rmse=metrics.rmse(tested.actual, made.forecast),
        challenger_p_worse=metrics.diebold_mariano(tested.actual, tested.forecast, made.forecast).p_worse,
        interval_p_worse=interval,
    )


def can_continue(unit: Unit, served: Version) -> bool:
    """Return whether tonight's closes may calibrate the champion: they are its own, sound, and newer than it."""
    currency = served.tags.get("currency", UNKNOWN)
    foreign = served.synthetic != unit.plan.synthetic or (currency != UNKNOWN and differ(currency, unit.currency))
    return not foreign and not unit.plan.fault and served.as_of < unit.plan.as_of


def continued(unit: Unit, champion: Champion) -> Continued | None:
    """Return the champion that stays, calibrated on the closes that are known by now.

    None for output `point`, whose intervals stay those of its validation, and without a close that is new to it.
    """
    plan = unit.plan
    served = champion.version
    recipe = continued_recipe(champion, unit.fitted, comparable=is_comparable(unit, served))
    if recipe is None:
        return None
    about = f"weights of v{served.weights_of}, intervals of {plan.as_of}"
    return Continued(
        files={
            "continued.keras": inference.to_bytes(champion.served.network),
            "continued.json": recipe.to_json(),
        },
        effect=Continuation(
            champion=served.number,
            run_id=served.run_id,
            files=("continued.keras", "continued.json"),
            reason=f"v{served.number} stays: {about}",
            tags={
                **{name: served.tags[name] for name in _KEPT if name in served.tags},
                "as_of": str(plan.as_of),
                "source": plan.source,
                "dag_run_id": plan.dag_run_id,
                "decision": f"stays: {about}",
                LAST_TRAINING: _last_training(unit),
                WEIGHTS_OF: str(served.weights_of),
            },
            description=f"The champion v{served.number} stays: {about}.",
        ),
    )


def _last_training(unit: Unit) -> str:
    """Return the session of the ticker's last training: tonight's, unless `train` used an earlier network again."""
    trained = unit.manifests["train"]
    tags = trained.outcome.tags if trained else {}
    return tags.get(LAST_TRAINING, str(unit.plan.as_of))


def continued_recipe(champion: Champion, fitted: FittedRows, *, comparable: bool) -> Recipe | None:
    """Return the recipe of the champion with the intervals of tonight; None as for `continued`.

    Args:
        champion: beside the history of tonight.
        fitted: the rows of the challenger.
        comparable: the result of `is_comparable`.
    """
    new = _new_rows(champion, fitted, comparable=comparable)
    if champion.served.recipe.distribution is None or not new:
        return None
    widths = next_widths(*champion.evaluated, champion.bars, new)
    return champion.served.recipe.with_widths(widths)


def _new_rows(champion: Champion, fitted: FittedRows, *, comparable: bool) -> range:
    """Return the rows that did not fit the champion's network of evaluation.

    With the same fractions tonight's validation begins no earlier than its own did, unless its cutoff is later than
    the challenger's.
    """
    stop = len(champion.bars.close)
    if comparable:
        return range(fitted.windows.validation.start, stop)
    cutoff = np.datetime64(champion.version.evaluation_cutoff)
    return range(int(np.searchsorted(champion.sessions, cutoff, side="right")), stop)
