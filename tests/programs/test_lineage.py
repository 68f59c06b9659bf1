"""OpenLineage through a run of the DAG: the events name prices and forecast. Skipped without the extra `lineage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pipeline.steps import FLOW
from tests.support.dag_file import task_id
from tests.support.tiny import WIDE_GATE, network_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [str(Path(sys.executable).with_name("closecast")), "run", "--airflow"]
AS_OF = "2025-11-21"


class Night(NamedTuple):
    """A run, its store, and the events of its tasks."""

    store: Path
    events: list[dict[str, Any]]

    def of(self, task: str, kind: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a task."""
        yield from (one for one in self.events if one["eventType"] == kind and one["job"]["name"] == f"retrain.{task}")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Run the DAG on one ticker with OpenLineage's transport to a file."""
    if find_spec("openlineage") is None:
        pytest.skip("the extra `lineage` is not installed: it is in requirements.lock, so `make setup` installs it")
    home = tmp_path_factory.mktemp("lineage")
    log = home / "events.json"
    transport = {"TYPE": "file", "LOG_FILE_PATH": str(log), "APPEND": "true"}
    environment = (
        os.environ
        | {"CLOSECAST_VAR": str(home / "var"), "CLOSECAST_GATE": WIDE_GATE, "CLOSECAST_START": "2022-01-03"}
        | {f"OPENLINEAGE__TRANSPORT__{name}": value for name, value in transport.items()}
        | network_variables(epochs=1)
    )
    words = [*COMMAND, "--tickers", "AAA", "--as-of", AS_OF]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Night(home / "var" / "store", [json.loads(line) for line in log.read_text().splitlines()])


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return namespace and name of data sets."""
    return [(one["namespace"], one["name"]) for one in datasets]


def test_each_task_starts_and_completes(night: Night) -> None:
    """Also those without a step."""
    for task in ("plan", *map(task_id, (step.name for step in FLOW)), "announce", "report"):
        for kind in ("START", "COMPLETE"):
            assert len(list(night.of(task, kind))) == 1, (task, kind)


def test_ingest_names_the_source_and_the_snapshot(night: Night) -> None:
    """The snapshot has the hash of its rows, as the unit's snapshot.json has it."""
    (event,) = night.of(task_id("ingest"), "COMPLETE")
    assert names(event["inputs"]) == [("sample", "AAA")]
    assert names(event["outputs"]) == [("file", str(night.store / "_snapshots" / "AAA"))]
    (record,) = night.store.glob(f"AAA/{AS_OF}/*/snapshot.json")
    version = event["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert version == json.loads(record.read_text())["sha256"]


def test_forecast_names_the_snapshot_and_the_forecast(night: Night) -> None:
    """The ticker's folder of the store, with the run as version."""
    (event,) = night.of(task_id("forecast"), "COMPLETE")
    assert names(event["inputs"]) == [("file", str(night.store / "_snapshots" / "AAA"))]
    assert names(event["outputs"]) == [("file", str(night.store / "AAA"))]
