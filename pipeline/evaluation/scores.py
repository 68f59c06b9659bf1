"""The scores of one unit on its test rows, and their JSON in `metrics.json`."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import Field

from pipeline.old_names import Renamed, present_names

_WALK_FORWARD = "walk_forward/"
_REFERENCES = "references/"


class FoldScores(Renamed):
    """Scores over the rows of one fold, or of all folds, of a walk-forward."""

    rmse: float
    naive_rmse: float
    skill: float
    coverage_95: float


class ReferenceScores(Renamed):
    """Scores of a forecast that needs no network, on the same rows as those of the network."""

    interval_score_80_pct: float
    interval_score_95_pct: float = Field(description="mean, in per cent of the last close")
    pinball_pct: float
    coverage_95: float


class Scores(Renamed):
    """Errors on the test rows, in the currency of the prices where no other unit is named.

    A field is None where the score is undefined on these rows, as MASE is for closes of train that never moved.
    """

    test_rows: int
    rmse: float = Field(description="of the forecast as served: network and naive, weighted")
    naive_rmse: float
    drift_rmse: float | None = None
    ar1_rmse: float | None = None
    network_rmse: float | None = Field(default=None, description="of the network alone")
    mae: float
    naive_mae: float
    mape_pct: float
    naive_mape_pct: float
    mase: float | None = None
    direction_acc: float | None = Field(default=None, description="share of moves with the forecast sign")
    dm_statistic: float | None = None
    dm_p_value: float = Field(description="Diebold-Mariano against naive, one-sided: small means worse")
    coverage_80: float
    coverage_95: float
    width_80: float
    width_95: float
    rmse_over_naive: float
    skill: float = Field(description="1 - rmse / naive_rmse")
    ar1_skill: float | None = None
    ar1_dm_p_value: float | None = None
    network_skill: float | None = None
    network_dm_p_value: float | None = None
    coverage_50: float | None = None
    interval_score_80_pct: float | None = Field(default=None, description="mean, in per cent of the last close")
    interval_score_95_pct: float | None = None
    pinball_pct: float | None = Field(default=None, description="mean over 19 quantiles, in per cent of the last close")
    kupiec_95_p_value: float | None = Field(default=None, description="small: coverage is not 95 %")
    christoffersen_95_p_value: float | None = Field(default=None, description="small: misses come in clusters")
    good_windows_95: float | None = Field(
        default=None, description="share of windows of 250 sessions with 93 to 97 % inside the 95 % interval"
    )
    ewma_interval_score_80_pct: float | None = Field(
        default=None, description="of the EWMA of closes, calibrated once, around naive"
    )
    ewma_interval_score_95_pct: float | None = None
    ewma_pinball_pct: float | None = None
    ewma_coverage_95: float | None = None
    reference_interval_score_80_pct: float | None = Field(
        default=None, description="of the simple model with the best score before the test rows, around naive"
    )
    reference_interval_score_95_pct: float | None = None
    reference_pinball_pct: float | None = None
    reference_coverage_95: float | None = None
    interval_skill_95: float | None = Field(default=None, description="1 - score / score of the EWMA of closes")
    reference_skill_95: float | None = Field(default=None, description="1 - score / score of the reference")
    reference_dm_p_value: float | None = Field(
        default=None, description="Diebold-Mariano on 95 % interval scores against the reference: small means worse"
    )
    walk_forward: FoldScores | None = None
    references: dict[str, ReferenceScores] = Field(
        default={}, description="by the name of the scale around naive, each calibrated every night"
    )

    def metrics(self) -> dict[str, float]:
        """Return the defined scores by their name in MLflow."""
        named = self.model_dump(exclude={"walk_forward", "references"})
        for reference, scores in self.references.items():
            named |= {f"{_REFERENCES}{reference}/{name}": value for name, value in scores.model_dump().items()}
        if self.walk_forward:
            named |= {f"{_WALK_FORWARD}{name}": value for name, value in self.walk_forward.model_dump().items()}
        return {name: float(value) for name, value in named.items() if value is not None and math.isfinite(value)}

    def to_json(self) -> bytes:
        """Return the content of metrics.json."""
        return json.dumps(self.metrics(), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Scores:
        """Return the scores that `to_json` wrote."""
        named: dict[str, Any] = present_names(json.loads(data))
        folds = {
            name.removeprefix(_WALK_FORWARD): value for name, value in named.items() if name.startswith(_WALK_FORWARD)
        }
        references: dict[str, dict[str, float]] = {}
        for path, value in named.items():
            if path.startswith(_REFERENCES):
                reference, name = path.removeprefix(_REFERENCES).split("/")
                references.setdefault(reference, {})[name] = value
        return cls.model_validate(named | {"references": references} | ({"walk_forward": folds} if folds else {}))
