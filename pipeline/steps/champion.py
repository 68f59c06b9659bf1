"""The champion as step `promote` meets it: scored on the challenger's test rows, and continued if it stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.evaluation import metrics
from pipeline.forecasting.backtest import forecasts_of, interval_p_worse, next_widths
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.forecasts import Interval
from pipeline.old_names import present_name
from pipeline.outcome import Continuation
from pipeline.settings.currency import UNKNOWN, differ
from pipeline.store.formats import arrays_of, frame_of
from pipeline.tracking.versions import TRAINED, WEIGHTS_OF

if TYPE_CHECKING:
    from pipeline.arrays import Dates
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
    # The weights differ where a reference took the place of the network after its evaluation.
    evaluated = _in_today(then._replace(recipe=then.recipe.with_weights_of(loaded.recipe)), arrays)
    return Champion(served, loaded, _in_today(loaded, arrays), evaluated, then, arrays["sessions"], bars)


def _in_today(loaded: Loaded, arrays: Mapping[str, Any]) -> Loaded:
    """Return a network with its recipe in the prices of today."""
    recipe = loaded.recipe
    at_cutoff = np.flatnonzero(arrays["sessions"] == np.datetime64(recipe.cutoff))
    factor = arrays["closes"][at_cutoff[0]] / recipe.cutoff_close if len(at_cutoff) else 1.0
    return loaded._replace(recipe=recipe.rebased(factor))


def is_comparable(unit: Unit, served: Version) -> bool:
    """Return whether the challenger's test rows are the champion's kind of prices, and new to it."""
    same_kind = served.synthetic == unit.plan.synthetic
    return same_kind and served.evaluation_cutoff <= dt.date.fromisoformat(unit.recipe.cutoff)


def rescored(unit: Unit, champion: Champion) -> Rescored:
    """Return the champion's errors on the challenger's test rows, which are new to it."""
    tested = frame_of(unit.read("predictions.parquet")).rename(columns=present_name)
    actual = tested["close"].to_numpy()
    challenger = tested["forecast"].to_numpy()
    made = forecasts_of(*champion.evaluated, champion.bars, unit.fitted)
    interval = None
    if unit.plan.preset.output == "distribution":
        mine = Interval(tested["low_95"].to_numpy(), tested["high_95"].to_numpy())
        interval = interval_p_worse(actual, mine, made.interval(95), tested["naive"].to_numpy())
    return Rescored(
        rmse=metrics.rmse(actual, made.forecast),
        challenger_p_worse=metrics.diebold_mariano(actual, challenger, made.forecast).p_worse,
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
    from pipeline.forecasting import inference

    plan = unit.plan
    served = champion.version
    new = _new_rows(unit, champion)
    if champion.served.recipe.distribution is None or not new:
        return None
    widths = next_widths(*champion.evaluated, champion.bars, new)
    about = f"weights of v{served.weights_of}, intervals of {plan.as_of}"
    return Continued(
        files={
            "continued.keras": inference.to_bytes(champion.served.network),
            "continued.json": champion.served.recipe.with_widths(widths).to_json(),
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
                WEIGHTS_OF: str(served.weights_of),
            },
            description=f"The champion v{served.number} stays: {about}.",
        ),
    )


def _new_rows(unit: Unit, champion: Champion) -> range:
    """Return the rows that did not fit the champion's network of evaluation.

    With the same fractions tonight's validation begins no earlier than its own did, unless its cutoff is later than
    the challenger's.
    """
    stop = len(champion.bars.close)
    if is_comparable(unit, champion.version):
        return range(unit.fitted.windows.validation.start, stop)
    cutoff = np.datetime64(champion.version.evaluation_cutoff)
    return range(int(np.searchsorted(champion.sessions, cutoff, side="right")), stop)
