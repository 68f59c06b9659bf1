"""A night of many tickers, simulated: the real plan and the real DAG file, with the measured seconds of each step.

Each task takes its scheduling and, for each of its tickers, the seconds of its step in docs/performance.md. A task
starts when the tasks before it have ended and a slot is free, as in Airflow. Time is virtual: nothing waits.
"""

from __future__ import annotations

import argparse
import datetime as dt
import heapq
import json
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.plan import Plan

CHECKOUT = Path(__file__).resolve().parent.parent
# The night of 60 tickers in docs/performance.md, 2 cores: two batches of 30, one training of 60. Two tasks ran at once.
SECONDS_A_TICKER = {
    "ingest": 16 / 30,
    "validate": 20 / 30,
    "split_scale": 6 / 30,
    "window": 3 / 30,
    "train": 173 / 60,
    "evaluate": 56 / 30,
    "promote": 44 / 30,
    "forecast": 13 / 30,
    "report": 3 / 60,
}
FIXED_SECONDS = {"plan": 7.0, "gather": 1.0}
SCHEDULING_SECONDS = 1.8  # that night took 359 s, 18 s more than its tasks one after the other, on 10 levels


class Task(NamedTuple):
    """A task as the DAG file wires it."""

    id: str
    after: frozenset[str]
    group: str  # the mapped group, one copy for each batch; "" outside


class Instance(NamedTuple):
    """One task of the simulated night; a mapped task has one for each batch."""

    id: str
    index: int
    seconds: float
    after: frozenset[tuple[str, int]]


class Night(NamedTuple):
    """The simulated night."""

    seconds: float
    busy_seconds: float  # of all slots together
    steps: dict[str, float]  # seconds from the first start to the last end, by task


def main() -> None:
    """Print how long the night takes, and whether it ends before Airflow ends the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, nargs="*", default=[60, 415, 1000])
    parser.add_argument("--slots", type=int, help="tasks at the same time; default: as `make up` on two cores")
    parser.add_argument("--batch-size", type=int, help="tickers of a batch; default: as many batches as slots")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="closecast-simulated-") as home:
        os.environ |= {"CLOSECAST_VAR": home, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
        dag = runpy.run_path(str(CHECKOUT / "dags" / "retrain.py"))["dag"]
        limit = dag.dagrun_timeout.total_seconds()
        tasks = tasks_of(dag)
        found = [figures(tasks, count, asked.slots or 2, asked.batch_size, limit) for count in asked.tickers]
    for one in found:
        print(line(one, limit))
        print("    " + ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in one["steps"].items()))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    if not all(one["fits"] for one in found):
        sys.exit(1)


def tasks_of(dag: object) -> list[Task]:
    """Return the tasks of the DAG file in an order in which they can run."""
    tasks = []
    for one in dag.topological_sort():
        mapped = one.get_closest_mapped_task_group()
        tasks.append(Task(one.task_id, frozenset(one.upstream_task_ids), mapped.group_id if mapped else ""))
    return tasks


def figures(tasks: Sequence[Task], tickers: int, slots: int, batch_size: int | None, limit: float) -> dict[str, object]:
    """Return the figures of one night."""
    planned = plan_of(tickers, slots, batch_size)
    night = simulated(instances(tasks, planned), slots)
    return {
        "tickers": tickers,
        "slots": slots,
        "batches": len(planned.batches()),
        "trainings": len(planned.trainings(planned.batches())),
        "seconds": night.seconds,
        "seconds_per_ticker": night.seconds / tickers,
        "busy_share_of_slots": night.busy_seconds / night.seconds / slots,
        "fits": night.seconds <= limit,
        "steps": night.steps,
    }


def plan_of(tickers: int, slots: int, batch_size: int | None) -> Plan:
    """Return the plan that a night of so many tickers gets."""
    from pipeline.plan import make_plan
    from pipeline.settings import load_settings

    names = tuple(f"T{number:05}" for number in range(tickers))
    given = {"batch_size": batch_size} if batch_size else {}
    settings = load_settings(tickers=names, source="sample", as_of=dt.date(2025, 11, 21), **given)
    now = dt.datetime(2025, 11, 21, 23, tzinfo=dt.UTC)
    return make_plan(settings, "simulated", now=now, moment=now, overrides={}, slots=slots)


def instances(tasks: Sequence[Task], planned: Plan) -> list[Instance]:
    """Return one instance for each task and batch, after the instances that it waits for."""
    batches = planned.batches()
    every = [list(planned.tickers)]
    parts = {task.id: [one["tickers"] for one in batches] if task.group else every for task in tasks}
    parts["train"] = [one["tickers"] for one in planned.trainings(batches)]
    groups = {task.id: task.group for task in tasks}
    found = []
    for task in tasks:
        for index, names in enumerate(parts[task.id]):
            after = set()
            for earlier in task.after:
                same = task.group and groups[earlier] == task.group
                after |= {(earlier, index)} if same else {(earlier, other) for other in range(len(parts[earlier]))}
            found.append(Instance(task.id, index, seconds_of(task.id, len(names)), frozenset(after)))
    return found


def seconds_of(task: str, tickers: int) -> float:
    """Return the measured seconds of a task."""
    step = task.rpartition(".")[2]
    return SCHEDULING_SECONDS + FIXED_SECONDS.get(step, 0.0) + tickers * SECONDS_A_TICKER.get(step, 0.0)


def simulated(waiting: Sequence[Instance], slots: int) -> Night:
    """Start each instance once those before it have ended and a slot is free, in the order given."""
    left = list(waiting)
    running: list[tuple[float, Instance]] = []
    ended: set[tuple[str, int]] = set()
    spans: dict[str, tuple[float, float]] = {}
    now = 0.0
    while left or running:
        ready = [one for one in left if one.after <= ended][: slots - len(running)]
        for one in ready:
            left.remove(one)
            heapq.heappush(running, (now + one.seconds, one))
            first, _ = spans.get(one.id, (now, now))
            spans[one.id] = (first, now + one.seconds)
        now, done = heapq.heappop(running)
        ended.add((done.id, done.index))
    steps = {name: last - first for name, (first, last) in spans.items()}
    return Night(now, sum(one.seconds for one in waiting), steps)


def line(one: Mapping[str, object], limit: float) -> str:
    """Return one line for people."""
    verdict = "fits in" if one["fits"] else "DOES NOT FIT in"
    return (
        f"{one['tickers']:6,} tickers, {one['slots']} slots, {one['batches']} batches, {one['trainings']} training(s): "
        f"{one['seconds']:8,.0f} s = {one['seconds'] / 3600:.2f} h, {one['seconds_per_ticker']:.2f} s a ticker, "
        f"slots busy {one['busy_share_of_slots']:.0%}, {verdict} the {limit / 3600:.0f} hours of a run"
    )


if __name__ == "__main__":
    main()
