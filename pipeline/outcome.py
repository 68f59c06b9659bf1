"""What a step hands back, and what is written down about it."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import PipelineError

Severity = Literal["critical", "warning", "info"]


class Finding(BaseModel):
    """Something a person should know about one unit; a critical one ended it."""

    model_config = ConfigDict(frozen=True)

    rule: str = Field(description="what has to hold")
    severity: Severity
    observed: str = Field(description="what was found instead")
    limit: str = Field(default="", description="what would have been accepted")
    rows: tuple[str, ...] = Field(default=(), description="up to 10 offending sessions")
    todo: str = Field(default="", description="what the reader can do")
    retryable: bool = False

    @classmethod
    def of(cls, error: PipelineError) -> Finding:
        """Return `error` as the critical finding that it is for its unit."""
        return cls(
            rule=error.rule.rstrip("."),
            severity="critical",
            observed=error.received.rstrip("."),
            todo=error.todo,
            retryable=error.retryable,
        )

    def __str__(self) -> str:
        limit = f" (limit: {self.limit})" if self.limit else ""
        rows = f" Rows: {', '.join(self.rows)}." if self.rows else ""
        return f"{self.rule}: {self.observed}{limit}.{rows} {self.todo}".rstrip()


class Release(BaseModel):
    """What is to become of the model that this run trained, in the registry."""

    model_config = ConfigDict(frozen=True)

    promoted: bool
    champion: int | None = Field(description="the version that was served when this was decided")
    reason: str
    tags: dict[str, str] = Field(description="of the registered version")
    description: str


class Outcome(BaseModel):
    """The result of one step for one unit, free of Airflow and MLflow."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, bytes] = Field(default={}, exclude=True, description="what to keep in the unit's folder")
    attach: tuple[str, ...] = Field(default=(), description="names of files that MLflow shows too")
    metrics: dict[str, float] = Field(default={}, description="names carry the unit")
    curves: dict[str, list[float]] = Field(default={}, description="one value per epoch or fold")
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    dataset: str | None = Field(default=None, description="name of the price table the model is made from")
    model: tuple[str, ...] = Field(default=(), description="names of the files that serve, if this step made a model")
    release: Release | None = Field(default=None, description="what the gate decided, if this step is the gate")
    live: dict[str, float] = Field(default={}, description="figures of served forecasts: one point of a series")
    live_session: dt.date | None = Field(default=None, description="the session that `live` is about")
    findings: tuple[Finding, ...] = ()

    @property
    def failed(self) -> bool:
        """Return whether a critical finding ends the unit here."""
        return any(finding.severity == "critical" for finding in self.findings)


class Manifest(BaseModel):
    """One finished step of one unit: `<step>.manifest.json`."""

    model_config = ConfigDict(frozen=True)

    step: str
    key: str = Field(description="hash of inputs, plan, code and backend: same key, same result")
    inputs: dict[str, str] = Field(description="file name -> sha256")
    outputs: dict[str, str] = Field(description="file name -> sha256")
    outcome: Outcome
    started: dt.datetime
    seconds: float
    peak_memory_mb: float = Field(description="of the whole process so far")
    versions: dict[str, str]

    @property
    def failed(self) -> bool:
        """Return whether the unit ended here."""
        return self.outcome.failed

    @property
    def retryable(self) -> bool:
        """Return whether the unit failed for a reason that another try can mend."""
        return self.failed and all(f.retryable for f in self.outcome.findings if f.severity == "critical")
