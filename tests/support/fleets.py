"""Stores of reported nights without a training: `python -m tests.support.fleets` measures `closecast status` on 500."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import calendar
from pipeline.plan import make_plan
from pipeline.reporting.closing import closing, results_json
from pipeline.reporting.results import Result
from pipeline.serving import ledger
from pipeline.settings import Settings, load_settings
from pipeline.store.runs import run_folder, unit_folder
from tests.support.ledger_rows import ROW

CHECKOUT = Path(__file__).resolve().parents[2]
IMPORTS = "import rich.table, rich.text, pipeline.cli.console, pipeline.reporting.fleet"


class Seconds(NamedTuple):
    """Processor seconds and seconds of a command."""

    processor: float
    wall: float


def row(ticker: str, **changes: Any) -> Result:
    """Return the row of a ticker that is done, with a champion of 2025-11-20 and a forecast of 2025-11-24."""
    made = Result(ticker, 3000, 600, 13.6, 13.5, -0.008, 12.3, "a" * 32, "forecast", "", ())
    made = made._replace(
        currency="USD",
        decision="promoted",
        forecast_session="2025-11-24",
        forecast_version=7,
        forecast=105.25,
        forecast_low_95=100.0,
        forecast_high_95=110.0,
        forecast_quantiles=ROW.quantiles,
        live_interval_skill_60=0.071,
        live_coverage_95_60=0.95,
        served_version=7,
        served_trained="2025-11-20",
        served_cutoff="2025-11-20",
    )
    return made._replace(**changes)


def leave_night(settings: Settings, as_of: str, rows: Sequence[Result], *, run: str = "", **plan: Any) -> None:
    """Leave what a reported run leaves in the store: its plan, its results and a folder for each ticker."""
    day = dt.date.fromisoformat(as_of)
    asked = settings.model_copy(update={"tickers": tuple(one.ticker for one in rows), "as_of": day})
    now = dt.datetime.combine(day, dt.time(22, 30), dt.UTC)
    made = make_plan(asked, f"manual__{run or as_of}", now=now, moment=now, overrides={}).model_copy(update=plan)
    folder = run_folder(settings.store_url, made.run)
    folder.write("plan.json", made.model_dump_json().encode())
    folder.write("results.json", results_json(closing(made.dag_run_id, rows, {}), rows))
    for one in rows:
        Path(unit_folder(settings.store_url, one.ticker, made).url).mkdir(parents=True)


def leave_forecast(settings: Settings, ticker: str, session: str, as_of: str, **changes: Any) -> None:
    """Leave a row of the ledger."""
    given = {
        "ticker": ticker,
        "session": dt.date.fromisoformat(session),
        "as_of": dt.date.fromisoformat(as_of),
        "synthetic": True,
        **changes,
    }
    ledger.write(settings.ledger_place, ROW.model_copy(update=given))


def leave_fleet(settings: Settings, tickers: int, nights: int, failed: int) -> tuple[str, ...]:
    """Leave nights up to the last due session, of which the last one failed for some tickers; return their names."""
    due = calendar.last_closed_session(settings.calendar, dt.datetime.now(dt.UTC) - dt.timedelta(hours=4))
    days = calendar.sessions(settings.calendar, due - dt.timedelta(days=2 * nights + 10), due)[-nights:]
    names = tuple(f"T{number:03d}" for number in range(tickers))
    for day in days:
        session = str(day.date())
        rows = [row(name, served_trained=session, forecast_session=session) for name in names]
        if session == str(due):
            broken = {"reason": "The file has no close column.", "served_version": None, "forecast_session": ""}
            rows[:failed] = [one._replace(**broken, step="ingest") for one in rows[:failed]]
        leave_night(settings, session, rows)
    for name in names[:failed]:
        leave_forecast(settings, name, str(due), str(days[-2].date()))
    return names


def measured(*words: str, variables: dict[str, str]) -> Seconds:
    """Return the seconds of a program of this checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], cwd=CHECKOUT, env=os.environ | variables, check=False, stdout=subprocess.DEVNULL
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(used, wall)


def main() -> None:
    """Print the seconds of `closecast status`, and those of its imports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--failed", type=int, default=20, help="tickers that fail in the last night")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="closecast-fleet-") as var:
        os.environ["CLOSECAST_VAR"] = var
        names = leave_fleet(load_settings(), asked.tickers, asked.nights, asked.failed)
        variables = {"CLOSECAST_TICKERS": ",".join(names)}
        for _ in range(2):  # the first time also compiles and reads the disk
            imports = measured("-c", IMPORTS, variables=variables)
            status = measured("-m", "pipeline", "status", variables=variables)
    sys.stdout.write(f"{asked.tickers} tickers, {asked.nights} nights, {asked.failed} failed in the last one\n")
    sys.stdout.write(f"imports: {imports.processor:.2f} s of processor, {imports.wall:.2f} s\n")
    sys.stdout.write(f"status:  {status.processor:.2f} s of processor, {status.wall:.2f} s\n")


if __name__ == "__main__":
    main()
