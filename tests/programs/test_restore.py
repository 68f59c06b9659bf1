"""Back up, restore: the commands of docs/operating.md on a store of one night."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.tiny import WIDE_GATE, network_variables

SAME = (
    "rmse", "coverage_95", "interval_score_95_pct", "weight", "decision", "served_version", "forecast_session",
    "forecast_version", "forecast", "forecast_low_95", "forecast_quantiles", "ledger_position",
)  # fmt: skip


def test_a_restored_store_gives_the_same_next_night(tmp_path):
    """Snapshot, scores, decision, version and forecast; and the ledger is whole."""
    after_the_first = run(tmp_path, "2025-11-20")
    command(tmp_path, "cp -a var ../closecast-backup")
    second = run(tmp_path, "2025-11-21")
    command(tmp_path, "mv var ../closecast-broken")
    command(tmp_path, "cp -a ../closecast-backup var")
    again = run(tmp_path, "2025-11-21")
    assert again == second
    assert again != after_the_first
    verified = command(tmp_path, f"{Path(sys.executable).with_name('closecast')} ledger verify")
    assert verified.startswith("The ledger is as it was written: 2 rows of 1 ticker(s).")


def run(home, as_of):
    """Return the figures of a night that do not depend on the clock."""
    program = Path(sys.executable).with_name("closecast")
    printed = command(home, f"{program} run --tickers AAA --start 2022-01-03 --as-of {as_of} --json")
    (ticker,) = json.loads(printed)["tickers"]
    (record,) = (home / "checkout" / "var" / "store" / "AAA" / as_of).glob("*/snapshot.json")
    return {name: ticker[name] for name in SAME} | {"snapshot": json.loads(record.read_text())["sha256"]}


def command(home, text):
    """Run a line in the folder that holds `var`, and return its output."""
    folder = home / "checkout"
    folder.mkdir(exist_ok=True)
    variables = network_variables() | {"CLOSECAST_GATE": WIDE_GATE, "CLOSECAST_VAR": str(folder / "var")}
    done = subprocess.run(
        ["/bin/sh", "-c", text], cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
