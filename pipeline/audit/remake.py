"""Makes the steps of a recorded night again, in a folder that `reproduce` has prepared: its settings, store and ledger.

    python -m pipeline.audit.remake FOLDER

`reproduce` starts it with the code of the night. Both agree on the files of the store and on `request.json`. It
reads no other store and no MLflow.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict, Field

from pipeline.audit import night
from pipeline.audit.recorded_registry import RecordedRegistry, Served
from pipeline.errors import Damaged, PipelineError
from pipeline.forecasting import device
from pipeline.settings import load_settings
from pipeline.steps import FLOW, Step, Unit
from pipeline.store.night_record import Machine
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.champion_record import ChampionRecord
from pipeline.tracking.versions import Version
from pipeline.versions import code_version, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.outcome import Outcome
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.tracking.registry import Registry

REQUEST = "request.json"
MADE = "made.json"
log = logging.getLogger("closecast")


class Asked(BaseModel):
    """One ticker of the night."""

    model_config = ConfigDict(frozen=True)

    until: str = Field(description="its last step")
    champion: ChampionRecord = Field(description="before the night")
    released: int | None = Field(default=None, description="number of the version that the night registered")
    continued: int | None = Field(default=None, description="the same, for the champion that stayed")
    joined: bool = Field(default=False, description="it came after the shared training, and took its network")
    forecast_by: int | None = Field(default=None, description="number of the version that made the forecast")


class Request(BaseModel):
    """The night to make again. Fields that the code of the night does not know are ignored."""

    model_config = ConfigDict(frozen=True)

    run: str
    code: str = Field(description="hash of the code of the night")
    tickers: dict[str, Asked]


class Made(BaseModel):
    """The place where the night was made again."""

    model_config = ConfigDict(frozen=True)

    versions: dict[str, str]
    machine: Machine


def main(folder: Path) -> None:
    """Make the night of a folder again.

    Raises:
        PipelineError: when a step fails that did not fail in the night.
    """
    settings = load_settings()
    if settings.gpu == "off":
        device.hide()
    request = Request.model_validate_json((folder / REQUEST).read_bytes())
    if code_version() != request.code:
        raise Damaged(
            "The code of the night must be the recorded one.",
            f"code with hash {code_version()[:12]}, recorded with {request.code[:12]}",
            "Restore the commit of the night and checkout.diff in the folder of its run.",
        )
    plan = read_plan(settings.store_url, request.run)
    champions = {ticker: asked.champion for ticker, asked in request.tickers.items()}
    registry = RecordedRegistry(settings.store_url, champions)
    for at, step in enumerate(FLOW):
        names = tuple(one.name for one in FLOW[:at])
        left = [ticker for ticker, asked in request.tickers.items() if step.name not in _after(asked.until)]
        if names and left:
            _make(step, [_unit(ticker, plan, settings, registry, step, names) for ticker in left], request, registry)
    made = Made(versions=versions(), machine=Machine.here())
    (folder / MADE).write_text(made.model_dump_json(indent=1))


def _after(until: str) -> list[str]:
    names = [step.name for step in FLOW]
    return names[names.index(until) + 1 :]


def _unit(
    ticker: str, plan: Plan, settings: Settings, registry: RecordedRegistry, step: Step, before: tuple[str, ...]
) -> Unit:
    folder = unit_folder(settings.store_url, ticker, plan)
    return Unit(ticker, plan, folder, settings, cast("Registry", registry), step, before)


def _make(step: Step, units: Sequence[Unit], request: Request, registry: RecordedRegistry) -> None:
    """Call a step, and write its files; after `promote` the version is served that made the forecast of the night."""
    for group in _groups(step, units, request):
        for unit, outcome in zip(group, step.call(group), strict=True):
            night.write(unit, outcome)
            _raise_if_failed(unit, outcome)
            log.info("%s %s", unit.ticker, step.name)
            if step.name == "promote":
                registry.serve(unit.ticker, _served(request.tickers[unit.ticker], unit, outcome))


def _groups(step: Step, units: Sequence[Unit], request: Request) -> list[list[Unit]]:
    """Return the units that a step takes together; those that joined the shared training later come after it."""
    if not (step.gathers and units[0].plan.shares_network):
        return [[unit] for unit in units]
    late = [unit for unit in units if request.tickers[unit.ticker].joined]
    first = [unit for unit in units if unit not in late]
    return [first, *([unit] for unit in late)]


def _raise_if_failed(unit: Unit, outcome: Outcome) -> None:
    critical = [one for one in outcome.findings if one.severity == "critical"]
    if critical:
        raise PipelineError(
            "A step that passed in the night must pass again.",
            f"{unit.ticker} failed in {unit.step.name}. {critical[0]}",
            "Compare the machine and the libraries with those of the night.",
        )


def _served(asked: Asked, unit: Unit, outcome: Outcome) -> Served | Version | None:
    """Return the version that made the forecast of the night.

    Raises:
        PipelineError: when another run had moved the alias by then.
    """
    effects = outcome.effects
    by = asked.forecast_by
    if by in {None, asked.champion.number}:
        return asked.champion.version if by else None
    if by == asked.released and effects and effects.release:
        names = ("served.keras", "served.json")
        network, recipe = (unit.folder.read(name) for name in names)
        return Served(Version(by, "", "", effects.release.tags), network, recipe)
    if by == asked.continued and effects and effects.continuation:
        network, recipe = (outcome.files[name] for name in effects.continuation.files)
        return Served(Version(by, "", "", effects.continuation.tags), network, recipe)
    raise PipelineError(
        "A forecast is made again by the champion before the night, or by the version of the night.",
        f"v{by} of {unit.ticker}, which another run or a person has served",
        "Reproduce the run that registered that version.",
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    try:
        main(Path(sys.argv[1]))
    except PipelineError as error:
        sys.exit(str(error))
