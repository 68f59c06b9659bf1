"""A night between two trainings: the champion's network is the candidate again, calibrated and scored tonight.

`retrain_every` says after how many sessions a network is trained again. Some news train it sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline import calendar
from pipeline.evaluation import live
from pipeline.forecasting import inference, windows
from pipeline.forecasting.split import split_at
from pipeline.outcome import Outcome
from pipeline.serving import ledger
from pipeline.settings.preset import Preset
from pipeline.steps import champion, live_record
from pipeline.steps.rows import BORDER_TAGS, borders_in, rows_json
from pipeline.store.formats import arrays_of
from pipeline.tracking.versions import LAST_TRAINING, TRAINED, WEIGHTS_OF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.steps.unit import Unit
    from pipeline.tracking.versions import Version

_KNOWN = ("device", "device_name", "backend", "intervals", *BORDER_TAGS)  # tags of a training that stay true
_PARAMS = ("preset", "layer_parameters", "parameters")
_SAME_BASIS = ("unchanged", "explained")  # a split is corrected in the recipe
_AFTER_DECAY = 5  # sessions after a training before decay is a reason for the next one


class _Recorded(NamedTuple):
    """The champion, and what its run recorded."""

    version: Version
    params: Mapping[str, str]
    tags: Mapping[str, str]


def carry(units: Sequence[Unit]) -> list[Outcome] | None:
    """Return the outcome of each unit without a training; None where one of them must be trained, and so all."""
    if units[0].plan.retrain_every == 1:
        return None
    carried = []
    for unit in units:
        known = _recorded(unit)
        if known is None or reason_to_train(unit, known):
            return None
        loaded = champion.load(unit, known.version)
        if loaded.is_spoilt:
            return None
        carried.append((unit, known, loaded))
    return [_carried(*one) for one in carried]


def _recorded(unit: Unit) -> _Recorded | None:
    served = unit.registry.champion_before(unit.ticker, unit.plan.dag_run_id)
    return _Recorded(served, *unit.registry.facts(served)) if served else None


def reason_to_train(unit: Unit, known: _Recorded) -> str:
    """Return why the network must be trained tonight, "" where the champion's can be used again."""
    plan = unit.plan
    arrays = arrays_of(unit.read("scaled.npz"))
    age = int(np.sum(arrays["sessions"] > np.datetime64(known.version.last_training)))
    ingested = unit.manifests["ingest"]
    basis = ingested.outcome.tags.get("restatement", "unchanged") if ingested else ""
    reasons = {
        "the walk-forward trains each fold": plan.walk_forward > 0,
        "tonight's prices do not continue those of the champion": not champion.can_continue(unit, known.version),
        "the preset has changed": not plan.preset.parameters.items() <= known.params.items(),
        "its run does not say which rows it saw": not set(BORDER_TAGS) <= set(known.tags),
        "the past was restated": basis not in _SAME_BASIS,
        f"the last training was {age} sessions ago": age >= plan.retrain_every,
        "its forecasts have decayed": age >= _AFTER_DECAY and _has_decayed(unit, arrays),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _has_decayed(unit: Unit, arrays: Mapping[str, Any]) -> bool:
    import pandas as pd

    closes = pd.Series(arrays["closes"], calendar.session_index(arrays["sessions"]))
    written = ledger.read(unit.settings.ledger_place, unit.ticker)
    summary = live.summary(live_record.scored(written, closes, unit.plan, unit.currency), live_record.SESSIONS[-1])
    return bool(live_record.decay(unit, summary))


def _carried(unit: Unit, known: _Recorded, loaded: champion.Champion) -> Outcome:
    """Return the champion's networks as the files of a training."""
    preset = unit.plan.preset
    parts = split_at(loaded.sessions, borders_in(known.tags))
    recipe = loaded.evaluated.recipe
    files = {
        "model.keras": inference.to_bytes(loaded.evaluated.network),
        "recipe.json": recipe.to_json(),
        "rows.json": rows_json(parts, windows.windows_of(parts, preset)),
    }
    served = loaded.served_today
    if preset.refit:
        files |= {"refitted.keras": inference.to_bytes(served.network), "refitted.json": served.recipe.to_json()}
    return Outcome(
        files=files,
        attach=("recipe.json", *(("model.keras",) if preset.refit else ())),
        metrics={
            "fit_seconds": 0.0,
            "step/rows_train": parts.test,
            "step/rows_test": parts.end - parts.test,
            **recipe.metrics,
        },
        params={name: value for name, value in known.params.items() if name in _PARAMS or name in Preset.model_fields},
        tags={
            **{name: known.tags[name] for name in _KNOWN if name in known.tags},
            "cutoff": str(known.version.cutoff),
            **({"evaluation_cutoff": recipe.cutoff} if preset.refit else {}),
            TRAINED: str(known.version.trained),
            LAST_TRAINING: str(known.version.last_training),
            WEIGHTS_OF: str(known.version.weights_of),
        },
    )
