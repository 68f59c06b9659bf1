"""What KubernetesExecutor adds to the pod of a step: a GPU for `train`, nothing for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubernetes.client import V1Pod

GPU = "nvidia.com/gpu"


def executor_config(step: str, gpus: int) -> dict[str, V1Pod]:
    """Return Airflow's `executor_config` for `step`; empty without GPUs, and other executors pay no attention to it."""
    if step != "train" or not gpus:
        return {}
    # 2 s of import, and the DAG file is parsed every few seconds: only where somebody asked for it.
    from kubernetes.client.models import V1Container, V1Pod, V1PodSpec, V1ResourceRequirements, V1Toleration

    resources = V1ResourceRequirements(limits={GPU: str(gpus)})  # the request of a GPU is its limit
    return {
        "pod_override": V1Pod(
            spec=V1PodSpec(
                containers=[V1Container(name="base", resources=resources)],  # Airflow's name for the task's container
                tolerations=[V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],  # GPU nodes are tainted
            )
        )
    }
