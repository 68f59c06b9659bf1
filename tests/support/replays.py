"""A store of seven real nights, and replays of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.plan import make_plan
from pipeline.replay.replay import Finished, replay
from pipeline.serving.promotion import Decision
from tests.support.nights import night

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.settings import Settings

NIGHTS = ("2025-11-12", "2025-11-13", "2025-11-14", "2025-11-17", "2025-11-18", "2025-11-19", "2025-11-20")
NOW = dt.datetime(2025, 11, 22, tzinfo=dt.UTC)
EVERY = 3  # sessions between trainings


class Ran(NamedTuple):
    """A store that ran AAA on each of `NIGHTS`."""

    home: Path
    decisions: dict[str, Decision]  # by night


def ran(home: Path) -> Ran:
    """Run AAA for seven nights, training every third session."""
    decisions = {}
    for at, day in enumerate(NIGHTS):
        folder = night(str(at), day, retrain_every=EVERY)
        decisions[day] = Decision.from_json(folder.read("decision.json"))
    return Ran(home, decisions)


def plan_to(settings: Settings, last: str, *tickers: str) -> Plan:
    """Return the plan of a replay's last night."""
    given = settings.model_copy(update={"tickers": tickers, "as_of": dt.date.fromisoformat(last)})
    return make_plan(given, "replay", now=NOW, moment=NOW, overrides={})


def replay_of(
    settings: Settings,
    first: str = NIGHTS[0],
    last: str = NIGHTS[-1],
    *,
    tickers: Sequence[str] = ("AAA",),
    every: int = EVERY,
    policies: Sequence[Any] = ("unless_worse",),
    workers: int = 1,
    say: Callable[[str], None] = lambda _line: None,
) -> Finished:
    """Return a finished replay."""
    plan = plan_to(settings, last, *tickers)
    day = dt.date.fromisoformat(first)
    return replay(plan, settings, first=day, every=every, policies=policies, workers=workers, say=say)


def files_of(home: Path) -> dict[str, bytes]:
    """Return the results and the ledgers of a replay."""
    found = [home / "results.json", home / "report.html", *sorted((home / "ledger").rglob("*.parquet"))]
    return {str(one.relative_to(home)): one.read_bytes() for one in found}
