"""The DAG files: how they are wired and what they load. tests/programs/test_dag_runs.py runs them through Airflow."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from pipeline.steps import FLOW
from tests.support.dag_file import DAG_FILE, LOOK, look_at


@pytest.fixture(scope="module")
def dag(tmp_path_factory):
    """Return what is seen of the DAG file."""
    return look_at(tmp_path_factory.mktemp("airflow"))


def test_watch_looks_hours_after_each_close():
    """Its file is as cheap to parse."""
    code = (
        LOOK.split("tasks =", maxsplit=1)[0] + "print(json.dumps([heavy_found(), dag.timetable.summary, dag.catchup]))"
    )
    code = code.replace(
        "heavy = ", "heavy_found = lambda: [n for n in heavy if n in set(sys.modules) - before]\nheavy = "
    )
    command = [sys.executable, "-c", code, str(DAG_FILE.with_name("watch.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [[], "240 min after each close of XNYS", False]


@pytest.mark.parametrize(("weekly", "schedule"), [("false", None), ("true", "0 12 * * 0")])
def test_prune_has_a_schedule_only_by_its_setting(weekly, schedule):
    """Deleting begins by a decision. The file loads nothing heavy."""
    code = LOOK.split("tasks =", maxsplit=1)[0] + (
        "print(json.dumps([[n for n in heavy if n in set(sys.modules) - before], dag.schedule, dag.task_ids]))"
    )
    command = [sys.executable, "-c", code, str(DAG_FILE.with_name("prune.py"))]
    variables = os.environ | {"CLOSECAST_PRUNE_WEEKLY": weekly}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    assert json.loads(done.stdout.splitlines()[-1]) == [[], schedule, ["prune"]]


def test_the_dag_is_the_flow(dag):
    """plan, the steps one after the other, mapped per batch, `announce`, report; `gather` stands before `train`."""
    names = [step.name for step in FLOW]
    train = names.index("train")
    before, after = ([f"{group}.{name}" for name in part] for group, part in (
        ("prepare", names[:train]), ("serve", names[train + 1 :]),
    ))  # fmt: skip
    order = ["plan", *before, "gather", "train", *after, "announce", "report"]
    wired = {name: [then] for name, then in itertools.pairwise(order)} | {"report": []}
    wired["plan"] = sorted([before[0], "gather", after[0]])
    assert dag["tasks"] == wired
    assert dag["mapped"] == sorted([*before, "train", *after])


def test_the_file_loads_nothing_heavy(dag):
    """Airflow parses it every few seconds."""
    assert dag["heavy"] == []


def test_it_runs_after_each_session(dag):
    """As the exchange closes, not as the clock strikes."""
    assert dag["schedule"] == "90 min after each close of XNYS"


def test_one_run_at_a_time_and_no_catch_up(dag):
    """Two runs of the same night would train the same thing twice."""
    assert (dag["max_active_runs"], dag["catchup"]) == (1, False)


def test_each_ticker_of_the_settings_has_an_asset(tmp_path):
    """Other DAGs can wait for it before its first forecast. Wrong tickers leave the file readable."""
    seen = look_at(tmp_path, CLOSECAST_TICKERS='["nflx", "AAPL"]')
    assert seen["announced"] == ["closecast-NFLX", "closecast-AAPL"]
    assert look_at(tmp_path, CLOSECAST_TICKERS='["../x"]')["announced"] == []


def test_report_comes_whatever_happened(dag):
    """And every task can be tried again."""
    assert dag["report"] == "all_done"
    assert set(dag["retries"].values()) == {5}


def test_the_trigger_form_explains_itself(dag):
    """Each parameter has a description."""
    expert = {"currency", "fault", "accept_restated", "overrides", "walk_forward"}
    assert set(dag["params"]) == {"tickers", "source", "preset", "start", "as_of"} | expert
    assert all(dag["params"].values())


DECIDE = (
    LOOK.split("tasks =", maxsplit=1)[0]
    + """
ask = dag.get_task("ask")
print(json.dumps({
    "heavy": [name for name in heavy if name in set(sys.modules) - before],
    "tasks": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
    "ask": [ask.options, ask.defaults, ask.response_timeout.total_seconds(), list(ask.params)],
    "queues": {task.task_id: task.queue for task in dag.tasks},
    "retries": [task.retries for task in dag.tasks],
    "runs": dag.max_active_runs, "schedule": dag.schedule,
}))
"""
)


@pytest.mark.parametrize(("hours", "seconds"), [("12", 43_201), ("0", 1)])
def test_decide_asks_once_and_takes_no_answer_as_no(hours, seconds):
    """A run per question, all of them open at once; the file loads nothing heavy; a training goes to the card."""
    command = [sys.executable, "-c", DECIDE, str(DAG_FILE.with_name("decide.py"))]
    variables = os.environ | {"CLOSECAST_ASK_HOURS": hours, "CLOSECAST_GPU": "queue"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    dag = json.loads(done.stdout.splitlines()[-1])
    assert dag["heavy"] == []
    assert dag["tasks"] == {"question": ["ask", "finish"], "ask": ["finish"], "finish": ["announce"], "announce": []}
    assert dag["ask"] == [["Accept", "Reject"], ["Reject"], seconds, ["reason"]]
    assert (dag["queues"]["finish"], dag["queues"]["ask"]) == ("gpu", "default")
    assert (dag["runs"], dag["schedule"], dag["retries"]) == (1024, None, [5, 5, 5, 5])
