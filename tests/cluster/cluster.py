"""A running cluster, as the tests query and break it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.support import running
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

GPU_WORKER = "airflow-worker-gpu"
LONG = {"epochs": 60, "patience": 60}  # some ten seconds of training: time to break something


class Training(NamedTuple):
    """The processes of a running `train`, each the parent of the next."""

    main: psutil.Process  # Celery's worker
    pool: psutil.Process  # its pool child: Airflow's supervisor of the task
    task: psutil.Process


class Cluster(running.Running):
    """A cluster that is up."""

    def training(self) -> Training:
        """Wait until a task of the worker `gpu` has loaded TensorFlow, and return its processes."""
        found: list[Training] = []

        def started() -> bool:
            for process in self.processes(GPU_WORKER):
                try:
                    pool = process.parent()
                    main = pool.parent() if pool else None
                    loaded = "tensorflow" in Path(f"/proc/{process.pid}/maps").read_text()
                except (psutil.Error, OSError):
                    continue
                if pool and main and loaded and "supervisord" not in " ".join(main.cmdline()):
                    found.append(Training(main, pool, process))
            return bool(found)

        assert eventually(started, 180)
        return found[0]

    def away(self, program: str, seconds: float) -> None:
        """Stop a server for some time, and check that it was down."""
        self.control("stop", f"servers:{program}")
        time.sleep(seconds)
        assert not self.processes(program), f"{program} was not down"
        self.control("start", f"servers:{program}")

    def executed(self, worker: str) -> list[str]:
        """Return the tasks that a worker's log says it executed."""
        log = (self.settings.var_dir / "log" / f"airflow-worker-{worker}.log").read_text()
        lines = [line for line in log.splitlines() if "Executing workload in Celery" in line]
        return [re.findall(r"task_id=([\w.]+)/", line)[0] for line in lines]

    def check(self, run: str, tickers: Sequence[str]) -> None:
        """Check the invariants of every run, whatever was killed during it."""
        running.check(self.settings, run, tickers)
