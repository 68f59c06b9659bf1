"""The GPU request that KubernetesExecutor adds to the pod of `train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubernetes.client import V1Pod

GPU = "nvidia.com/gpu"


def executor_config(step: str, gpus: int) -> dict[str, V1Pod]:
    """Return Airflow's `executor_config` of a step, which other executors ignore.

    Args:
        step: name of the step.
        gpus: number of GPUs per pod of `train`; 0 for none.

    Returns:
        A pod override for `train` with GPUs, else an empty dictionary.
    """
    if step != "train" or not gpus:
        return {}
    # The import takes 2 s, and Airflow parses the DAG file every few seconds.
    from kubernetes.client.models import V1Container, V1Pod, V1PodSpec, V1ResourceRequirements, V1Toleration

    resources = V1ResourceRequirements(limits={GPU: str(gpus)})  # Kubernetes copies a GPU limit to the request
    return {
        "pod_override": V1Pod(
            spec=V1PodSpec(
                containers=[V1Container(name="base", resources=resources)],  # Airflow's name for the task's container
                tolerations=[V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],  # GPU nodes are tainted
            )
        )
    }
