"""The gate: may the version just trained be served? Rule by rule, from figures alone; the alias is moved elsewhere."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Policy = Literal["unless_worse", "if_better"]


class Gate(BaseModel):
    """The limits. `[gate]` in closecast.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = Field(
        default="unless_worse",
        description="against the champion: promoted unless significantly worse, or only if its RMSE is smaller",
    )
    tolerance: float = Field(default=0.01, ge=0, description="by how much RMSE may lie above naive's: 0.01 is 1 %")
    significance: float = Field(
        default=0.05, gt=0, lt=1, description="p below which a Diebold-Mariano test says worse; one-sided"
    )
    min_coverage_95: float = Field(default=0.90, ge=0, le=1, description="share of test rows inside the 95 % interval")
    max_coverage_95: float = Field(default=0.99, ge=0, le=1, description="the same: above it the interval says nothing")
    min_live_sessions: int = Field(default=20, ge=1, description="scored forecasts before decay is judged")
    min_live_skill: float = Field(default=-0.02, description="skill of served forecasts over 60 sessions; below: decay")
    min_live_coverage_95: float = Field(default=0.85, ge=0, le=1, description="coverage over 60 sessions; below: decay")
