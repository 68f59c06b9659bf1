"""What the scheduler imports for its tasks, and that a fork of it can work."""

import json
import subprocess
import sys

CODE = """
import json, os, sys, threading
from pipeline.operations import warm_scheduler
warm_scheduler.warm_up()
facts = {
    "missing": [name for name in warm_scheduler.MODULES if name not in sys.modules],
    "forbidden": [name for name in ("tensorflow", "jax", "keras") if name in sys.modules],
    "threads": [thread.name for thread in threading.enumerate()],
}
import numpy as np
from tests.support.nights import sample_prices
from pipeline.reporting import plots

def work():
    prices = sample_prices("AAA")
    closes = prices["close"].to_numpy()
    plots.closes(prices.index.to_numpy(), closes, range(900, len(closes)), "AAA", "USD")
    np.linalg.inv(np.random.default_rng(0).normal(size=(300, 300)))

facts["exits"] = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    facts["exits"].append(os.waitpid(child, 0)[1])
print(json.dumps(facts))
"""


def test_a_fork_of_a_warm_process_can_work():
    """No framework whose threads a fork would lose, no thread of ours, and ten children in a row end well."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts == {"missing": [], "forbidden": [], "threads": ["MainThread"], "exits": [0] * 10}
