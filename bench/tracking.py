"""MLflow's share of a night: requests and seconds of each step, by the number of registered versions of each ticker.

A real MLflow server on loopback with a SQLite store, as `make up` starts it. A first night trains and serves each
ticker. Then the store gets as many copies of each version and of its run as asked, and a second night is measured. The
network is tiny: what a step computes does not matter here.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime as dt
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
NIGHTS = [dt.date(2025, 11, day) for day in (17, 18, 19, 20, 21)]
NETWORK = {"LOOKBACK": "5", "UNITS": "[3, 2]", "EPOCHS": "3", "BATCH_SIZE": "64"}
PATIENCE = 600  # seconds for the start of the server on a busy machine
REQUEST = re.compile(r'"(GET|POST|PATCH|DELETE|PUT) /(?:ajax-)?api/\d\.\d/mlflow/([a-z/-]+[a-z])')
RUN_TABLES = ("runs", "tags", "params", "latest_metrics", "metrics")
MODEL_TABLES = ("logged_models", "logged_model_tags", "logged_model_params", "logged_model_metrics")


def main() -> None:
    """Print requests and seconds of a night, one line for each number of versions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=6)
    parser.add_argument("--versions", type=int, nargs="*", default=[1, 250], help="of each ticker, ascending, up to 4")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end the server too
    found = measured(asked.versions, asked.tickers)
    for versions, figures in found.items():
        show(versions, figures)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def measured(versions: Sequence[int], tickers: int) -> dict[int, dict[str, object]]:
    """Return the figures of a night beside so many versions of each ticker."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="closecast-tracking-") as var, served(Path(var)) as log:
        names = tuple(f"T{number:03}" for number in range(tickers))
        first, *others = NIGHTS[: len(versions) + 1]
        night(names, first)
        for count, as_of in zip(versions, others, strict=True):
            grow(Path(var) / "mlflow" / "mlflow.db", count)
            before = requests(log)
            load = os.getloadavg()[0]
            took = night(names, as_of)
            asked = requests(log) - before
            found[count] = {
                "tickers": tickers,
                "seconds": took,
                "seconds_per_ticker": sum(took.values()) / tickers,
                "requests": dict(asked.most_common()),
                "requests_per_ticker": asked.total() / tickers,
                "load": load,
            }
    return found


@contextlib.contextmanager
def served(var: Path) -> Iterator[Path]:
    """Start a server below `var`, let the settings name it, and yield its log."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (var / "mlflow").mkdir(exist_ok=True)
    uri = f"http://127.0.0.1:{port}"
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--no-serve-artifacts", "--default-artifact-root", (var / "mlflow" / "artifacts").as_uri()]
    words += ["--backend-store-uri", f"sqlite:///{var}/mlflow/mlflow.db"]
    os.environ |= {
        "CLOSECAST_VAR": str(var),
        "CLOSECAST_TRACKING_URI": uri,
        "CLOSECAST_SOURCE": "sample",
        "CLOSECAST_START": "2022-01-03",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six processes that import MLflow
        **{f"CLOSECAST_PRESETS__DAILY__{name}": value for name, value in NETWORK.items()},
    }
    log = var / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, *words], stdout=out, stderr=out, cwd=var, start_new_session=True)
        try:
            wait_for(uri)
            yield log
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # the server has children
            server.wait()


def wait_for(uri: str) -> None:
    """Wait until the server answers."""
    from pipeline.errors import Unavailable
    from pipeline.tracking.server import check_answers

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            check_answers(uri)
            return
        time.sleep(0.5)
    sys.exit(f"no answer of {uri}")


def night(tickers: tuple[str, ...], as_of: dt.date) -> dict[str, float]:
    """Run all steps, and return for each the seconds that it spent outside its own work: in MLflow and the store."""
    from pipeline import runner, runs
    from pipeline.settings import load_settings
    from pipeline.store.runs import read_plan, unit_folder

    settings = load_settings(tickers=tickers, as_of=as_of)
    batches = runs.plan(settings, f"manual__{as_of}", slots=1)
    planned = read_plan(settings.store_url, batches[0]["run"])
    outside: dict[str, float] = collections.defaultdict(float)
    for stage in runs.stages(planned, batches):
        for step in stage.steps:
            started = time.perf_counter()
            runner.run(step.name, stage.batch, settings=settings)
            folders = [unit_folder(settings.store_url, ticker, planned) for ticker in stage.batch["tickers"]]
            own = sum(folder.manifest(step.name).seconds for folder in folders)
            outside[step.name] += time.perf_counter() - started - own
    started = time.perf_counter()
    runs.report(planned.dag_run_id, settings=settings)
    outside["report"] = time.perf_counter() - started
    return dict(outside)


def requests(log: Path) -> collections.Counter[str]:
    """Return how often each part of MLflow was asked."""
    return collections.Counter(" ".join(found) for found in REQUEST.findall(log.read_text()))


def grow(database: Path, versions: int) -> None:
    """Copy each champion, its run and its model until a ticker has `versions`; the newest is the champion again."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as store, store:
        champions = store.execute(
            "select v.name, v.version, v.run_id, v.source,"
            " (select max(version) from model_versions where name = v.name)"
            " from model_versions v join registered_model_aliases a on a.name = v.name and a.version = v.version"
            " where a.alias = 'champion'"
        ).fetchall()
        for name, champion, run, source, known in champions:
            for number in range(known + 1, versions + 1):
                add_version(store, (name, champion), run, source, number, newest=number == versions)
            if versions > known:
                serve(store, name, versions)


def serve(store: sqlite3.Connection, name: str, version: int) -> None:
    """Let a copied version be the champion that followed the version before it."""
    store.execute(
        "update registered_model_aliases set version = ? where name = ? and alias = 'champion'", (version, name)
    )
    move = json.dumps({"from": version - 1, "reason": "copied", "back": False, "continues": False})
    store.execute(
        "update model_version_tags set value = ? where name = ? and version = ? and key like 'champion.%'",
        (move, name, version),
    )


def add_version(
    store: sqlite3.Connection, of: tuple[str, int], run: str, source: str, number: int, *, newest: bool
) -> None:
    """Copy a version to `number`; all but the newest have copies of the run and of the model too."""
    name, champion = of
    model = source.removeprefix("models:/")
    copied_run = run if newest else f"{number:04x}{run[4:]}"
    copied_model = model if newest else f"m-{number:04x}{model[6:]}"
    if not newest:
        for table in RUN_TABLES:
            copy(store, table, {"run_uuid": run}, {"run_uuid": copied_run})
        old = {"dag_run_id": f"manual__{number}", "model_id": copied_model}
        for key, value in old.items():
            store.execute("update tags set value = ? where run_uuid = ? and key = ?", (value, copied_run, key))
        for table in MODEL_TABLES:
            copy(store, table, {"model_id": model}, {"model_id": copied_model})
        store.execute("update logged_models set source_run_id = ? where model_id = ?", (copied_run, copied_model))
    changed = {"version": number, "run_id": copied_run, "source": f"models:/{copied_model}"}
    copy(store, "model_versions", {"name": name, "version": champion}, changed)
    copy(store, "model_version_tags", {"name": name, "version": champion}, {"version": number})
    store.execute(
        "update model_version_tags set value = ? where name = ? and version = ? and key = 'model_id'",
        (copied_model, name, number),
    )


def copy(store: sqlite3.Connection, table: str, where: dict[str, object], changed: dict[str, object]) -> None:
    """Copy the rows of a table that fit `where`, with other values in the columns `changed`."""
    columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
    values = ["?" if column in changed else f'"{column}"' for column in columns]
    names = ", ".join(f'"{column}"' for column in columns)
    condition = " and ".join(f'"{column}" = ?' for column in where)
    given = [changed[column] for column in columns if column in changed]
    store.execute(
        f"insert into {table} ({names}) select {', '.join(values)} from {table} where {condition}",  # noqa: S608
        (*given, *where.values()),
    )


def show(versions: int, figures: dict[str, object]) -> None:
    """Print the figures as a table."""
    tickers = figures["tickers"]
    print(
        f"{versions} version(s) of each of {tickers} tickers: {figures['seconds_per_ticker']:.2f} s and "
        f"{figures['requests_per_ticker']:.0f} requests a ticker, load {figures['load']:.1f} on {os.cpu_count()} cores"
    )
    for step, seconds in figures["seconds"].items():
        print(f"  {step:12} {seconds / tickers:8.3f} s a ticker")
    for name, count in figures["requests"].items():
        print(f"  {count / tickers:6.1f} x {name}")


if __name__ == "__main__":
    main()
