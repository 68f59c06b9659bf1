"""The limits of the gate, which decides whether a new version is served. Its rules: pipeline/serving/promotion.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Policy = Literal["unless_worse", "if_better"]


class Gate(BaseModel):
    """The limits: the section `[gate]` of closecast.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = Field(
        default="unless_worse",
        description="promote unless significantly worse than the champion, or only with a smaller RMSE than its",
    )
    tolerance: float = Field(default=0.01, ge=0, description="RMSE may exceed naive's by this share: 0.01 is 1 %")
    significance: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="a forecast is worse if the one-sided Diebold-Mariano test gives p below this",
    )
    min_coverage_95: float = Field(
        default=0.90, ge=0, le=1, description="smallest share of test rows inside the 95 % interval"
    )
    max_coverage_95: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="largest share of test rows inside the 95 % interval: a wider interval carries no information",
    )
    min_live_sessions: int = Field(default=20, ge=1, description="scored forecasts that the rule for decay needs")
    min_live_skill: float = Field(
        default=-0.02, description="decay: skill of served forecasts over 60 sessions below this"
    )
    min_live_interval_skill: float = Field(
        default=-0.25, description="decay: skill of served 95 % intervals against the EWMA of closes below this"
    )
    min_live_coverage_95: float = Field(
        default=0.85, ge=0, le=1, description="decay: coverage of served forecasts over 60 sessions below this"
    )
    max_champion_age: int = Field(
        default=60, ge=1, description="largest number of sessions since the training of the champion's weights"
    )
    max_forecast_age: int = Field(
        default=1, ge=0, description="largest number of sessions that closed after those that the newest forecast knows"
    )
