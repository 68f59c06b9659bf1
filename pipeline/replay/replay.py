"""Replay: past nights by the clock, each with the prices that it knew, for several policies of the gate side by side.

First all trainings are made, one every K sessions: they depend on no champion. Then each ticker passes its nights in a
process of its own. The store, the ledger and MLflow are only read, or not asked at all.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import calendar
from pipeline.errors import UsageError
from pipeline.forecasting.device import backend
from pipeline.prices import snapshot
from pipeline.prices.sources import Quoted
from pipeline.replay import work
from pipeline.replay.folder import Part, Request, alone, begun, folder_of, parts
from pipeline.replay.night import NEVER, REFERENCE, Contender
from pipeline.replay.prices import Known, snapshots_of
from pipeline.replay.processes import processes, worked
from pipeline.replay.scores import replayed_of
from pipeline.replay.training import ALL, START, Before, GroupFile, before
from pipeline.reporting.replayed import page, results_json
from pipeline.settings.gate import Policy
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, sha256
from pipeline.versions import code_version

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.reporting.replayed import Replayed
    from pipeline.settings import Settings

Say = Callable[[str], None]


class Finished(NamedTuple):
    """A replay and its folder."""

    made: Replayed
    home: Path


class _History(NamedTuple):
    """The prices of one ticker for a whole replay."""

    quoted: Quoted
    snapshots: dict[dt.date, Folder]
    before: Before | None


def replay(
    plan: Plan,
    settings: Settings,
    *,
    first: dt.date,
    every: int,
    policies: Sequence[Policy],
    workers: int,
    say: Say,
) -> Finished:
    """Replay the nights from `first` to `plan.as_of`, and write ledger, report and results.

    A second call with the same request continues, or returns the result at once.

    Args:
        plan: as a run of the last night would have it.
        settings: of the environment.
        first: session of the first night.
        every: sessions from one training to the next.
        policies: of the gate, at least one.
        workers: processes at the same time; 1: this one alone.
        say: takes a line about the progress.

    Raises:
        UsageError: when no session lies between both dates, or the history before the first night is too short.
        PipelineError: when a source or a training fails, or another replay works in the folder.
    """
    nights = tuple(one.date() for one in calendar.sessions(plan.calendar, first, plan.as_of, plan.closed_sessions))
    if not nights:
        raise UsageError("A replay needs a session.", f"none from {first} to {plan.as_of}", "Correct --from and --to.")
    histories = {ticker: _history(ticker, plan, settings, nights) for ticker in plan.tickers}
    _check_history(plan, settings, nights[0], histories)
    request = _request(plan, nights, every, policies, histories)
    home = folder_of(settings.var_dir, nights[0], nights[-1], every)
    with alone(home):
        reason = begun(home, request)
        if reason:
            say(f"Begins anew: the last replay in {home} differs in {reason}.")
        if reason != "":
            _write_inputs(home, histories)
        _train(home, request, settings, workers, say)
        _replay_nights(home, request, settings, workers, say)
        made = replayed_of(home, request, settings)
        folder = Folder(str(home))
        folder.write("report.html", page(made))
        folder.write("results.json", results_json(made))
    return Finished(made, home)


def contenders_of(policies: Sequence[Policy], plan: Plan) -> tuple[Contender, ...]:
    """Return the policies and the baselines; a preset of output `point` has no reference."""
    found = [Contender(name=one, policy=one) for one in dict.fromkeys(policies)]
    found.append(Contender(name=NEVER, policy=plan.gate.policy))
    if plan.preset.output == "distribution":
        found.append(Contender(name=REFERENCE, policy=None))
    return tuple(found)


def training_nights(
    nights: Sequence[dt.date], every: int, before_them: Sequence[dt.date | None], plan: Plan
) -> tuple[dt.date, ...]:
    """Return the nights that train: the first one without a champion, then each whose last training is K sessions old.

    Args:
        nights: of the replay.
        every: K.
        before_them: for each ticker that is trained together, the last training before the first night; None without.
        plan: for the calendar.
    """
    known = [one for one in before_them if one]
    due = 0
    if len(known) == len(before_them):
        age = calendar.sessions_after(plan.calendar, min(known), nights[0], plan.closed_sessions)
        due = max(0, every - age)
    return tuple(nights[due::every])


def _history(ticker: str, plan: Plan, settings: Settings, nights: Sequence[dt.date]) -> _History:
    """Return the snapshots of a ticker, and the history of its source where a night has none."""
    found = snapshots_of(settings.store_url, ticker, plan, nights[0], nights[-1])
    started = before(settings.store_url, found[nights[0]]) if nights[0] in found else None
    if set(nights) <= set(found):
        last = found[nights[-1]]
        ingested = last.manifest("ingest")
        assert ingested is not None  # noqa: S101 - `snapshots_of` has read it
        prices = snapshot.read(settings.store_url, ticker, last, ingested).prices
        return _History(Quoted(prices, snapshot.SnapshotRecord.of(last).currency), found, started)
    return _History(snapshot.fetch(ticker, plan, settings), found, started)


def _check_history(plan: Plan, settings: Settings, first: dt.date, histories: dict[str, _History]) -> None:
    for ticker, one in histories.items():
        known = Known(settings.store_url, ticker, one.quoted.prices, one.snapshots, plan)
        if known.at(first) is None:
            raise UsageError(
                f"Each ticker needs {plan.min_sessions} sessions up to the first night, and a price on it.",
                f"{ticker} on {first}: {_sessions_before(one.quoted.prices, first)}",
                "Use a later --from, an earlier START, or other tickers.",
            )


def _sessions_before(prices: pd.DataFrame, first: dt.date) -> str:
    known = prices[prices.index <= str(first)]
    return f"{len(known):,} rows, the last on {known.index[-1].date()}" if len(known) else "no row"


def _request(
    plan: Plan,
    nights: tuple[dt.date, ...],
    every: int,
    policies: Sequence[Policy],
    histories: dict[str, _History],
) -> Request:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # each night sets its own: the request must not change by the hour
    fixed = plan.model_copy(update={"created": moment, "run": "replay", "dag_run_id": "replay", "fault": None})
    last = {ticker: one.before.file.last_training if one.before else None for ticker, one in histories.items()}
    groups = {ALL: plan.tickers} if plan.shares_network else {ticker: (ticker,) for ticker in plan.tickers}
    return Request(
        nights=nights,
        every=every,
        contenders=contenders_of(policies, plan),
        plan=fixed,
        trainings={
            name: training_nights(nights, every, [last[one] for one in tickers], plan)
            for name, tickers in groups.items()
        },
        currencies={ticker: one.quoted.currency for ticker, one in histories.items()},
        prices={ticker: sha256(frame_bytes(one.quoted.prices)) for ticker, one in histories.items()},
        snapshots={
            ticker: {str(day): folder.url for day, folder in one.snapshots.items()} for ticker, one in histories.items()
        },
        started={
            ticker: f"v{one.before.file.number} of {one.before.file.as_of}"
            for ticker, one in histories.items()
            if one.before
        },
        code=code_version(),
        backend=backend(),
    )


def _write_inputs(home: Path, histories: dict[str, _History]) -> None:
    prices = Folder(str(home / "prices"))
    trainings = work.trainings_folder(home)
    for ticker, one in histories.items():
        prices.write(f"{ticker}.parquet", frame_bytes(one.quoted.prices))
        if one.before:
            for name, data in one.before.networks.items():
                trainings.keep(name, data)
            file = GroupFile(tickers={ticker: one.before.file})
            work.group_folder(home, START).write(f"{ticker}.json", file.model_dump_json().encode())


def _train(home: Path, request: Request, settings: Settings, workers: int, say: Say) -> None:
    """Make the trainings that are missing."""
    all_of_them = [(group, night) for group, nights in request.trainings.items() for night in nights]
    left = [one for one in all_of_them if not work.group_folder(home, one[0]).exists(f"{one[1]}.json")]
    done = len(all_of_them) - len(left)
    if done:
        say(f"Continues: {done} of {len(all_of_them)} training(s) are done.")
    with processes(min(workers, len(left))) as pool:
        tasks = deque(left)
        for (group, night), _ in worked(tasks, workers, lambda one: pool.submit(work.train, home, *one, settings)):
            done += 1
            say(f"training {done} of {len(all_of_them)}: {group}, as of {night}")


def _replay_nights(home: Path, request: Request, settings: Settings, workers: int, say: Say) -> None:
    """Pass the nights that are missing, some of a ticker at a time."""
    total = len(request.nights)
    stops = {ticker: _stop(parts(home, ticker, total)) for ticker in request.plan.tickers}
    left = [ticker for ticker, stop in stops.items() if stop < total]
    if any(stops.values()) and left:
        say(f"Continues: {sum(stops.values()):,} of {total * len(stops):,} ticker-nights are done.")
    with processes(min(workers, len(left))) as pool:
        tasks = deque(left)
        for ticker, part in worked(tasks, workers, lambda one: pool.submit(work.replay_part, home, one, settings)):
            stops[ticker] = part.stop
            night = request.nights[part.stop - 1]
            say(f"nights {sum(stops.values()):,} of {total * len(stops):,}: {ticker} up to {night}")
            if part.stop < total:
                tasks.append(ticker)


def _stop(done: Sequence[Part]) -> int:
    return done[-1].stop if done else 0
