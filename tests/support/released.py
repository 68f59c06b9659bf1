"""Versions in MLflow's registry without a training."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from pipeline.outcome import Continuation, Release
from pipeline.serving import ledger
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.ledger_rows import ROW

if TYPE_CHECKING:
    from pipeline.settings import Settings

NOON = dt.datetime(2025, 11, 21, 12, tzinfo=dt.UTC)


def trained(registry: Registry) -> tuple[str, str]:
    """Return the ids of a logged model and its run, as a training leaves them."""
    client = registry._client
    experiment = client.get_experiment_by_name("closecast").experiment_id
    run = client.create_run(experiment)
    model = client.create_logged_model(experiment, name="model", source_run_id=run.info.run_id)
    client.finalize_logged_model(model.model_id, "READY")
    return model.model_id, run.info.run_id


def two_versions_of(settings: Settings) -> Settings:
    """Promote two versions of AAA; the second has forecast 2025-11-24."""
    Runs(settings)
    registry = Registry(settings)
    release(registry, ticker="AAA", synthetic="true")
    release(registry, 1, ticker="AAA", synthetic="true", champion=1)
    write_forecast(settings, 2, dt.date(2025, 11, 24), synthetic=True)
    return settings


def write_forecast(settings: Settings, version: int, session: dt.date, **changes: Any) -> None:
    """Write a forecast of AAA for a session, made by a version."""
    changes = {"ticker": "AAA", "version": version, "session": session} | changes
    ledger.write(settings.ledger_place, ROW.model_copy(update=changes))


def decision(
    *,
    promoted: bool = True,
    champion: int | None = None,
    as_of: str = "2025-11-21",
    synthetic: str = "false",
    run: str = "r",
    card: str = "",
) -> Release:
    """Return what the gate says."""
    tags = {"as_of": as_of, "cutoff": "2023-01-03", "synthetic": synthetic, "decision": "because", "dag_run_id": run}
    return Release(
        promoted=promoted, champion=champion, reason="because", tags=tags, description="| table |", card=card
    )


def release(
    registry: Registry, hour: int = 0, ticker: str = "NFLX", model: tuple[str, str] | None = None, **said: Any
) -> int:
    """Carry a decision out and return the number of the version."""
    when = NOON + dt.timedelta(hours=hour)
    said = {"run": f"run-{hour}"} | said
    released = registry.release(ticker, *(model or trained(registry)), decision(**said), when)
    (tags,) = (one.tags for one in registry.versions(ticker) if one.number == released.version)
    assert tags["decision"] == (released.reason if released.superseded else "because")
    return released.version


def continuation(registry: Registry, hour: int, ticker: str = "NFLX") -> Continuation:
    """Return what `promote` asks for when the champion stays."""
    served = registry.champion(ticker)
    assert served is not None
    tags = {"as_of": "2025-11-21", "cutoff": "2023-01-03", "synthetic": "false", "dag_run_id": f"run-{hour}"}
    return Continuation(
        champion=served.number,
        run_id=served.run_id,
        files=("continued.keras", "continued.json"),
        reason="stays",
        tags=tags | {"weights_of": str(served.weights_of)},
        description="it stays",
    )


def continued(registry: Registry, hour: int, ticker: str = "NFLX") -> int:
    """Let the champion stay for one more night and return the number of its version."""
    decided = continuation(registry, hour, ticker)
    when = NOON + dt.timedelta(hours=hour)
    return registry.continue_champion(ticker, trained(registry)[0], decided, when).version
