"""The plan of one run: the values that its steps need, fixed once, so that a retry sees the same values."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import UsageError
from pipeline.settings import Settings
from pipeline.settings.complaints import broken_override
from pipeline.settings.currency import code_of
from pipeline.settings.fault import Fault
from pipeline.settings.gate import Gate
from pipeline.settings.preset import Preset

# The signs in Yahoo's symbols (BRK-B, ^GSPC, ES=F, RDS.A, M&M.NS, NIFTY_FIN_SERVICE.NS). A ticker is never a path, and
# folders that begin with "_" are the store's own.
_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.=^&_-]{0,31}")
_PRICE_FILES = (".csv", ".parquet")
_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")  # what Airflow allows; it goes into MLflow's filters
_NOT_IN_A_FOLDER_NAME = re.compile(r"[^A-Za-z0-9_-]+")


LOCAL = "local__"  # the ids of the runs of `closecast run`, which Airflow does not know
MOST_BATCHES = 1024  # what Airflow maps by default: its setting core.max_map_length


class Batch(TypedDict):
    """The units that one mapped task handles together. XCom carries nothing else."""

    run: str
    as_of: str
    tickers: list[str]


class Plan(BaseModel):
    """What one run does. `plan.json` in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    dag_run_id: str
    created: dt.datetime
    as_of: dt.date
    start: dt.date | None
    calendar: str
    closed_sessions: tuple[dt.date, ...] = ()  # by the settings
    presumed_closures: tuple[dt.date, ...] = ()  # no ticker had a bar in an earlier run
    source: str
    prices: Path | None
    fault: Fault | None
    accept_restated: bool
    tickers: tuple[str, ...]
    batch_size: int
    min_history: int
    max_jump: float
    preset_name: str
    preset: Preset
    gate: Gate
    walk_forward: int
    sliding: bool
    until: Literal["evaluate", "forecast"]  # the last step; `compare` ends before promotion
    retrain_every: int = 1
    currency: str = ""  # of price files, as the user states it; "" if it is unknown
    ask_hours: float = 0.0  # that an unexplained restatement waits for a person; 0: it is critical at once

    @property
    def synthetic(self) -> bool:
        """Return whether the prices are synthetic."""
        return self.source == "sample"

    @property
    def min_sessions(self) -> int:
        """Return the smallest number of sessions that a history may have."""
        return self.preset.lookback + self.min_history

    @property
    def shares_network(self) -> bool:
        """Return whether one network is trained for all tickers."""
        return self.preset.shares_network(len(self.tickers))

    def trainings(self, batches: Sequence[Batch]) -> list[Batch]:
        """Return the batches of step `train`: one of all tickers if they share a network, else the batches as given."""
        if not self.shares_network:
            return list(batches)
        return [Batch(run=self.run, as_of=self.as_of.isoformat(), tickers=list(self.tickers))]

    def batches(self, most: int = MOST_BATCHES) -> list[Batch]:
        """Return the universe cut into at most `most` batches, in order. A large universe has larger batches."""
        size = max(self.batch_size, math.ceil(len(self.tickers) / most))
        return [
            Batch(run=self.run, as_of=self.as_of.isoformat(), tickers=list(self.tickers[i : i + size]))
            for i in range(0, len(self.tickers), size)
        ]


def make_plan(
    settings: Settings,
    dag_run_id: str,
    *,
    now: dt.datetime,
    moment: dt.datetime,
    overrides: Mapping[str, object],
    until: Literal["evaluate", "forecast"] = "forecast",
    slots: int = MOST_BATCHES,
    presumed_closures: tuple[dt.date, ...] = (),
    ask_hours: float = 0.0,
) -> Plan:
    """Turn settings into the plan of one run.

    Args:
        settings: with the run's parameters already in them.
        dag_run_id: name of the run.
        now: the current time, with time zone; `as_of` must have closed by then.
        moment: the time that the run is for, with time zone; without `as_of` its last closed session is used.
        overrides: fields of the preset to change for this run only.
        until: name of the last step.
        slots: tasks that may run at the same time.
        presumed_closures: sessions that no ticker had in earlier runs.
        ask_hours: that an unexplained restatement waits for a person; 0 in a run that no stack started.

    Raises:
        UsageError: when a parameter breaks its rule, or the calendar has ended.
    """
    from pipeline import calendar  # it imports pandas, and the DAG file needs only the universe of this module

    if not _RUN_ID.fullmatch(dag_run_id):
        raise UsageError(
            "The name of a run is 1 to 250 letters, digits or the signs _ . ~ : + -",
            repr(dag_run_id)[:80],
            "Start the run under another name, or without one.",
        )
    closed = settings.closed_sessions
    if settings.as_of:
        as_of = calendar.check_session(settings.calendar, settings.as_of, now, closed)
    else:
        calendar.check_covers(settings.calendar, min(moment, now))
        as_of = calendar.last_closed_session(settings.calendar, min(moment, now), closed)
    if settings.start and settings.start >= as_of:
        if settings.as_of is None:
            raise UsageError(
                "START must lie before the last closed session.", f"START={settings.start}; {as_of}", "Move START."
            )
        raise UsageError(
            "START must lie before AS_OF.", f"START={settings.start}, AS_OF={as_of}", "Move one of the two."
        )
    tickers = universe(settings)
    size = settings.batch_size
    return Plan(
        run=folder_name(dag_run_id),
        dag_run_id=dag_run_id,
        created=now,
        as_of=as_of,
        start=settings.start,
        calendar=settings.calendar,
        closed_sessions=closed,
        presumed_closures=presumed_closures,
        source=settings.source,
        prices=_checked_prices(settings),
        fault=_checked_fault(settings),
        accept_restated=settings.accept_restated,
        tickers=tickers,
        batch_size=math.ceil(len(tickers) / slots) if size == "auto" else size,
        min_history=settings.min_history,
        max_jump=settings.max_jump,
        preset_name=settings.preset,
        preset=_checked_preset(settings, overrides),
        gate=settings.gate,
        walk_forward=settings.walk_forward,
        sliding=settings.sliding,
        until=until,
        retrain_every=settings.retrain_every,
        currency=_checked_currency(settings),
        ask_hours=ask_hours,
    )


def folder_name(dag_run_id: str) -> str:
    """Return a run's name with only letters, digits, `_` and `-`, as a folder of any store can have it."""
    return _NOT_IN_A_FOLDER_NAME.sub("-", dag_run_id).strip("-") or "run"


def checked_tickers(tickers: tuple[str, ...]) -> tuple[str, ...]:
    """Return `tickers` in upper case and without repeats, in order.

    Raises:
        UsageError: for an empty list, or a text that is not a ticker.
    """
    cleaned = [ticker.strip(" ").upper() for ticker in tickers]
    for ticker in cleaned:
        if not _TICKER.fullmatch(ticker):
            raise UsageError(
                "A ticker is 1 to 32 letters, digits or the signs . - = ^ & _",
                repr(ticker)[:80],
                "Correct TICKERS, a list such as NFLX,AAPL.",
            )
    if not cleaned:
        raise UsageError("A run needs at least one ticker.", "no ticker", "Set TICKERS, a list such as NFLX,AAPL.")
    return tuple(dict.fromkeys(cleaned))


def universe(settings: Settings) -> tuple[str, ...]:
    """Return the tickers of the settings as a plan has them; `*` means every price file of the folder PRICES.

    Raises:
        UsageError: when a ticker is not valid, or `*` finds no price files.
    """
    if settings.tickers != ("*",):
        return checked_tickers(settings.tickers)
    folder = _checked_prices(settings)
    if folder is None or not folder.is_dir():
        raise UsageError(
            "TICKERS=* needs a folder of price files.",
            f"SOURCE={settings.source}, PRICES={settings.prices or ''}",
            "Name the tickers, or set SOURCE=files and PRICES to a folder.",
        )
    # Hidden files are not prices: macOS puts ._NFLX.csv beside NFLX.csv on foreign disks.
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".")]
    names = [file.stem for file in files if file.suffix.lower() in _PRICE_FILES]
    if not names:
        raise UsageError(
            "TICKERS=* needs at least one price file.",
            f"no TICKER.csv or TICKER.parquet in {folder}",
            "Correct PRICES, or name the tickers.",
        )
    return checked_tickers(tuple(names))


def covers_universe(plan: Plan, settings: Settings) -> bool:
    """Return whether a run trains every ticker of the settings, as the scheduled run of a night does."""
    try:
        expected = universe(settings)
    except UsageError:  # then no scheduled run can have a plan: this run was started with tickers of its own
        return False
    return set(plan.tickers) >= set(expected)


def _checked_prices(settings: Settings) -> Path | None:
    if settings.source != "files":
        return None
    if settings.prices is None:
        raise UsageError(
            "Source `files` needs PRICES.", "no PRICES", "Set PRICES to a price file or to a folder with TICKER.csv."
        )
    path = settings.prices.expanduser().resolve()
    if not path.exists():
        raise UsageError("PRICES must exist.", str(path), "Correct PRICES: a price file, or a folder with TICKER.csv.")
    if path.is_file() and len(settings.tickers) > 1:  # else every ticker would get the same prices
        raise UsageError(
            "A price file holds the prices of one ticker.",
            f"{len(settings.tickers)} tickers ({', '.join(settings.tickers)[:80]}) for {path}",
            "Set TICKERS to the ticker of that file, or set PRICES to a folder with TICKER.csv.",
        )
    return path


def _checked_currency(settings: Settings) -> str:
    if settings.source != "files" or not settings.currency:
        return ""  # other sources name their currency
    code = code_of(settings.currency)
    if not code:
        raise UsageError(
            "A currency is a code of 3 to 5 letters.",
            repr(settings.currency)[:80],
            "Correct CURRENCY, such as USD, JPY, or GBp for pence.",
        )
    return code


def _checked_fault(settings: Settings) -> Fault | None:
    if settings.fault and settings.source != "sample":
        raise UsageError(
            "FAULT damages the synthetic market only.",
            f"FAULT={settings.fault}, SOURCE={settings.source}",
            "Remove FAULT, or set SOURCE=sample.",
        )
    return settings.fault


def _checked_preset(settings: Settings, overrides: Mapping[str, object]) -> Preset:
    known = settings.presets
    if settings.preset not in known:
        raise UsageError(
            "PRESET must be a preset of closecast.toml.",
            repr(settings.preset)[:80],
            f"Use one of: {', '.join(sorted(known)) or 'no preset found'}.",
        )
    try:
        return Preset.model_validate({**known[settings.preset].model_dump(), **overrides})
    except ValidationError as error:
        raise broken_override(error, Preset) from None
