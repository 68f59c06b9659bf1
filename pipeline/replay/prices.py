"""The prices of one ticker as each past night knew them: a snapshot of the store, or the history cut at the night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.errors import StoreError
from pipeline.forecasting.bars import Bars
from pipeline.prices import snapshot
from pipeline.prices.clean import clean
from pipeline.replay.night import Prices
from pipeline.steps.validate import rows_before_calendar, sessions_of
from pipeline.store.folder import Folder

if TYPE_CHECKING:
    from pipeline.plan import Plan

Change = Callable[[pd.DataFrame], pd.DataFrame]


def snapshots_of(store_url: str, ticker: str, plan: Plan, first: dt.date, last: dt.date) -> dict[dt.date, Folder]:
    """Return the unit of each night that has a snapshot which passed validation; of several, the newest.

    Only snapshots of the plan's source count, and no snapshot with a fault.
    """
    found: dict[dt.date, Folder] = {}
    days = Folder(f"{store_url}/{ticker}")
    for day in days.names():
        if not str(first) <= day <= str(last):
            continue
        runs = [Folder(f"{days.path(day)}/{run}") for run in Folder(days.path(day)).names()]
        passed = [(started, one) for one in runs if (started := _started(one, plan.source))]
        if passed:
            found[dt.date.fromisoformat(day)] = max(passed, key=lambda pair: pair[0])[1]
    return found


def _started(folder: Folder, source: str) -> dt.datetime | None:
    """Return when a unit took its snapshot; None unless it passed validation."""
    ingested = folder.manifest("ingest")
    validated = folder.manifest("validate")
    if ingested is None or validated is None or ingested.failed or validated.failed:
        return None
    tags = ingested.outcome.tags
    return ingested.started if tags.get("source") == source and "fault" not in tags else None


class Known:
    """The prices of one ticker by night."""

    def __init__(
        self, store_url: str, ticker: str, history: pd.DataFrame, snapshots: Mapping[dt.date, Folder], plan: Plan
    ) -> None:
        """Remember the sources.

        Args:
            store_url: of the snapshots.
            ticker: of the prices.
            history: raw prices up to the last night, for nights without a snapshot.
            snapshots: by night, as `snapshots_of` returns them.
            plan: of the replay.
        """
        self._store_url = store_url
        self._ticker = ticker
        self._history = history
        self._snapshots = snapshots
        self._plan = plan

    def has_snapshot(self, night: dt.date) -> bool:
        """Return whether the store has the prices of a night."""
        return night in self._snapshots

    def at(self, night: dt.date, change: Change | None = None) -> Prices | None:
        """Return the prices of a night after `clean`; None where it had no sound price of its session.

        Args:
            night: its session.
            change: of the raw prices, for the check that no later row has an influence.

        Raises:
            Damaged: when a snapshot is not as it was taken.
        """
        raw = self._raw(night)
        if change:
            raw = change(raw)
        return validated(raw, self._plan.model_copy(update={"as_of": night}))

    def _raw(self, night: dt.date) -> pd.DataFrame:
        if night not in self._snapshots:
            return self._history
        folder = self._snapshots[night]
        ingested = folder.manifest("ingest")
        if ingested is None:
            raise StoreError("A snapshot must stay in the store during a replay.", folder.url, "Start the replay anew.")
        return snapshot.read(self._store_url, self._ticker, folder, ingested).prices


def validated(raw: pd.DataFrame, plan: Plan) -> Prices | None:
    """Return the rows up to the night that are prices of a session, as step `validate` keeps them.

    None where the newest one is of another session, fewer sessions remain than a run needs, or a close is not a
    positive number: the step stops such a ticker.
    """
    known = raw[raw.index <= pd.Timestamp(plan.as_of)]
    if known.empty or known.index[-1].date() < plan.as_of:
        return None
    known = known[len(rows_before_calendar(known, plan.calendar)) :]
    frame = clean(known, sessions_of(known, plan).known).prices
    if len(frame) < plan.min_sessions or frame.index[-1].date() != plan.as_of or not frame.index.is_unique:
        return None
    bars = Bars(*(frame[name].to_numpy("float64") for name in Bars._fields))
    if not (np.isfinite(bars.close) & (bars.close > 0)).all():
        return None
    return Prices(frame, frame.index.to_numpy("datetime64[D]"), bars)
