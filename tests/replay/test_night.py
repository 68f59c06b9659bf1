"""One night of each contender, on a network that has been trained once or twice."""

import datetime as dt

import pytest

from pipeline.forecasting.recipe import SCALES
from pipeline.forecasting.rivals import SCALE_OF
from pipeline.replay.night import NEVER, REFERENCE, Contender, Judge, State, replayed
from pipeline.replay.prices import validated
from pipeline.replay.training import trained, training_of
from pipeline.store.folder import Folder
from tests.support.nights import sample_prices
from tests.support.replays import plan_to

DAYS = ("2025-11-18", "2025-11-19", "2025-11-20")
UNLESS_WORSE = Contender(name="unless_worse", policy="unless_worse")
IF_BETTER = Contender(name="if_better", policy="if_better")


class Market:
    """Three nights of AAA, with a training on each."""

    def __init__(self, settings, folder):
        raw = sample_prices("AAA")
        self.plans = [plan_to(settings, day, "AAA") for day in DAYS]
        self.prices = [validated(raw, plan) for plan in self.plans]
        self.trainings = []
        for day, plan, prices in zip(DAYS, self.plans, self.prices, strict=True):
            made = trained(plan, {"AAA": prices.frame}, {"AAA": "USD"}, settings, folder)
            self.trainings.append(training_of(day, made.tickers["AAA"], folder))

    def nights(self, contender, trainings):
        """Return the nights of a contender; `trainings` has True for a night that trains."""
        state = State()
        found = []
        for at, trains in enumerate(trainings):
            training = self.trainings[at] if trains else None
            plan = self.plans[at]
            if contender.policy:
                gate = plan.gate.model_copy(update={"policy": contender.policy})
                plan = plan.model_copy(update={"gate": gate})
            judge = Judge(self.prices[at], plan)
            found.append(replayed(contender, state, training, self.prices[at], plan, "USD", judge))
            state = found[-1].state
        return found


@pytest.fixture
def market(tiny, tmp_path):
    """Return three nights."""
    return Market(tiny, Folder(str(tmp_path / "trainings")))


def test_a_night_before_the_first_training_forecasts_nothing(market):
    """Neither a policy nor a baseline."""
    for contender in (UNLESS_WORSE, Contender(name=REFERENCE, policy=None)):
        (night,) = market.nights(contender, [False])
        assert (night.record, night.promoted, night.state) == (None, False, State())


def test_a_night_between_two_trainings_keeps_the_weights_and_counts_its_versions(market):
    """`unless_worse` promotes the same weights again; `if_better` refuses what is no better, and continues them."""
    for contender, promoted, versions in ((UNLESS_WORSE, [True, True], [1, 2]), (IF_BETTER, [True, False], [1, 3])):
        nights = market.nights(contender, [True, False])
        assert [one.promoted for one in nights] == promoted
        assert [one.record.version for one in nights] == versions
        assert nights[1].state.held.training is market.trainings[0]
        assert nights[1].state.held.version.weights_of == 1
        assert nights[1].state.held.version.trained == dt.date(2025, 11, 18)
        assert nights[1].record.session == dt.date(2025, 11, 20)


def test_never_retraining_leaves_out_each_later_training(market):
    """A policy takes it."""
    trained_of = {
        contender.name: market.nights(contender, [True, True, True])[-1].state.held.version.trained
        for contender in (UNLESS_WORSE, Contender(name=NEVER, policy="unless_worse"))
    }
    assert trained_of == {"unless_worse": dt.date(2025, 11, 20), NEVER: dt.date(2025, 11, 18)}


def test_the_reference_is_naive_with_the_best_simple_scale(market):
    """Its scale is one of the references of the backtest, on each night."""
    nights = market.nights(Contender(name=REFERENCE, policy=None), [True, False, True])
    for night, plan, prices, training in zip(
        nights, market.plans, market.prices, [market.trainings[at] for at in (0, 0, 2)], strict=True
    ):
        assert night.record.forecast == prices.bars.close[-1]
        assert night.reason in SCALE_OF
        assert SCALE_OF[night.reason] in SCALES
        assert night.state.held.training is training
        assert night.record.as_of == plan.as_of


def test_contenders_with_the_same_network_share_its_evaluation(market, monkeypatch):
    """One backtest a night instead of three."""
    calls = []
    from pipeline.replay import night

    evaluation = night.evaluation
    monkeypatch.setattr(night, "evaluation", lambda *given: calls.append(1) or evaluation(*given))
    judge = Judge(market.prices[0], market.plans[0])
    for contender in (UNLESS_WORSE, IF_BETTER, Contender(name=REFERENCE, policy=None)):
        replayed(contender, State(), market.trainings[0], market.prices[0], market.plans[0], "USD", judge)
    assert len(calls) == 1
