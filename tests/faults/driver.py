"""Does one step of one ticker again and again, and dies by kill -9 at each boundary of it once, until it gets through.

Each attempt is a fork of a process that has loaded the libraries, but not TensorFlow, whose threads survive no fork.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

import great_expectations  # noqa: F401 - loaded once for all attempts
import matplotlib.pyplot as plt  # noqa: F401
import mlflow  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.preprocessing  # noqa: F401
import statsmodels.api  # noqa: F401

from pipeline import runner, runs
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from tests.faults import boundaries

STEPS = ["plan", *(step.name for step in FLOW), "report"]


def attempt(run: str, step: str, seen: Path) -> None:
    """Go from the plan to `step`, and die at the first of its boundaries that no attempt before has seen."""

    def reached(name: str) -> None:
        if name.startswith(f"{step}:") and name not in seen.read_text().splitlines():
            with seen.open("a") as file:
                file.write(f"{name}\n")
            boundaries.die()

    boundaries.install(reached)
    settings = load_settings()
    for batch in runs.plan(settings, run):
        for name in STEPS[1 : min(STEPS.index(step), len(FLOW)) + 1]:
            runner.run(name, batch, settings=settings)
    if step == "report":
        runs.report(run, settings=settings)


def main(run: str, step: str, seen: Path) -> int:
    """Try until an attempt ends by itself; return its exit code."""
    seen.touch()
    while True:
        child = os.fork()
        if not child:
            try:
                attempt(run, step, seen)
            except BaseException:  # noqa: BLE001 - the parent's stack is none of the child's business
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
