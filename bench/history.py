"""Seconds of the commands and of MLflow's searches beside few and many nights of ten tickers.

The nights have the files, runs, versions and ledger rows of real ones, without their training: a run has as many
metrics, parameters and tags as one of the preset `daily`. Commands run as processes of their own, searches are those
of MLflow's pages on a real server. Both histories take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tracking

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

METRICS, PARAMETERS, TAGS = 75, 35, 45  # of a ticker's run
REPEATS = 5
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Print the seconds beside each history, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=10)
    parser.add_argument("--nights", type=int, nargs=2, default=[2, 100], help="few and many")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end the servers too
    tickers = [f"T{number:03}" for number in range(asked.tickers)]
    with contextlib.ExitStack() as stack:
        calls = [stack.enter_context(history(tickers, nights)) for nights in asked.nights]
        found = {name: seconds([one[name] for one in calls]) for name in calls[0]}
    print(f"{asked.tickers} tickers, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, (few, many) in found.items():
        print(
            f"{name:42} {few:6.2f} s beside {asked.nights[0]} nights, {many:6.2f} s beside {asked.nights[1]}: "
            f"{many / few:.2f}"
        )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def seconds(calls: Sequence[Callable[[], None]]) -> list[float]:
    """Return the median seconds of each call; they take turns."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS):
        for call, kept in zip(calls, taken, strict=True):
            started = time.perf_counter()
            call()
            kept.append(time.perf_counter() - started)
    return [statistics.median(kept) for kept in taken]


@contextlib.contextmanager
def history(tickers: list[str], nights: int) -> Iterator[dict[str, Callable[[], None]]]:
    """Leave the nights, serve them, and yield the timed calls by name."""
    from pipeline.settings import load_settings
    from tests.support.old_nights import leave_nights

    with tempfile.TemporaryDirectory(prefix="closecast-history-") as var:
        os.environ["CLOSECAST_VAR"] = var
        os.environ.pop("CLOSECAST_TRACKING_URI", None)
        plans = leave_nights(load_settings(), tickers, nights, promoted=range(5, nights, 20))
        widen(Path(var) / "mlflow" / "mlflow.db")
        with tracking.served(Path(var)):
            environment = dict(os.environ)
            first, last = plans[-2].run, plans[-1].run
            ticker = tickers[0]
            words = {
                "closecast status": ["status"],
                "closecast runs": ["runs"],
                "closecast runs --ticker": ["runs", "--ticker", ticker],
                "closecast diff of the last two runs": ["diff", first, last],
                "closecast champion show": ["champion", "show", ticker],
                "closecast ledger verify": ["ledger", "verify"],
            }
            server = environment["CLOSECAST_TRACKING_URI"]
            yield {
                **{name: command(one, environment) for name, one in words.items()},
                **{name: search(server, path, body) for name, (path, body) in searches(plans[-1], ticker).items()},
            }


def searches(plan: object, ticker: str) -> dict[str, tuple[str, dict[str, object]]]:
    """Return the requests behind MLflow's pages: the three views of the experiment, and a registered model."""
    from pipeline.tracking import views

    filters = {name: json.loads(tag) for name, tag in views.view_tags(plan).items() if name != "mlflow.note.content"}
    found: dict[str, tuple[str, dict[str, object]]] = {}
    for one in filters.values():
        state = json.loads(one["state"])
        body = {"experiment_ids": ["1"], "filter": state["searchFilter"], "max_results": 100}
        found[f"page of runs: {one['name']}"] = ("runs/search", body)
    model = {"filter": f"name = 'closecast-{ticker}'", "max_results": 100}
    return found | {"page of a registered model": ("model-versions/search", model)}


def command(words: list[str], environment: dict[str, str]) -> Callable[[], None]:
    """Return a call of a command; `status` and `diff` end with 1 where they find something."""

    def call() -> None:
        run = [sys.executable, "-m", "pipeline", *words]
        done = subprocess.run(run, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 1}:
            sys.exit(f"{words}: {done.stderr[-2000:]}")

    return call


def search(server: str, path: str, body: dict[str, object]) -> Callable[[], None]:
    """Return a call of MLflow's REST interface as its pages ask."""
    address = f"{server}/ajax-api/2.0/mlflow/{path}"
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    if path.startswith("model-versions"):
        request = urllib.request.Request(f"{address}?{urllib.parse.urlencode(body)}")  # noqa: S310

    def call() -> None:
        with DIRECT.open(request, timeout=120) as answer:
            found = json.load(answer)
        if not (found.get("runs") or found.get("model_versions")):
            sys.exit(f"{path} found nothing: {body}")

    return call


def widen(database: Path) -> None:
    """Give each run of a ticker as many metrics, parameters and tags as a real one has."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as store, store:
        runs = [row[0] for row in store.execute("select distinct run_uuid from tags where key = 'ticker'")]
        for at in range(METRICS):
            rows = [(f"metric_{at}", float(at), 0, 0, 0, run) for run in runs]
            columns = "(key, value, timestamp, step, is_nan, run_uuid)"
            for table in ("metrics", "latest_metrics"):
                store.executemany(f"insert into {table} {columns} values (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        for at in range(PARAMETERS):
            store.executemany(
                "insert into params (key, value, run_uuid) values (?, ?, ?)",
                [(f"parameter_{at}", str(at), run) for run in runs],
            )
        for at in range(TAGS):
            store.executemany(
                "insert into tags (key, value, run_uuid) values (?, ?, ?)",
                [(f"tag_{at}", str(at), run) for run in runs],
            )


if __name__ == "__main__":
    main()
