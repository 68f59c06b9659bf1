"""The pod of `train`, checked by the Kubernetes client's and Airflow's own types, without a cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes.client import ApiClient

from pipeline.operations.kubernetes_pod import executor_config
from pipeline.steps import FLOW

DAGS = Path(__file__).resolve().parents[2] / "dags"
GPU = "nvidia.com/gpu"
# What the chart's template gives every task; Airflow lays the override over it.
TEMPLATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "template"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [
            {"name": "base", "image": "closecast:0.1.0", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}
        ],
    },
}
LOOK = """
import json, runpy, sys
import airflow.sdk
before = set(sys.modules)
dag = runpy.run_path(sys.argv[1])["dag"]
loaded = "kubernetes" in set(sys.modules) - before
from airflow.serialization.serialized_objects import DagSerialization
text = json.dumps(DagSerialization.to_dict(dag))
dag = DagSerialization.from_dict(json.loads(text))
asked = {}
for task in dag.tasks:
    pod = (task.executor_config or {}).get("pod_override")
    asked[task.task_id] = pod and pod.spec.containers[0].resources.limits
print(json.dumps([loaded, asked]))
"""


def test_only_train_asks_and_only_when_told():
    """No other step's pod waits for a GPU node, and without GPUs nothing is overridden."""
    asking = [step.name for step in FLOW if executor_config(step.name, 1)]
    assert asking == ["train"]
    assert not any(executor_config(step.name, 0) for step in FLOW)


def test_the_override_is_a_pod_by_the_client_s_types():
    """It survives the client's own way to JSON and back, and names Airflow's container."""
    pod = executor_config("train", 2)["pod_override"]
    client = ApiClient()
    text = client.sanitize_for_serialization(pod)
    assert text["spec"]["containers"] == [{"name": "base", "resources": {"limits": {GPU: "2"}}}]
    assert text["spec"]["tolerations"] == [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    again = client._ApiClient__deserialize_model(text, type(pod))
    assert again == pod


def test_airflow_lays_it_over_the_template():
    """Image and memory stay the template's; the GPU comes on top."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    base = PodGenerator.deserialize_model_dict(TEMPLATE)
    pod = PodGenerator.reconcile_pods(base, executor_config("train", 1)["pod_override"])
    (container,) = ApiClient().sanitize_for_serialization(pod)["spec"]["containers"]
    assert container["image"] == "closecast:0.1.0"
    assert container["resources"]["limits"] == {GPU: "1"}
    assert len(pod.spec.tolerations) == 1


@pytest.mark.parametrize("gpus", ["0", "1"])
def test_the_dag_carries_it_through_airflow_s_database(gpus, tmp_path):
    """As JSON, on `train` alone; without GPUs the file loads no Kubernetes."""
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "CLOSECAST_POD_GPUS": gpus}
    command = [sys.executable, "-c", LOOK, str(DAGS / "retrain.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    loaded, asked = json.loads(done.stdout.splitlines()[-1])
    expected = {GPU: "1"} if gpus == "1" else None
    assert asked.pop("train") == expected
    assert not any(asked.values())
    assert loaded == (gpus == "1")
