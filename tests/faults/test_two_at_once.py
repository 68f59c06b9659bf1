"""Two runs of the same session and ticker at once, in two processes, on one store and one MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow

from pipeline.plan import folder_name
from tests.support.running import check_files, set_tiny

CLOSECAST = str(Path(sys.executable).with_name("closecast"))


def test_two_runs_of_the_same_session_at_once(tmp_path, monkeypatch):
    """Each has one result, no mixed files and one version; the champion saw the other, or the other did not win."""
    settings = set_tiny(monkeypatch, tmp_path, TICKERS='["TWICE"]')
    commands = [[CLOSECAST, "run", "--set", f"seed={seed}"] for seed in range(2)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for command in commands]
    said = [one.communicate()[0].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], said

    client = mlflow.MlflowClient(settings.mlflow_uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{settings.experiment}'")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted((run.data.tags["ticker"], run.info.status) for run in runs) == [
        *[("", "FINISHED")] * 2,
        *[("TWICE", "FINISHED")] * 2,
    ]
    children = {run.info.run_id: run for run in runs if run.data.tags["ticker"]}
    assert max(child.info.start_time for child in children.values()) < min(
        child.info.end_time for child in children.values()
    ), "the runs did not overlap"
    for run_id, child in children.items():
        name = child.data.tags["dag_run_id"]
        check_files(settings, name, "TWICE")
        plan = json.loads((Path(settings.store_url) / "_runs" / folder_name(name) / "plan.json").read_text())
        assert child.data.params["seed"] == str(plan["preset"]["seed"])
        (model,) = client.search_logged_models([experiment.experiment_id], f"source_run_id = '{run_id}'")
        assert str(model.status) == "READY"
    versions = {one.run_id: one for one in client.search_model_versions("name = 'closecast-TWICE'")}
    assert sorted(versions) == sorted(children)
    assert len(client.search_model_versions("name = 'closecast-TWICE'")) == 2
    champion = versions.pop(client.get_model_version_by_alias("closecast-TWICE", "champion").run_id)
    (other,) = versions.values()
    assert champion.tags["decision"].startswith("promoted")
    if before := moved_from(champion):  # it came second, and has seen what it replaced
        assert (before, other.tags["decision"][:8], moved_from(other)) == (int(other.version), "promoted", None)
    else:  # the other one was refused when it saw the champion, or came too late to have seen it
        assert other.tags["decision"].startswith(("refused", f"superseded: v{champion.version} "))
        assert not moves(other)


def moves(version) -> list[dict]:
    """Return what was written down of the moves of the alias to a version."""
    return [json.loads(value) for tag, value in version.tags.items() if tag.startswith("champion.")]


def moved_from(version) -> int | None:
    """Return the champion that a version replaced, in the one move of the alias to it."""
    (move,) = moves(version)
    return move["from"]
