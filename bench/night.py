"""The night that the schedule of `make up` starts: `make bench-night PRICES=folder AS_OF=2020-12-11`.

The stack gets a folder and ports of its own. After its start the scheduler begins a run of the last session by itself;
AS_OF only says which rows that run reads. The seconds count from the moment at which the run is queued to its end.
With --second a run of the next session follows, which carries the networks of the first one.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parent.parent
LONGEST = 6 * 3600
TASKS = """
    select task_id, (julianday(end_date) - julianday(start_date)) * 86400
    from task_instance where run_id = ? and end_date is not null
"""
RUNS = "select state, queued_at, end_date, run_id from dag_run where dag_id = 'retrain' order by queued_at"


def main() -> None:
    """Print the seconds of a night, of each kind of task, and the largest memory of all workers together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prices", type=Path)
    parser.add_argument("as_of", type=dt.date.fromisoformat)
    parser.add_argument("--tickers", type=int, default=8, help="the first so many files of the folder")
    parser.add_argument("--second", type=dt.date.fromisoformat, help="session of a second night, without a training")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    names = sorted(file.stem for file in asked.prices.glob("*.csv"))[: asked.tickers]
    with tempfile.TemporaryDirectory(prefix="closecast-night-") as var:
        environment = os.environ | {
            "CLOSECAST_VAR": var,
            "CLOSECAST_SOURCE": "files",
            "CLOSECAST_PRICES": str(asked.prices.resolve()),
            "CLOSECAST_AS_OF": str(asked.as_of),
            "CLOSECAST_TICKERS": ",".join(names),
            "CLOSECAST_RETRAIN_EVERY": "5",
            "CLOSECAST_AIRFLOW_PORT": str(free_port()),
            "CLOSECAST_MLFLOW_PORT": str(free_port()),
        }
        load = os.getloadavg()[0]
        started = time.perf_counter()
        closecast(environment, "up")
        start_seconds = time.perf_counter() - started
        try:
            nights = [watched(Path(var), len(names), 1)]
            if asked.second:
                trigger(environment, names, asked.second)
                nights.append(watched(Path(var), len(names), 2))
        finally:
            closecast(environment, "down")
    machine = {"start_seconds": start_seconds, "load": load, "cores": os.cpu_count(), "machine": platform.machine()}
    for figures in nights:
        show(figures | machine)
    if asked.json:
        asked.json.write_text(json.dumps([figures | machine for figures in nights], indent=1))


def closecast(environment: dict[str, str], command: str) -> None:
    """Run a command of `closecast` without its output."""
    words = [sys.executable, "-m", "pipeline", command]
    subprocess.run(words, env=environment, cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)


def trigger(environment: dict[str, str], names: list[str], as_of: dt.date) -> None:
    """Start a run of a session as the form of Airflow does."""
    sys.path.insert(0, str(CHECKOUT))
    from pipeline.settings import load_settings
    from tests.support.running import Running

    os.environ |= {name: value for name, value in environment.items() if name.startswith("CLOSECAST_")}
    conf = {"tickers": names, "as_of": str(as_of)}
    body = {"dag_run_id": f"manual__{as_of}", "logical_date": None, "conf": conf}
    Running(load_settings()).ask("dags/retrain/dagRuns", body)


def watched(var: Path, tickers: int, number: int) -> dict[str, object]:
    """Wait for the end of a run, numbered from 1, and return its figures."""
    peak = 0
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        time.sleep(2)
        peak = max(peak, workers_memory(var))
        runs = rows(var, RUNS)
        if len(runs) == number and runs[-1][0] in {"success", "failed"}:
            break
    state, queued, ended, run_id = runs[-1]
    seconds = (dt.datetime.fromisoformat(ended) - dt.datetime.fromisoformat(queued)).total_seconds()
    tasks: dict[str, list[float]] = {}
    for name, took in rows(var, TASKS, run_id):
        tasks.setdefault(name, []).append(took)
    return {
        "state": state,
        "tickers": tickers,
        "seconds": seconds,
        "seconds_per_ticker": seconds / tickers,
        "peak_memory_mb": peak / 2**20,
        "tasks": {name: [len(took), statistics.median(took)] for name, took in tasks.items()},
    }


def rows(var: Path, query: str, *given: object) -> list[tuple[object, ...]]:
    """Return what Airflow's database answers."""
    with contextlib.closing(sqlite3.connect(var / "airflow" / "airflow.db", timeout=30)) as database:
        return database.execute(query, given).fetchall()


def workers_memory(var: Path) -> int:
    """Return the memory of all workers and tasks of the stack in bytes; what they share counts once (PSS)."""
    memory = 0
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            is_worker = " ".join(process.info["cmdline"] or ()).startswith("airflow worker")
            if is_worker and process.environ().get("CLOSECAST_VAR") == str(var):
                memory += process.memory_full_info().pss
    return memory


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def show(figures: dict[str, object]) -> None:
    """Print the figures as a table."""
    print(f"start of the stack   {figures['start_seconds']:8.1f} s")
    print(f"night, {figures['tickers']:3} tickers   {figures['seconds']:8.1f} s, {figures['state']}")
    print(f"per ticker           {figures['seconds_per_ticker']:8.1f} s")
    print(f"memory of the tasks  {figures['peak_memory_mb']:8.0f} MB at most")
    for name, (count, median) in figures["tasks"].items():
        print(f"{name:20} {median:8.1f} s, median of {count}")
    print(f"load before the start {figures['load']:.1f} on {figures['cores']} cores")


if __name__ == "__main__":
    main()
