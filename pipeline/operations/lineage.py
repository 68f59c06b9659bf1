"""Data sets of a step for OpenLineage: the extra `lineage` and a transport of its own switch the events on.

The provider sends the events of runs and tasks by itself. A task of Python code has no data sets there, so a finished
step names them as inlets and outlets, which the provider adds to the event of the task's end.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pipeline.store.runs import read_plan, unit_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator
    from openlineage.client.event_v2 import Dataset

    from pipeline.outcome import Manifest
    from pipeline.plan import Batch, Plan
    from pipeline.settings import Settings

log = logging.getLogger("airflow.task")


class DataSet(NamedTuple):
    """A data set as OpenLineage names it."""

    namespace: str
    name: str
    version: str = ""


class Flow(NamedTuple):
    """The data sets that a step reads and writes for one ticker."""

    read: tuple[DataSet, ...] = ()
    written: tuple[DataSet, ...] = ()


def name_data_sets(task: BaseOperator, step: str, batch: Batch, settings: Settings) -> None:
    """Name the data sets of an ended step in its Airflow task, if OpenLineage is installed and has a transport.

    The provider logs an error of its own and goes on. The same holds here: the events fail no step.
    """
    if not is_on():
        return
    try:
        flows = _flows(step, batch, settings)
        task.inlets = [_event_part(one) for flow in flows for one in flow.read]
        task.outlets = [_event_part(one) for flow in flows for one in flow.written]
    except Exception:
        log.exception("The event of %s has no data sets.", step)


def is_on() -> bool:
    """Return whether OpenLineage is installed and has a transport."""
    try:
        from airflow.providers.openlineage import conf
    except ImportError:
        return False
    return not conf.is_disabled()


def _flows(step: str, batch: Batch, settings: Settings) -> list[Flow]:
    plan = read_plan(settings.store_url, batch["run"])
    flows = []
    for ticker in batch["tickers"]:
        folder = unit_folder(settings.store_url, ticker, plan)
        manifests = {name: folder.manifest(name) for name in ("ingest", step)}
        flows.append(flow_of(step, ticker, plan, settings.store_url, manifests))
    return flows


def _event_part(one: DataSet) -> Dataset:
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    version = dataset_version_dataset.DatasetVersionDatasetFacet(one.version)
    return Dataset(one.namespace, one.name, facets={"version": version} if one.version else {})


def flow_of(step: str, ticker: str, plan: Plan, store_url: str, manifests: Mapping[str, Manifest | None]) -> Flow:
    """Return the data sets of a step for one ticker; none where the step failed.

    Args:
        step: its name.
        ticker: of the unit.
        plan: of the run.
        store_url: of the store.
        manifests: of `ingest` and of the step.
    """
    ended = manifests[step]
    ingested = manifests["ingest"]
    if ended is None or ended.failed or ingested is None:
        return Flow()
    snapshot = _in_store(f"{store_url}/_snapshots/{ticker}", ingested.outcome.tags.get("data_sha256", ""))
    if step == "ingest":
        return Flow((_source(ticker, plan),), (snapshot,))
    if step == "forecast" and ended.results and ended.results.recorded:
        return Flow((snapshot,), (_in_store(f"{store_url}/{ticker}", plan.run),))
    return Flow((snapshot,))


def _source(ticker: str, plan: Plan) -> DataSet:
    """Return the prices as their source names them."""
    if plan.prices is None:
        return DataSet(plan.source, ticker)
    return DataSet("file", str(plan.prices if plan.prices.is_file() else plan.prices / ticker))


def _in_store(url: str, version: str) -> DataSet:
    """Return a place of the store, named as OpenLineage names files and buckets, without a login."""
    parts = urlsplit(url)
    if not parts.scheme:
        return DataSet("file", url, version)
    return DataSet(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/"), version)
