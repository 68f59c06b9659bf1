"""One night of one ticker, replayed: the pure parts of `evaluate`, `promote` and `forecast`, without files and MLflow.

A replay knows the champion of each contender, and trains by the clock. The functions that score, decide and forecast
are those of the steps.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.forecasting import windows
from pipeline.forecasting.backtest import recipe_of_reference
from pipeline.forecasting.split import Borders, split_at
from pipeline.serving import promotion
from pipeline.settings.gate import Policy
from pipeline.steps import champion
from pipeline.steps.evaluate import Evaluation, evaluation, served_recipe
from pipeline.steps.forecast import forecast_record
from pipeline.steps.promote import decided
from pipeline.tracking.registry import Loaded
from pipeline.tracking.versions import TRAINED, WEIGHTS_OF, Version

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.arrays import Dates
    from pipeline.forecasting.bars import Bars
    from pipeline.forecasting.recipe import Recipe
    from pipeline.forecasting.windows import FittedRows
    from pipeline.outcome import ForecastRecord
    from pipeline.plan import Plan

NEVER = "never"  # the baseline that keeps the weights of its first training
REFERENCE = "reference"  # the baseline that serves the best simple scale


class Contender(BaseModel):
    """A policy of the gate, or a baseline."""

    model_config = ConfigDict(frozen=True)

    name: str
    policy: Policy | None  # None for the reference, which meets no gate

    @property
    def retrains(self) -> bool:
        """Return whether it takes part in each training."""
        return self.name != NEVER


class Training(NamedTuple):
    """The networks of one training for one ticker."""

    name: str  # date of its night, or "start" for the champion that the store had before the first night
    as_of: dt.date
    evaluated: Loaded  # knows the rows before test only; as it was logged
    served: Loaded  # knows every row, where the preset refits
    borders: Borders  # of the rows that `evaluated` knows


class Prices(NamedTuple):
    """The prices of one ticker as a night knew them."""

    frame: pd.DataFrame  # validated
    sessions: Dates
    bars: Bars


class Held(NamedTuple):
    """The champion of a contender."""

    version: Version
    training: Training  # of its weights
    served: Recipe
    evaluated: Recipe  # as it was logged


class State(NamedTuple):
    """The part of a contender that one night leaves to the next."""

    held: Held | None = None
    number: int = 0  # of the newest version


class Night(NamedTuple):
    """A replayed night of one contender."""

    state: State
    record: ForecastRecord | None  # None while there is no champion
    promoted: bool
    reason: str


class Judge:
    """Evaluates each network once per night: contenders often have the same one."""

    def __init__(self, prices: Prices, plan: Plan) -> None:
        """Start a night."""
        self._prices = prices
        self._plan = plan
        self._known: dict[tuple[int, bytes], Evaluation] = {}

    def __call__(self, evaluated: Loaded, refitted: Recipe, fitted: FittedRows) -> Evaluation:
        """Return the evaluation of a candidate. Errors as of `evaluation`."""
        key = (id(evaluated.network), evaluated.recipe.to_json())
        if key not in self._known:
            self._known[key] = evaluation(*evaluated, refitted, self._prices.bars, fitted, self._plan)
        known = self._known[key]
        return known._replace(served=served_recipe(refitted, known.tested, known.candidate))


class _Candidate(NamedTuple):
    """What the gate judges: a new training, or the champion's network again."""

    training: Training
    evaluated: Loaded
    refitted: Loaded
    fitted: FittedRows
    carried: Version | None  # the champion whose weights it has; None for a new training


def replayed(
    contender: Contender,
    state: State,
    training: Training | None,
    prices: Prices,
    plan: Plan,
    currency: str,
    judge: Judge,
) -> Night:
    """Return a night of a contender.

    Args:
        contender: a policy or a baseline.
        state: after the night before.
        training: of this night; None on a night between two trainings.
        prices: as this night knew them.
        plan: of this night, with one ticker.
        currency: of the prices; "" if it is unknown.
        judge: of this night.

    Raises:
        DataError: when no close of the test rows moves.
    """
    if training and not contender.retrains and state.held:
        training = None
    if contender.policy is None:
        return _by_reference(state, training, prices, plan, currency, judge)
    met = _tonight(state.held, prices)
    candidate = _candidate(training, state.held, met, prices, plan)
    if candidate is None:
        return Night(state, None, promoted=False, reason="no training yet")
    judged = judge(candidate.evaluated, candidate.refitted.recipe, candidate.fitted)
    served = state.held.version if state.held else None
    compared = served is not None and champion.is_new_to(served, candidate.evaluated.recipe.cutoff)
    rescored = champion.beside(met, candidate.fitted, _tested(judged, plan)) if met and compared else None
    decision = decided(plan.gate, _challenger(judged, candidate, plan, currency), served, rescored)
    number = state.number + 1  # each night registers its candidate
    held = state.held
    if decision.promoted:
        held = _promoted(candidate, judged, number, plan)
    elif held and met:
        recipe = champion.continued_recipe(met, candidate.fitted, comparable=compared)
        if recipe is not None:
            number += 1
            held = _continued(held, recipe, number, plan)
    record = _record(held, prices, plan, currency) if held else None
    return Night(State(held, number), record, decision.promoted, decision.reason)


def _by_reference(
    state: State, training: Training | None, prices: Prices, plan: Plan, currency: str, judge: Judge
) -> Night:
    """Serve the best reference of the last training, calibrated tonight."""
    number = state.number + 1
    held = state.held
    if training:
        tags = {"as_of": str(plan.as_of), "synthetic": str(plan.synthetic).lower()}
        version = Version(number, "", "", tags)
        held = Held(version, training, training.served.recipe, training.evaluated.recipe)
    met = _tonight(held, prices)
    if held is None or met is None:
        return Night(state, None, promoted=False, reason="no training yet")
    judged = judge(met.evaluated, _refitted(met, plan).recipe, _fitted(held.training, prices, plan))
    recipe = recipe_of_reference(_refitted(met, plan).recipe, judged.tested)
    serving = held._replace(served=recipe, version=held.version._replace(number=number))
    record = _record(serving, prices, plan, currency)
    return Night(State(held, number), record, promoted=training is not None, reason=judged.tested.reference_name)


def _tonight(held: Held | None, prices: Prices) -> champion.Champion | None:
    if held is None:
        return None
    loaded = held.training.served._replace(recipe=held.served)
    then = held.training.evaluated._replace(recipe=held.evaluated)
    return champion.tonight(held.version, loaded, then, prices.sessions, prices.bars)


def _candidate(
    training: Training | None, held: Held | None, met: champion.Champion | None, prices: Prices, plan: Plan
) -> _Candidate | None:
    if training:
        return _Candidate(training, training.evaluated, training.served, _fitted(training, prices, plan), None)
    if held is None or met is None:
        return None
    fitted = _fitted(held.training, prices, plan)
    return _Candidate(held.training, met.evaluated, _refitted(met, plan), fitted, held.version)


def _refitted(met: champion.Champion, plan: Plan) -> Loaded:
    """Return the network that is served if the candidate, the champion's network, is promoted."""
    return met.served_today if plan.preset.refit else met.evaluated


def _fitted(training: Training, prices: Prices, plan: Plan) -> windows.FittedRows:
    parts = split_at(prices.sessions, training.borders)
    return windows.FittedRows(parts, windows.windows_of(parts, plan.preset))


def _tested(judged: Evaluation, plan: Plan) -> champion.Tested:
    made = judged.tested.made
    interval = made.interval(95) if plan.preset.output == "distribution" else None
    return champion.Tested(judged.tested.actual, made.forecast, judged.tested.naive, interval)


def _challenger(judged: Evaluation, candidate: _Candidate, plan: Plan, currency: str) -> promotion.Challenger:
    """Return the candidate without findings: a night with a critical one is not replayed."""
    compared = plan.preset.output == "distribution"
    challenger = promotion.challenger_of(
        judged.scores,
        candidate.evaluated.recipe.cutoff,
        reference=judged.tested.reference_name if compared else "",
    )
    return challenger._replace(synthetic=plan.synthetic, currency=currency, is_reference=judged.candidate != "network")


def _promoted(candidate: _Candidate, judged: Evaluation, number: int, plan: Plan) -> Held:
    refit = plan.preset.refit
    carried = candidate.carried
    cutoff = str(carried.cutoff) if carried else candidate.refitted.recipe.cutoff
    origin = {TRAINED: str(plan.as_of)}
    if carried:
        origin = {TRAINED: str(carried.trained), WEIGHTS_OF: str(carried.weights_of)}
    tags = {
        "as_of": str(plan.as_of),
        "cutoff": cutoff,
        **({"evaluation_cutoff": candidate.evaluated.recipe.cutoff} if refit else {}),
        "synthetic": str(plan.synthetic).lower(),
        **origin,
    }
    evaluated = candidate.evaluated.recipe if refit else judged.served
    return Held(Version(number, "", "", tags), candidate.training, judged.served, evaluated)


def _continued(held: Held, recipe: Recipe, number: int, plan: Plan) -> Held:
    before = held.version
    tags = {**before.tags, "as_of": str(plan.as_of), WEIGHTS_OF: str(before.weights_of)}
    return held._replace(version=Version(number, "", "", tags), served=recipe)


def _record(held: Held, prices: Prices, plan: Plan, currency: str) -> ForecastRecord:
    """Return the forecast; `created` is the time of the night."""
    loaded = held.training.served._replace(recipe=held.served)
    made = forecast_record(plan.tickers[0], plan, currency, held.version.number, loaded, prices.frame)
    return made.model_copy(update={"created": plan.created})
