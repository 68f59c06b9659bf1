"""The forecast of a night and the record of the nights before. `forecast.json`: written and read here alone."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from pipeline.old_names import Renamed
from pipeline.outcome import ForecastRecord

DECAY = "Served forecasts should not decay"  # rule of the finding


class ScoredForecast(ForecastRecord):
    """A served forecast beside the close that came, in the prices of today's history."""

    factor: float = Field(description="restatement since the forecast: its prices were multiplied by this")
    close: float
    error: float = Field(description="forecast - close")
    inside_80: bool
    inside_95: bool
    ago: int = Field(description="sessions from the scored one to the last one")
    late: bool = Field(description="written after the close of its session")


class LiveWindow(Renamed):
    """Served forecasts of the last sessions together."""

    rows: int
    rmse: float
    naive_rmse: float
    skill: float | None = Field(description="None where no close moved")
    coverage_80: float
    coverage_95: float
    interval_score_95_pct: float | None = Field(default=None, description="mean, in per cent of the close before")
    interval_skill_95: float | None = Field(default=None, description="1 - score / score of the EWMA of closes")
    late: int = Field(description="forecasts that were written after the close of their session")


class ServedChampion(BaseModel):
    """The version that is served, as the night found it."""

    model_config = ConfigDict(frozen=True)

    version: int
    trained: dt.date = Field(description="last session of the night on which its weights were trained")
    cutoff: dt.date = Field(description="last session that its weights have seen")


class Served(BaseModel):
    """The champion's forecast of the next session, and the scores of earlier forecasts."""

    model_config = ConfigDict(frozen=True)

    champion: ServedChampion | None = Field(default=None, description="None in files of earlier versions too")
    forecast: ForecastRecord | None = None
    why_not: str = Field(default="", description='why there is no forecast; "" when there is one')
    scored: ScoredForecast | None = Field(default=None, description="the newest forecast whose session has closed")
    live: dict[str, LiveWindow | None] = Field(default={}, description="by number of sessions")

    def to_json(self) -> bytes:
        """Return the content of forecast.json."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Served:
        """Return the object that `to_json` wrote."""
        return cls.model_validate_json(data)
