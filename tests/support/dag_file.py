"""What Airflow sees of the DAG file `retrain`, read in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

GROUPS = {"evaluate": "serve.", "promote": "serve.", "forecast": "serve.", "train": ""}  # others: prepare
DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "retrain.py"
LOOK = """
import json, runpy, sys
import airflow.sdk
before = set(sys.modules)
dag = runpy.run_path(sys.argv[1])["dag"]
heavy = "tensorflow keras mlflow great_expectations sklearn yfinance pandas exchange_calendars".split()
tasks = {task.task_id: task for task in dag.tasks}
print(json.dumps({
    "heavy": [name for name in heavy if name in set(sys.modules) - before],
    "tasks": {name: sorted(task.downstream_task_ids) for name, task in tasks.items()},
    "mapped": sorted(name for name, task in tasks.items() if task.is_mapped or task.get_closest_mapped_task_group()),
    "retries": {name: task.retries for name, task in tasks.items()},
    "queues": {name: task.queue for name, task in tasks.items()},
    "report": tasks["report"].trigger_rule.value,
    "params": {name: param.serialize()["description"] for name, param in dag.params.items_unresolved()}
    if hasattr(dag.params, "items_unresolved") else {n: dag.params.get_param(n).description for n in dag.params},
    "schedule": dag.timetable.summary,
    "announced": [one.name for one in tasks["announce"].outlets],
    "max_active_runs": dag.max_active_runs, "catchup": dag.catchup,
}))
"""


def look_at(home: Path, **environment: str) -> dict[str, Any]:
    """Load the DAG file in a process of its own and return what is seen there."""
    variables = os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"} | environment
    command = [sys.executable, "-c", LOOK, str(DAG_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def task_id(step: str) -> str:
    """Return the task of a step."""
    return GROUPS.get(step, "prepare.") + step


def step_of(task: str) -> str:
    """Return the step of a task, or the name of a task without one."""
    return task.rpartition(".")[2]
