"""The steps of one unit, in the order of the flow: each reads its files, calls pure functions, returns an `Outcome`.

A step imports neither Airflow nor MLflow. It reads MLflow's registry through the unit, and returns what should change
there as an effect. Heavy libraries are imported where they are used: each Airflow task is a process of its own and pays
for its imports.
"""

from __future__ import annotations

from pipeline.outcome import ANSWER
from pipeline.prices import snapshot
from pipeline.prices.comparison import RESTATEMENT
from pipeline.steps.evaluate import evaluate
from pipeline.steps.forecast import forecast
from pipeline.steps.ingest import ingest
from pipeline.steps.promote import promote
from pipeline.steps.split_scale import split_scale
from pipeline.steps.train import train
from pipeline.steps.unit import Step, Unit
from pipeline.steps.validate import validate
from pipeline.steps.window import window

__all__ = ["FLOW", "Step", "Unit"]

_CURRENCY = (snapshot.FILE,)  # missing in runs that an earlier version began
FLOW = (
    Step(ingest, ()),
    Step(validate, (), may_read=(snapshot.FILE, snapshot.OLD_FILE, RESTATEMENT, ANSWER), judges=True),
    Step(split_scale, ("validated.parquet",)),
    Step(window, ("split.json",)),
    Step(
        train, ("scaled.npz", "scaler.json", "split.json", "windows.json"), may_read=(*_CURRENCY, ANSWER), gathers=True
    ),
    Step(
        evaluate,
        ("model.keras", "recipe.json", "rows.json", "scaled.npz"),
        may_read=("refitted.keras", "refitted.json", "walk_forward.parquet", *_CURRENCY),
    ),
    Step(
        promote,
        ("metrics.json", "predictions.parquet", "recipe.json", "rows.json", "scaled.npz"),
        may_read=(*_CURRENCY, ANSWER),
    ),
    Step(forecast, ("validated.parquet",), may_read=_CURRENCY),
)
