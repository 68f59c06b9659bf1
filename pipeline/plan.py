"""The plan of one run: all that its steps need to know, fixed once, so that a retry cannot see it differently."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import calendar
from pipeline.errors import UsageError
from pipeline.settings import Settings, broken_rule
from pipeline.settings.fault import Fault
from pipeline.settings.gate import Gate
from pipeline.settings.preset import Preset

# Letters, digits and the few signs that tickers of Yahoo hold (BRK-B, ^GSPC, BTC-USD, ES=F, RDS.A): never a path.
_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.=^-]{0,14}")
_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")  # what Airflow allows; it goes into MLflow's filters
_NOT_IN_A_FOLDER_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Batch(TypedDict):
    """The units that one mapped task handles together: all that travels through XCom."""

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
    until: Literal["evaluate", "forecast"]  # the last step: what is only compared is never promoted

    @property
    def synthetic(self) -> bool:
        """Return whether the prices are made up."""
        return self.source == "sample"

    @property
    def min_sessions(self) -> int:
        """Return how many sessions a history needs at least."""
        return self.preset.lookback + self.min_history

    def batches(self) -> list[Batch]:
        """Return the universe cut into batches, in order."""
        size = self.batch_size
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
) -> Plan:
    """Turn settings into the plan of one run.

    Args:
        settings: with the run's parameters already in them.
        dag_run_id: name of the run, from Airflow or made up.
        now: the aware current time; `as_of` has closed by then.
        moment: the aware time that the run stands for; without `as_of` its last closed session is meant.
        overrides: fields of the preset to change for this run only.
        until: name of the last step.

    Raises:
        UsageError: when a parameter breaks its rule.
    """
    if not _RUN_ID.fullmatch(dag_run_id):
        raise UsageError(
            "The name of a run is 1 to 250 letters, digits or the signs _ . ~ : + -",
            repr(dag_run_id)[:80],
            "Start the run under another name, or without one.",
        )
    if settings.as_of:
        as_of = calendar.check_session(settings.calendar, settings.as_of, now)
    else:
        as_of = calendar.last_closed_session(settings.calendar, min(moment, now))
    if settings.start and settings.start >= as_of:
        raise UsageError(
            "START must lie before AS_OF.", f"START={settings.start}, AS_OF={as_of}", "Move one of the two."
        )
    return Plan(
        run=folder_name(dag_run_id),
        dag_run_id=dag_run_id,
        created=now,
        as_of=as_of,
        start=settings.start,
        calendar=settings.calendar,
        source=settings.source,
        prices=_checked_prices(settings),
        fault=_checked_fault(settings),
        accept_restated=settings.accept_restated,
        tickers=_universe(settings),
        batch_size=settings.batch_size,
        min_history=settings.min_history,
        max_jump=settings.max_jump,
        preset_name=settings.preset,
        preset=_checked_preset(settings, overrides),
        gate=settings.gate,
        walk_forward=settings.walk_forward,
        sliding=settings.sliding,
        until=until,
    )


def folder_name(dag_run_id: str) -> str:
    """Return a run's name with only letters, digits, `_` and `-`, as a folder of any store can have it."""
    return _NOT_IN_A_FOLDER_NAME.sub("-", dag_run_id).strip("-") or "run"


def checked_tickers(tickers: tuple[str, ...]) -> tuple[str, ...]:
    """Return `tickers` in upper case and without repeats, in order.

    Raises:
        UsageError: for none at all, or one that is no ticker.
    """
    cleaned = [ticker.strip(" ").upper() for ticker in tickers]
    for ticker in cleaned:
        if not _TICKER.fullmatch(ticker):
            raise UsageError(
                "A ticker is 1 to 15 letters, digits or the signs . - = ^",
                repr(ticker)[:80],
                "Correct TICKERS, a list such as NFLX,AAPL.",
            )
    if not cleaned:
        raise UsageError("A run needs at least one ticker.", "none", "Set TICKERS, a list such as NFLX,AAPL.")
    return tuple(dict.fromkeys(cleaned))


def _universe(settings: Settings) -> tuple[str, ...]:
    """Return the tickers; `*` stands for every price file of the folder."""
    if settings.tickers != ("*",):
        return checked_tickers(settings.tickers)
    place = _checked_prices(settings)
    if place is None or not place.is_dir():
        raise UsageError(
            "TICKERS=* needs a folder of price files.",
            f"PRICES={place}",
            "Name the tickers, or set PRICES to a folder.",
        )
    return checked_tickers(tuple(sorted(file.stem for file in place.iterdir() if file.suffix in {".csv", ".parquet"})))


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
    if path.is_file() and len(settings.tickers) > 1:  # else each of them would get the prices of one
        raise UsageError(
            "A price file holds the prices of one ticker.",
            f"{len(settings.tickers)} tickers ({', '.join(settings.tickers)[:80]}) for {path}",
            "Name the one whose prices they are in TICKERS, or set PRICES to a folder with TICKER.csv.",
        )
    return path


def _checked_fault(settings: Settings) -> Fault | None:
    if settings.fault and settings.source != "sample":
        raise UsageError(
            "FAULT damages the synthetic market only.", f"FAULT={settings.fault}, SOURCE={settings.source}", "Drop one."
        )
    return settings.fault


def _checked_preset(settings: Settings, overrides: Mapping[str, object]) -> Preset:
    known = settings.presets
    if settings.preset not in known:
        raise UsageError(
            "PRESET must be a preset of closecast.toml.",
            repr(settings.preset)[:80],
            f"Use one of: {', '.join(sorted(known)) or 'none found there'}.",
        )
    try:
        return Preset.model_validate({**known[settings.preset].model_dump(), **overrides})
    except ValidationError as error:
        raise broken_rule(error, "the overrides of this run") from None
