"""The work of a replay that its processes share: one training, or some nights of one ticker.

Each piece reads its inputs from the folder of the replay, and writes its result there at its end. The result does not
depend on the process that did the pieces before.
"""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline import calendar
from pipeline.audit.changes import changed_since, with_later_sessions
from pipeline.errors import DataError
from pipeline.forecasting.recipe import Recipe
from pipeline.replay.folder import (
    NIGHTS,
    Decided,
    HeldFile,
    Part,
    Request,
    StateFile,
    content_of,
    parts,
    read_request,
    write_part,
)
from pipeline.replay.night import Held, Judge, Night, State, replayed
from pipeline.replay.prices import Known
from pipeline.replay.training import ALL, START, GroupFile, start_of, trained, training_of
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_of
from pipeline.tracking.versions import Version

if TYPE_CHECKING:
    from pipeline.outcome import ForecastRecord
    from pipeline.plan import Plan
    from pipeline.replay.night import Contender, Prices, Training
    from pipeline.settings import Settings


def trainings_folder(home: Path) -> Folder:
    """Return the folder of the networks."""
    return Folder(str(home / "trainings"))


def group_folder(home: Path, group: str) -> Folder:
    """Return the folder of a group's trainings."""
    return Folder(str(home / "trainings" / group))


def known_of(home: Path, request: Request, ticker: str, settings: Settings) -> Known:
    """Return the prices of a ticker by night."""
    history = frame_of((home / "prices" / f"{ticker}.parquet").read_bytes())
    folders = {dt.date.fromisoformat(day): Folder(url) for day, url in request.snapshots[ticker].items()}
    return Known(settings.store_url, ticker, history, folders, request.plan)


def train(home: Path, group: str, night: dt.date, settings: Settings) -> str:
    """Train a group as of a night, and return the price that should not have mattered; "" without one.

    Raises:
        PipelineError: as `trained` does.
    """
    if settings.gpu == "off":
        from pipeline.forecasting import device

        device.hide()
    request = read_request(home)
    tickers = request.plan.tickers if group == ALL else (group,)
    prices: dict[str, pd.DataFrame] = {}
    leak = ""
    for ticker in tickers:
        known = known_of(home, request, ticker, settings)
        found = known.at(night)
        if found is None:
            continue
        prices[ticker] = found.frame
        again = known.at(night, functools.partial(_other_later_prices, name=request.plan.calendar, night=night))
        if again is None or not _equal(found, again):
            leak = leak or f"{ticker}: the prices of the training of {night} change with later ones"
    made = GroupFile(tickers={}, leak=leak)
    if prices:
        plan = request.plan.model_copy(update={"as_of": night})
        made = trained(plan, prices, request.currencies, settings, trainings_folder(home))
        made = made.model_copy(update={"leak": leak})
    group_folder(home, group).write(f"{night}.json", made.model_dump_json().encode())
    return leak


def replay_part(home: Path, ticker: str, settings: Settings) -> Part:
    """Replay the next nights of a ticker, and return them as they were written."""
    request = read_request(home)
    done = parts(home, ticker, len(request.nights))
    first = done[-1].stop if done else 0
    stop = min(first + NIGHTS, len(request.nights))
    work = _Work(home, request, ticker, settings)
    states = work.states(done[-1] if done else None)
    part = work.nights(states, first, stop)
    write_part(home, ticker, first, part)
    return part


class _Work:
    """The nights of one ticker."""

    def __init__(self, home: Path, request: Request, ticker: str, settings: Settings) -> None:
        self._home = home
        self._request = request
        self._ticker = ticker
        self._known = known_of(home, request, ticker, settings)
        self._group = ticker if ticker in request.trainings else ALL
        self._trainings: dict[str, Training | None] = {}
        days = pd.DatetimeIndex([pd.Timestamp(one) for one in request.nights])
        closes = calendar.closes_at(request.plan.calendar, days)
        self._clock = [one.to_pydatetime() + dt.timedelta(minutes=settings.delay_minutes) for one in closes]

    def states(self, before: Part | None) -> dict[str, State]:
        """Return the state of each contender before the next night."""
        names = [one.name for one in self._request.contenders]
        if before:
            return {name: self._state_of(before.states[name]) for name in names}
        training = self._training(START)
        if training is None:
            return dict.fromkeys(names, State())
        file = content_of(group_folder(self._home, START), f"{self._ticker}.json", GroupFile)
        return dict.fromkeys(names, start_of(file.tickers[self._ticker], training))

    def nights(self, states: dict[str, State], first: int, stop: int) -> Part:
        """Return the nights from one number up to another."""
        names = list(states)
        records: dict[str, list[ForecastRecord]] = {name: [] for name in names}
        decisions: dict[str, list[Decided]] = {name: [] for name in names}
        skipped = snapshots = checked = 0
        leak = ""
        for at in range(first, stop):
            night = self._request.nights[at]
            prices = self._known.at(night)
            if prices is None:
                skipped += 1
                continue
            snapshots += self._known.has_snapshot(night)
            training = self._training(str(night)) if night in self._request.trainings[self._group] else None
            try:
                made = self._night(at, states, training, prices)
            except DataError:  # a night that the step `evaluate` stops
                skipped += 1
                continue
            if at == stop - 1:
                checked += 1
                leak = self._leak(at, states, training, made)
            for name, one in made.items():
                decisions[name].append(
                    Decided(as_of=night, trained=training is not None, promoted=one.promoted, reason=one.reason)
                )
                if one.record:
                    records[name].append(one.record)
            states = {name: one.state for name, one in made.items()}
        return Part(
            stop=stop,
            skipped=skipped,
            from_snapshots=snapshots,
            records=records,
            decisions=decisions,
            states={name: _state_file(one) for name, one in states.items()},
            checked=checked,
            leak=leak,
        )

    def _night(self, at: int, states: dict[str, State], training: Training | None, prices: Prices) -> dict[str, Night]:
        plan = self._plan(at)
        judge = Judge(prices, plan)
        currency = self._request.currencies[self._ticker]
        return {
            one.name: replayed(one, states[one.name], training, prices, _plan_of(one, plan), currency, judge)
            for one in self._request.contenders
        }

    def _leak(self, at: int, states: dict[str, State], training: Training | None, made: dict[str, Night]) -> str:
        """Make a night again with other prices after it, and return the first figure that changed."""
        night = self._request.nights[at]
        change = functools.partial(_other_later_prices, name=self._request.plan.calendar, night=night)
        prices = self._known.at(night, change)
        if prices is None:
            return f"{self._ticker} {night}: the prices of the night change with later ones"
        again = self._night(at, states, training, prices)
        for name, one in made.items():
            before = one.record.model_dump() if one.record else {}
            after = again[name].record
            now = after.model_dump() if after else {}
            for field, value in before.items():
                if now.get(field) != value:
                    return f"{self._ticker} {night}, {name}: {field} {value} -> {now.get(field)}"
            if again[name].reason != one.reason:
                return f"{self._ticker} {night}, {name}: {one.reason} -> {again[name].reason}"
        return ""

    def _plan(self, at: int) -> Plan:
        fields = {"as_of": self._request.nights[at], "created": self._clock[at], "tickers": (self._ticker,)}
        return self._request.plan.model_copy(update=fields)

    def _training(self, name: str) -> Training | None:
        """Return a training of this ticker by the date of its night; None where it took no part."""
        if name not in self._trainings:
            group, file_name = (START, self._ticker) if name == START else (self._group, name)
            folder = group_folder(self._home, group)
            found = None
            if folder.exists(f"{file_name}.json"):
                found = content_of(folder, f"{file_name}.json", GroupFile).tickers.get(self._ticker)
            self._trainings[name] = training_of(name, found, trainings_folder(self._home)) if found else None
        return self._trainings[name]

    def _state_of(self, file: StateFile) -> State:
        held = file.held
        if held is None:
            return State(None, file.number)
        training = self._training(held.training)
        assert training is not None  # noqa: S101 - a champion is of a training of this ticker
        served, evaluated = (Recipe.from_json(one.encode()) for one in (held.served, held.evaluated))
        version = Version(held.number, "", "", held.tags)
        return State(Held(version, training, served, evaluated), file.number)


def _state_file(state: State) -> StateFile:
    held = state.held
    if held is None:
        return StateFile(held=None, number=state.number)
    file = HeldFile(
        training=held.training.name,
        number=held.version.number,
        tags=dict(held.version.tags),
        served=held.served.to_json().decode(),
        evaluated=held.evaluated.to_json().decode(),
    )
    return StateFile(held=file, number=state.number)


def _plan_of(contender: Contender, plan: Plan) -> Plan:
    gate = plan.gate.model_copy(update={"policy": contender.policy or plan.gate.policy})
    return plan.model_copy(update={"gate": gate, "run": f"replay-{contender.name}"})


def _equal(one: Prices, other: Prices) -> bool:
    columns = zip((one.sessions, *one.bars), (other.sessions, *other.bars), strict=True)
    return all(np.array_equal(left, right, equal_nan=True) for left, right in columns)


def _other_later_prices(raw: pd.DataFrame, *, name: str, night: dt.date) -> pd.DataFrame:
    """Return prices of which every row after a night is another one."""
    after = raw.index > pd.Timestamp(night)
    if not after.any():
        return with_later_sessions(raw, name, night)
    return changed_since(raw, raw.index[after][0], np.random.default_rng(0))
