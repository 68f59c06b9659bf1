"""The outcome of a step, the effects that it asks for, and the manifest that records both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.errors import PipelineError
from pipeline.old_names import Renamed, present_names

Severity = Literal["critical", "warning", "info"]
Bar = Literal["price", "empty", "none"]  # of a session: a row with a price, a row without a price, no row
ANSWER = "answer.json"  # in the folder of a unit
SUPERSEDED = "superseded"  # name of the rule, and first word of the reason, of a promotion that came too late


class Finding(BaseModel):
    """A broken rule of one unit. A critical one ends the unit."""

    model_config = ConfigDict(frozen=True)

    rule: str = Field(description="the rule that was broken")
    severity: Severity
    observed: str = Field(description="the value that was found")
    limit: str = Field(default="", description="the accepted values")
    rows: tuple[str, ...] = Field(default=(), description="up to 10 offending sessions")
    todo: str = Field(default="", description="the reader's next step")
    name: str = Field(default="", description="of the rule in the suite; empty for other rules")
    retryable: bool = False
    lasting: bool = Field(default=False, description="its rows change from night to night without news")
    asks: bool = Field(
        default=False, description="a person may accept it; as the only critical kind it lets a unit wait"
    )

    @classmethod
    def of(cls, error: PipelineError) -> Finding:
        """Return `error` as a critical finding."""
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


class Answer(BaseModel):
    """The answer to the question whether a restated history is right. `answer.json`: written and read here alone."""

    model_config = ConfigDict(frozen=True)

    accepted: bool
    data_sha256: str = Field(description="of the rows that the question was about: other rows are asked about again")
    by: str = Field(description='the user of Airflow; "" when the time ran out')
    when: dt.datetime = Field(description="UTC")
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ", without a reason"
        if not self.by:
            return f"not answered by {self.when:%Y-%m-%d %H:%M} UTC"
        return f"{'accepted' if self.accepted else 'rejected'} by {self.by} on {self.when:%Y-%m-%d %H:%M} UTC{why}"

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags of the MLflow run: who answered what, when and why."""
        answer = "accepted" if self.accepted else "rejected"
        return {
            "restatement.answer": answer if self.by else "not answered",
            "restatement.answered_by": self.by,
            "restatement.answered_at": self.when.isoformat(timespec="seconds"),
            "restatement.answer_reason": self.reason,
        }

    def to_json(self) -> bytes:
        """Return the content of answer.json."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Answer:
        """Return the answer that `to_json` wrote."""
        return cls.model_validate_json(data)


class Release(BaseModel):
    """Effect of `promote`: register the version that this run trained, and move the aliases as decided."""

    model_config = ConfigDict(frozen=True)

    promoted: bool
    champion: int | None = Field(description="the version that was served when this was decided")
    reason: str
    tags: dict[str, str] = Field(description="of the registered version")
    description: str
    card: str = Field(default="", description="the model card; manifests of earlier versions have none")


class Continuation(BaseModel):
    """Effect of `promote`: register the champion that stays once more, with the intervals of this night."""

    model_config = ConfigDict(frozen=True)

    champion: int = Field(description="the version that was served when this was decided")
    run_id: str = Field(description="of the run that trained its weights")
    files: tuple[str, str] = Field(description="names of the files that serve: network and recipe")
    reason: str
    tags: dict[str, str] = Field(description="of the registered version")
    description: str


class Released(BaseModel):
    """Result of a `Release` or a `Continuation`."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(description="number of the registered version")
    superseded: bool = Field(default=False, description="the promotion came too late, and the alias stayed")
    superseded_by: int | None = Field(default=None, description="the version that was champion by then")

    @property
    def reason(self) -> str:
        """Return why a promotion was not carried out, "" when the decision was carried out."""
        if not self.superseded:
            return ""
        if self.superseded_by is None:
            return (
                f"{SUPERSEDED}: the champion of the decision was deleted, or lost its alias, before it was carried out"
            )
        return f"{SUPERSEDED}: v{self.superseded_by} became champion after the decision was made"


class ForecastRecord(Renamed):
    """One forecast that was served: a row of the ledger."""

    ticker: str
    session: dt.date = Field(description="the session whose close is forecast")
    version: int = Field(description="the champion that made it")
    run: str
    as_of: dt.date
    created: dt.datetime = Field(description="UTC")
    source: str
    synthetic: bool
    currency: str = Field(default="", description='of the prices; "" if it is unknown, as in rows of earlier versions')
    last_close: float
    forecast: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float
    low_50: float | None = Field(default=None, description="None in rows of earlier versions, as for `scale`")
    high_50: float | None = None
    scale: float | None = Field(default=None, description="expected size of the log return")
    quantiles: tuple[float, ...] = Field(default=(), description="5, 10, ..., 95 %; () in rows of earlier versions")
    anchor_session: dt.date = Field(description="an older session; see `anchor_close`")
    anchor_close: float = Field(
        description="close of the anchor session at that time: another close now means that history was restated"
    )


class LedgerHead(BaseModel):
    """The newest row of a ticker in the ledger, for the copies outside: report, results.json, messages, MLflow."""

    model_config = ConfigDict(frozen=True)

    position: int = Field(description="1 for the first row of the ticker")
    hash: str = Field(description="of the row and of all rows before it")
    row: str = Field(description='session and version, such as "2025-11-24 v2"')

    def __str__(self) -> str:
        return f"row {self.position}, {self.row}, {self.hash}"


class Effects(BaseModel):
    """Changes outside the unit's folder that a step asks for. `runner` performs them."""

    model_config = ConfigDict(frozen=True)

    release: Release | None = Field(default=None, description="for MLflow's registry")
    continuation: Continuation | None = Field(default=None, description="the same, for a champion that stays")
    forecast: ForecastRecord | None = Field(default=None, description="for the ledger")
    no_forecast: str = Field(default="", description="why there is nothing to write into the ledger")


class Results(BaseModel):
    """The results of a step's effects."""

    model_config = ConfigDict(frozen=True)

    released: Released | None = None
    continued: Released | None = None
    recorded: ForecastRecord | None = Field(
        default=None, description="the ledger's row: where another run wrote one first, that one"
    )
    no_forecast: str = ""
    ledger_head: LedgerHead | None = Field(default=None, description="after the effects; None without a row")


class Outcome(BaseModel):
    """The result of one step for one unit, free of Airflow and MLflow."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, bytes] = Field(default={}, exclude=True, description="content by name, for the unit's folder")
    shared: dict[str, bytes] = Field(
        default={}, exclude=True, description="content by path below the store; each path has the hash of its content"
    )
    attach: tuple[str, ...] = Field(default=(), description="names of files that are copied to MLflow")
    metrics: dict[str, float] = Field(default={}, description="names carry the unit")
    curves: dict[str, list[float]] = Field(default={}, description="one value per epoch or fold")
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    dataset: str | None = Field(default=None, description="name of the price table the model is made from")
    model: tuple[str, ...] = Field(default=(), description="names of the files that serve, if this step made a model")
    effects: Effects | None = Field(default=None, description="changes outside the unit's folder, for the runner")
    live: dict[str, float] = Field(default={}, description="scores of served forecasts: one point of a series")
    live_session: dt.date | None = Field(default=None, description="the session that `live` is about")
    bars: dict[dt.date, Bar] = Field(default={}, description="the last sessions of the source, for closures")
    findings: tuple[Finding, ...] = ()

    @field_validator("metrics", "curves", "live", mode="before")
    @classmethod
    def _read_old_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        return present_names(values)

    @property
    def failed(self) -> bool:
        """Return whether a critical finding ends the unit here."""
        return any(finding.severity == "critical" for finding in self.findings)

    @property
    def waiting(self) -> bool:
        """Return whether the unit ends here until a person answers: nothing else is wrong with it."""
        return self.failed and all(finding.asks for finding in self.findings if finding.severity == "critical")


class Manifest(BaseModel):
    """One finished step of one unit: `<step>.manifest.json`."""

    model_config = ConfigDict(frozen=True)

    step: str
    key: str = Field(description="hash of inputs, plan, code and backend: same key, same result")
    inputs: dict[str, str] = Field(description="file name -> sha256")
    outputs: dict[str, str] = Field(description="file name -> sha256")
    outcome: Outcome
    results: Results | None = Field(default=None, description="of the effects; None until they are performed")
    started: dt.datetime
    seconds: float
    peak_memory_mb: float = Field(description="of the whole process so far")
    versions: dict[str, str]

    @property
    def failed(self) -> bool:
        """Return whether the unit ended here, also if it waits for an answer."""
        return self.outcome.failed

    @property
    def waiting(self) -> bool:
        """Return whether the unit ended here until a person answers."""
        return self.outcome.waiting

    @property
    def retryable(self) -> bool:
        """Return whether the unit failed for a reason that another try can mend."""
        return self.failed and all(f.retryable for f in self.outcome.findings if f.severity == "critical")


def manifests_bytes(manifests: Sequence[Manifest | None]) -> bytes:
    """Return the manifests of a unit as one JSON list, for readers without the store."""
    parts = [manifest.model_dump_json(indent=1) for manifest in manifests if manifest]
    return f"[{', '.join(parts)}]".encode()
