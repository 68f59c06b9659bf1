"""Seconds that this project adds: `make bench`. Compare figures of one machine only."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parent.parent
PARSE = """
import sys, time, airflow.sdk
started = time.perf_counter()
import runpy
runpy.run_path(sys.argv[1])
print(time.perf_counter() - started)
"""


def median_of(times: int, *command: str) -> float:
    """Return the median seconds of a command."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def dag_file() -> float:
    """Return the seconds that dags/retrain.py takes on top of Airflow's own import, the median of three."""
    command = [sys.executable, "-c", PARSE, str(CHECKOUT / "dags" / "retrain.py")]
    printed = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(3)]
    return float(np.median([float(text.splitlines()[-1]) for text in printed]))


def epoch(*, fused: bool) -> float:
    """Return the median seconds of one epoch of 2,329 windows of 100 sessions, batch 32, after compiling."""
    from pipeline.forecasting import model, training

    trainer = training._trainer(100, (20, 20, 20), "simple_rnn", 1e-3, None)  # noqa: SLF001
    network = trainer.fused if fused else model.build(100, (20, 20, 20))
    if not fused:
        network.compile(optimizer="adam", loss="mse", jit_compile=True)
    windows = np.random.default_rng(0).normal(size=(2329, 100, 1)).astype("float32")
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        network.fit(windows, windows[:, -1, 0], batch_size=32, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]))


def checks() -> tuple[float, float]:
    """Return the median seconds of judging 3,738 sessions, and of comparing them with the last snapshot."""
    import datetime as dt

    from pipeline.calendar import sessions
    from pipeline.prices.clean import clean
    from pipeline.prices.restatement import compare
    from pipeline.prices.sources import sample
    from pipeline.prices.suite import check
    from pipeline.settings import load_settings

    as_of = dt.date(2026, 11, 12)
    prices = sample.fetch("AAA", None, as_of, calendar="XNYS")
    trading = sessions("XNYS", sample.FIRST, as_of)
    suite = load_settings().suite_path.read_bytes()
    judged = []
    compared = []
    for _ in range(6):
        started = time.perf_counter()
        check(
            "AAA", prices, clean(prices, trading), suite, as_of=as_of, min_sessions=350, max_jump=0.5, sessions=trading
        )
        judged.append(time.perf_counter() - started)
        started = time.perf_counter()
        compare(prices.iloc[:-1], prices)
        compared.append(time.perf_counter() - started)
    return float(np.median(judged[1:])), float(np.median(compared[1:]))


def main() -> None:
    """Print a line per figure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"closecast --help          {median_of(5, '-m', 'pipeline', '--help'):8.2f} s")
    print(f"python alone              {median_of(5, '-c', ''):8.2f} s")
    print(f"dags/retrain.py to parse  {dag_file():8.2f} s on top of Airflow's import")
    judged, compared = checks()
    print(f"27 rules on one ticker    {judged:8.2f} s")
    print(f"compare with the last     {1000 * compared:8.2f} ms")
    layered = epoch(fused=False)
    fused = epoch(fused=True)
    print(f"one epoch, three layers   {layered:8.2f} s")
    print(f"one epoch, one loop       {fused:8.2f} s, {fused / layered:.2f} of the above")


if __name__ == "__main__":
    main()
