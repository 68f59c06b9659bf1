"""Leaks: whether anything that a night knew depends on something that it could not know.

Each check changes the unknown, makes the night again, and compares every figure. The first figure that differs
names the stage where the leak begins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.audit import night as nights
from pipeline.audit.changes import LATER, changed_since, permuted_sessions, with_later_sessions
from pipeline.audit.night import Night
from pipeline.evaluation import metrics
from pipeline.forecasting import inference
from pipeline.steps import champion
from pipeline.steps.rows import fitted_rows
from pipeline.store.formats import arrays_of, frame_of, json_of
from pipeline.tracking.versions import Version

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.settings import Settings

STAGES = ("clean", "scale", "windows", "fit", "weights", "calibration", "forecasts", "permuted", "champion")
_SHARE = 0.5  # of the test rows lies before the changed one
_CHANCE = 1e-4  # p of a skill on permuted sessions that chance does not explain
_CURVES = ("loss", "val_loss", "best_epoch", "network")  # of the network, which several tickers may share
# The figures of each stage of training, in the order in which they arise.
_TRAINING: dict[str, tuple[str, ...]] = {
    "scale": ("center", "spread"),
    "fit": (*_CURVES, "log_variance_center", "log_variance_spread", "unit", "deviation"),
    "weights": ("weight", "scale_weights", "garch", "garch_level"),
    "calibration": ("half_widths",),
}
Figures = Mapping[str, Any]


class Stage(NamedTuple):
    """The verdict on one stage of the night."""

    name: str
    leak: str  # the first figure that changed, and the change it comes from; "" without one

    @property
    def passed(self) -> bool:
        """Return whether nothing changed."""
        return not self.leak


class Market(NamedTuple):
    """The prices of a night by ticker, its plan, and the night as they make it."""

    prices: Mapping[str, pd.DataFrame]
    plan: Plan
    settings: Settings
    base: Night
    seed: int = 0

    def made(self, prices: Mapping[str, pd.DataFrame], *, until: str, trained: Night | None = None) -> Night:
        """Return the night on other prices."""
        return nights.made(self.plan, prices, self.settings, until=until, trained=trained)

    def first_test_sessions(self) -> dict[str, pd.Timestamp]:
        """Return the first session of each ticker's test rows."""
        found = {}
        for ticker in self.plan.tickers:
            split = fitted_rows(self.base.file(ticker, "rows.json")).split
            found[ticker] = frame_of(self.base.file(ticker, "validated.parquet")).index[split.test]
        return found


def leaks(
    plan: Plan,
    prices: Mapping[str, pd.DataFrame],
    settings: Settings,
    *,
    only: Sequence[str] = STAGES,
) -> list[Stage]:
    """Return the verdict on each stage, in the order of the night; stages after a leak in training follow from it.

    Args:
        plan: of the night, as `night.plan_of` returns it.
        prices: the snapshot of each ticker.
        settings: of the environment.
        only: stages to check.
    """
    until = "evaluate" if "forecasts" in only else "train"
    base = nights.made(plan, prices, settings, until=until)
    market = Market(prices, plan, settings, base)
    trained = _trained_without_test(market) if _TRAINING.keys() & {*only} else {}
    checks: dict[str, Callable[[Market], str]] = {
        "clean": _clean,
        "scale": lambda _: trained["scale"],
        "windows": _windows,
        "fit": lambda _: trained["fit"],
        "weights": lambda _: trained["weights"],
        "calibration": lambda _: trained["calibration"],
        "forecasts": _forecasts,
        "permuted": _permuted,
        "champion": _champion,
    }
    return [Stage(name, checks[name](market)) for name in STAGES if name in only]


def _clean(market: Market) -> str:
    """Add later sessions, cut the last ones off, and pay dividends that are still to come."""
    plan = market.plan
    later = {ticker: with_later_sessions(frame, plan.calendar, plan.as_of) for ticker, frame in market.prices.items()}
    shorter = {ticker: frame[:-LATER] for ticker, frame in market.prices.items()}
    paid = {
        ticker: frame.assign(adj_close=frame["adj_close"] * 0.9) if "adj_close" in frame else frame
        for ticker, frame in market.prices.items()
    }
    changes = {
        f"{LATER} sessions after {plan.as_of} were added": later,
        f"the last {LATER} sessions were cut off": shorter,
        "a dividend after the night lowered every adj_close": paid,
    }
    for change, prices in changes.items():
        again = market.made(prices, until="split_scale")
        for ticker in plan.tickers:
            before = _price_figures(market.base, ticker)
            after = _price_figures(again, ticker)
            rows = min(len(one) for one in (*before.values(), *after.values()))
            if "cut off" in change:
                before = {name: column[:rows] for name, column in before.items()}
            if found := _difference(before, after):
                return f"{ticker} {found}, when {change}"
    return ""


def _trained_without_test(market: Market) -> dict[str, str]:
    """Change every price from the first test session on, and train again: all of it must stay to the last bit."""
    first = market.first_test_sessions()
    since = first
    if market.plan.shares_network:  # no date of another ticker may be later than the first test session of one
        since = dict.fromkeys(first, min(first.values()))
    rng = np.random.default_rng(market.seed)
    changed = {ticker: changed_since(frame, since[ticker], rng) for ticker, frame in market.prices.items()}
    again = market.made(changed, until="train")
    found = dict.fromkeys(_TRAINING, "")
    for stage, names in _TRAINING.items():
        for ticker in market.plan.tickers:
            # In a universe a short history keeps borders of its own, and teaches the network nothing.
            compared = names if first[ticker] == since[ticker] else [name for name in names if name in _CURVES]
            difference = _difference(_training(market.base, ticker, compared), _training(again, ticker, compared))
            if difference:
                change = f"prices from {since[ticker].date()} on, the test rows, were changed"
                found[stage] = f"{ticker} {difference}, when {change}"
                later = list(found)[list(found).index(stage) + 1 :]
                return found | dict.fromkeys(later, f"follows from {stage}")
    return found


def _training(night: Night, ticker: str, names: Sequence[str]) -> Figures:
    recipe = json_of(night.file(ticker, "recipe.json"))
    known = {
        **json_of(night.file(ticker, "history.json")),
        **night.outcomes[ticker]["train"].metrics,
        **recipe,
        **(recipe["distribution"] or {}),
        "network": inference.weights(inference.forward(night.file(ticker, "model.keras"))),
    }
    return {name: known[name] for name in names if name in known}


def _windows(market: Market) -> str:
    """Move the target by a session: no window may hold a value of the row that it predicts."""
    from pipeline.forecasting import windows

    for ticker in market.plan.tickers:
        fitted = fitted_rows(market.base.file(ticker, "rows.json"))
        values = arrays_of(market.base.file(ticker, "scaled.npz"))["scaled"]
        for part in ("train", "validation", "test"):
            rows = getattr(fitted.windows, part)
            if not rows:
                continue
            row = rows[len(rows) // 2]
            seen = windows.inputs(np.arange(len(values), dtype="float64"), range(row, row + 1), fitted.windows.lookback)
            newest = int(np.max(seen))
            if newest >= row:
                return f"{ticker} the window of row {row} ({part}) holds row {newest}"
        if not fitted.windows.train.stop <= fitted.windows.validation.start <= fitted.windows.test.start:
            return f"{ticker} the parts overlap: {fitted.windows}"
    return ""


def _forecasts(market: Market) -> str:
    """Change every price from a test row on: its forecast, interval and rivals, and those before it, must stay."""
    sessions = {ticker: frame_of(market.base.file(ticker, "predictions.parquet")) for ticker in market.plan.tickers}
    rng = np.random.default_rng(market.seed)
    since = {ticker: frame.index[int(len(frame) * _SHARE)] for ticker, frame in sessions.items()}
    changed = {ticker: changed_since(frame, since[ticker], rng) for ticker, frame in market.prices.items()}
    again = market.made(changed, until="evaluate", trained=market.base)
    for ticker, before in sessions.items():
        after = frame_of(again.file(ticker, "predictions.parquet"))
        known = before.index <= since[ticker]
        made = [name for name in before if name != "close"]  # the close is the row's own
        for name in made:
            differs = np.flatnonzero(before[name][known].to_numpy() != after[name][known].to_numpy())
            if len(differs):
                day = before.index[differs[0]].date()
                values = f"{before[name].iloc[differs[0]]:.8g} -> {after[name].iloc[differs[0]]:.8g}"
                change = f"prices from {since[ticker].date()} on were changed"
                return f"{ticker} {name} of {day}: {values}, when {change}"
    return ""


def _permuted(market: Market) -> str:
    """Put the returns of the sessions into a random order, train again: no network can have skill then."""
    rng = np.random.default_rng(market.seed)
    permuted = {ticker: permuted_sessions(frame, rng) for ticker, frame in market.prices.items()}
    again = market.made(permuted, until="evaluate")
    for ticker in market.plan.tickers:
        made = frame_of(again.file(ticker, "predictions.parquet"))
        actual, network, naive = (made[name].to_numpy() for name in ("close", "network", "naive"))
        if np.array_equal(network, naive):
            continue
        chance = metrics.diebold_mariano(actual, naive, network).p_worse  # small: the network beats naive
        if chance < _CHANCE:
            skill = metrics.skill(metrics.rmse(actual, network), metrics.rmse(actual, naive))
            return f"{ticker} skill {skill:.4f} of the network (p {chance:.1g}), on sessions in random order"
    return ""


def _champion(market: Market) -> str:
    """Offer a champion that has seen the first test session: it must not be compared on the test rows."""
    for ticker, first in market.first_test_sessions().items():
        cutoff = json_of(market.base.file(ticker, "recipe.json"))["cutoff"]
        unit = _Judged(market.plan, _Cutoff(cutoff))
        for seen, expected in ((dt.date.fromisoformat(cutoff), True), (first.date(), False)):
            tags = {"cutoff": str(seen), "synthetic": str(market.plan.synthetic).lower()}
            if champion.is_comparable(unit, Version(1, "", "", tags)) != expected:  # type: ignore[arg-type]
                verb = "is not compared" if expected else "is compared"
                return f"{ticker} a champion trained up to {seen} {verb} on test rows from {first.date()} on"
    return ""


class _Cutoff(NamedTuple):
    cutoff: str


class _Judged(NamedTuple):
    """The part of a unit that the comparison with a champion reads."""

    plan: Plan
    recipe: _Cutoff


def _price_figures(night: Night, ticker: str) -> dict[str, Any]:
    """Return the prices after cleaning, and as the network meets them. `adj_close` is checked and never used."""
    frame = frame_of(night.file(ticker, "validated.parquet")).drop(columns="adj_close", errors="ignore")
    arrays = arrays_of(night.file(ticker, "scaled.npz"))
    named = {f"{name} of scaled.npz": arrays[name] for name in ("open", "high", "low", "closes")}
    return {
        "session": frame.index.to_numpy().astype("int64"),
        **{str(name): frame[name].to_numpy() for name in frame},
        **named,
    }


def _difference(before: Figures, after: Figures) -> str:
    """Return the first figure that differs, "" where all are equal to the last bit."""
    for name, value in before.items():
        old, new = _numbers(value), _numbers(after.get(name))
        if len(old) != len(new):
            return f"{name}: {len(old):,} values -> {len(new):,}"
        differs = np.flatnonzero(~((old == new) | (np.isnan(old) & np.isnan(new))))
        if len(differs):
            at = differs[0]
            place = f" {at + 1}" if len(old) > 1 else ""
            return f"{name}{place}: {old[at]:.8g} -> {new[at]:.8g}"
    return ""


def _numbers(value: Any) -> Any:  # noqa: ANN401 - a figure of JSON
    if isinstance(value, Mapping):
        value = list(value.values())
    return np.atleast_1d(np.asarray(value, dtype="float64"))
