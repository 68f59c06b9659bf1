"""The prepared views of MLflow's page: the runs, the columns and the charts that it opens with.

MLflow keeps a view as a tag of the experiment, and its page lists the views under "Views". The address of a view may
hold no filter of its own: MLflow 3.17 then ignores the view. So the tags name the night, and each run renews them.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.tracking.descriptions import EXPERIMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.plan import Plan

_TAG = "mlflow.sharedViewState."
_TRAINING_RUNS = "workflowType=machine_learning"  # without it the page opens on traces of language models
_QUALITY = ("skill", "interval_skill_95", "reference_skill_95", "coverage_95")
_SERVED = ("skill_60", "interval_skill_95_60", "coverage_95_60", "error")
_QUALITY_SECTION = "Test rows"
_SERVED_SECTION = "Served forecasts"
# MLflow makes a section for each part of a name before "/". Those of a closer look are folded.
_FOLDED = ("quality", "live", "references", "walk_forward", "fold", "step", "System metrics", "Model metrics")
_FIGURES = tuple(f"metrics.`{name}`" for name in ("skill", "interval_skill_95", "coverage_95"))
_MOST_BARS = 20  # runs in one chart
_WIDTH = 120  # pixels of a column: five of them and the run's name fit into 1,280


class View(NamedTuple):
    """One prepared view."""

    key: str  # in its address
    name: str  # in MLflow's list of views
    order_by: str
    ascending: bool
    columns: tuple[str, ...]
    lines: bool = False  # charts of the served forecasts, session by session
    group_by: str = ""  # name of a tag: one row per value, with the mean of its runs


LAST_NIGHT = View(
    "last-night",
    "Last night, one row per ticker",
    "tags.`ticker`",
    True,
    ("tags.`verdict`", *_FIGURES, "tags.`preset`"),
)
OVER_TIME = View(
    "over-time",
    "One ticker over time",
    "tags.`as_of`",
    False,
    ("tags.`verdict`", *_FIGURES, "tags.`preset`"),
    lines=True,
)
PRESETS = View(
    "presets",
    "Presets side by side",
    "tags.`preset`",
    True,
    (*_FIGURES, "metrics.`rmse_over_naive`"),
    group_by="preset",
)

VIEWS = (LAST_NIGHT, OVER_TIME, PRESETS)


def view_tags(plan: Plan, shown_in: Sequence[View] = VIEWS) -> dict[str, str]:
    """Return the tags of an experiment that show a run in each view, and its description.

    Args:
        plan: of the run; its first ticker is the one of `OVER_TIME`.
        shown_in: the views; the others stay as they are.
    """
    ticker = plan.tickers[0]
    filters = {
        LAST_NIGHT: f"tags.dag_run_id = '{plan.dag_run_id}' AND tags.ticker != ''",
        OVER_TIME: f"tags.ticker = '{ticker}'",
        PRESETS: f"tags.as_of = '{plan.as_of}' AND tags.ticker != ''",
    }
    return {"mlflow.note.content": EXPERIMENT, **_tags({view: filters[view] for view in shown_in})}


def experiment_tags() -> dict[str, str]:
    """Return the tags of a new experiment: its description, and views that show all tickers."""
    return {
        "mlflow.note.content": EXPERIMENT,
        "mlflow.experiment.primaryMetric.name": "skill",
        "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
        **_tags(dict.fromkeys(VIEWS, "tags.ticker != ''")),
    }


def view_page(server: str, experiment: str, view: View = LAST_NIGHT) -> str:
    """Return the address of a view.

    Args:
        server: address of MLflow's page.
        experiment: its id.
        view: the view.
    """
    return f"{server}/#/experiments/{experiment}/runs?{_TRAINING_RUNS}&viewStateShareKey={view.key}"


def run_page(server: str, experiment: str, run_id: str) -> str:
    """Return the address of a run's page.

    Args:
        server: address of MLflow's page.
        experiment: id of its experiment.
        run_id: of the run.
    """
    return f"{server}/#/experiments/{experiment}/runs/{run_id}?{_TRAINING_RUNS}"


def _tags(filters: Mapping[View, str]) -> dict[str, str]:
    tags = {}
    for view, condition in filters.items():
        # The page lists the newest first.
        created = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() * 1000) - VIEWS.index(view)
        state = json.dumps(_state(view, condition), separators=(",", ":"))
        tags[f"{_TAG}{view.key}"] = json.dumps({"name": view.name, "createdAt": created, "state": state})
    return tags


def _state(view: View, condition: str) -> dict[str, Any]:
    """Return the state of the page, as MLflow writes it: `ExperimentPageUIState` and the search of its source."""
    sections = [*([_SERVED_SECTION] if view.lines else []), _QUALITY_SECTION, *_FOLDED]
    return {
        "searchFilter": condition,
        "orderByKey": view.order_by,
        "orderByAsc": view.ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": ["attributes.`Run Name`", *view.columns, "runDateAndNestInfo"],
        "columnWidths": dict.fromkeys(view.columns, _WIDTH),
        "runsHiddenMode": "FIRST_20_RUNS",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,  # else MLflow sorts the sections
        "compareRunSections": [
            {"uuid": name, "name": name, "display": name not in _FOLDED, "isReordered": False} for name in sections
        ],
        "compareRunCharts": [*(_lines() if view.lines else []), *_bars()],
        "groupBy": _grouped(view.group_by) if view.group_by else None,
    }


def _bars() -> list[dict[str, Any]]:
    return [_chart(_QUALITY_SECTION, name, "BAR") for name in _QUALITY]


def _lines() -> list[dict[str, Any]]:
    axes = {"xAxisKey": "time", "useGlobalXaxisKey": False, "xAxisScaleType": "linear", "scaleType": "linear"}
    values = {"yAxisKey": "metric", "yAxisExpressions": [], "lineSmoothness": 0, "range": {}}
    return [_chart(_SERVED_SECTION, name, "LINE") | {"selectedMetricKeys": [name]} | axes | values for name in _SERVED]


def _chart(section: str, metric: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": f"{section}-{metric}",
        "type": kind,
        "metricSectionId": section,
        "metricKey": metric,
        "displayName": metric,
        "runsCountToCompare": _MOST_BARS,
        "deleted": False,
        "isGenerated": False,
    }


def _grouped(tag: str) -> dict[str, Any]:
    return {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": tag}]}
