"""The metrics of a unit in the order in which MLflow gets them.

MLflow's page that compares runs draws the metric that a run logged first. So the figures that decide come first: the
metrics of the steps before `evaluate` wait for it, or for the step that fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.outcome import Manifest, Results
    from pipeline.store.folder import Folder

BEFORE = ("ingest", "validate", "split_scale", "window", "train")  # `evaluate`
# They are repeated under `quality/`: a page without a view then has them in a group of their own.
QUALITY = ("skill", "interval_skill_95", "reference_skill_95", "coverage_95")


def due(manifest: Manifest, folder: Folder, model_id: str | None) -> list[Metric]:
    """Return the metrics to log when a step ends, those of steps before it included where they have waited.

    Args:
        manifest: of the step.
        folder: with the manifests of the steps before.
        model_id: of the model that the step's metrics are about.
    """
    step = manifest.step
    if step in BEFORE and not manifest.failed:
        return []
    metrics = list(_of_step(manifest, model_id))
    if step not in BEFORE and step != "evaluate":
        return metrics
    before = BEFORE[: BEFORE.index(step)] if step in BEFORE else BEFORE
    for earlier in filter(None, map(folder.manifest, before)):
        metrics += _of_step(earlier, None)
    return metrics


def _of_step(manifest: Manifest, model_id: str | None) -> Iterator[Metric]:
    outcome = manifest.outcome
    stamp = int(manifest.started.timestamp() * 1000)
    values = {f"quality/{name}": outcome.metrics[name] for name in QUALITY if name in outcome.metrics}
    values |= outcome.metrics | _of_results(manifest.results) | {f"step/{manifest.step}_seconds": manifest.seconds}
    for name, value in values.items():
        yield Metric(name, value, stamp, 0, model_id=model_id)
    for name, points in outcome.curves.items():
        for epoch, value in enumerate(points, start=1):
            yield Metric(name, value, stamp, epoch)


def _of_results(results: Results | None) -> dict[str, float]:
    """Return the metrics of effect results."""
    if results is None:
        return {}
    metrics: dict[str, float] = {}
    if results.released and results.released.superseded:
        metrics["promoted"] = 0.0  # the decision promoted it, and came too late
    if results.recorded:
        metrics["forecast"] = results.recorded.forecast
        metrics["low_95"] = results.recorded.low_95
        metrics["high_95"] = results.recorded.high_95
    return metrics
