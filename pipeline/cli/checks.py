"""The checks of `closecast doctor`: one function each. They change nothing, except for a probe in store and ledger."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline import calendar
from pipeline.errors import PipelineError, UsageError
from pipeline.tracking.server import Login

if TYPE_CHECKING:
    from pipeline.settings import Settings

State = Literal["ok", "skipped", "warning", "failed"]
SECONDS = 3.0  # to wait for one answer of a server
_NIGHT_MB = 4  # of a ticker in store and MLflow: 3.3 MB measured with `daily` on 4,000 sessions (2026-11-30)
_NIGHTS = 30  # that should fit on the disk
_MOST_NAMED = 5  # libraries in one line


class Check(BaseModel):
    """One check and its result."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: State
    observed: str
    todo: str = ""


class Result(NamedTuple):
    """The result of a check, without its name."""

    state: State
    observed: str
    todo: str = ""


def checked(settings: Settings, *, send_test: bool = False) -> list[Check]:
    """Return all checks, in the order in which a new machine would fail them.

    Args:
        settings: of the deployment.
        send_test: send a message to each alert channel.
    """
    checks: dict[str, Callable[[Settings], Result]] = {
        "python": _python,
        "libraries": _libraries,
        "settings": _settings,
        "stack": _stack,
        "store": _store,
        "ledger": _ledger,
        "mlflow": _mlflow,
        "databases": _databases,
        "calendar": _calendar,
        "source": _source,
        "gpu": _gpu,
        "alerts": _tested_alerts if send_test else _alerts,
    }
    return [Check(name=name, **_guarded(function, settings)._asdict()) for name, function in checks.items()]


def _guarded(function: Callable[[Settings], Result], settings: Settings) -> Result:
    try:
        return function(settings)
    except PipelineError as error:
        return Result("failed", f"{error.rule} Received: {error.received}", error.todo)


def _python(_: Settings) -> Result:
    allowed = importlib.metadata.metadata("closecast")["Requires-Python"]
    bounds = [tuple(map(int, version.split("."))) for version in re.findall(r"\d+\.\d+", allowed)]
    found = f"{platform.python_version()}, allowed: {allowed}"
    if min(bounds) <= sys.version_info[:2] < max(bounds):
        return Result("ok", found)
    return Result("failed", found, "Run `make setup PYTHON=python3.13`, or another allowed version.")


def _libraries(settings: Settings) -> Result:
    from pipeline.operations.installed import differences

    lock = settings.home / "requirements.lock"
    if not lock.exists():
        return Result("skipped", "no requirements.lock here: an image is made from it")
    found = differences(lock)
    again = f"Remove {settings.home / '.venv' / 'ready'} and run `make setup`."
    if found.missing:
        return Result("failed", f"missing: {_listed(found.missing)}", again)
    if found.other:
        observed = f"not those of requirements.lock: {_listed(found.other)}"
        return Result("warning", observed, f"If that is not meant: {again[0].lower()}{again[1:]}")
    return Result("ok", f"{found.checked} as in requirements.lock")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _settings(settings: Settings) -> Result:
    from pipeline.forecasting.device import backend
    from pipeline.plan import make_plan

    now = dt.datetime.now(dt.UTC)
    plan = make_plan(settings, "doctor", now=now, moment=now, overrides={})
    return Result(
        "ok", f"{len(plan.tickers)} ticker(s), preset {plan.preset_name}, as of {plan.as_of}, Keras on {backend()}"
    )


def _stack(settings: Settings) -> Result:
    from pipeline.operations import stack, started
    from pipeline.operations.processes import find_supervisord

    down = "make down-cluster" if settings.cluster else "make down"
    again = f"Run `{down}`, then `{down.replace('down', 'up')}`."
    if not find_supervisord(settings):
        stack.require_free_ports(settings)
        return Result("ok", f"down; its ports {settings.airflow_port} and {settings.mlflow_port} are free")
    record = started.read(settings)
    running = settings.model_copy(update=record.ports) if record else settings
    if silent := stack.first_silent_part(running):
        log = settings.var_dir / "log"
        return Result("failed", f"up, and {silent} does not answer", f"Read the logs in {log}. {again}")
    changed = started.differences(record, started.present(settings)) if record else ["its settings are unknown"]
    if changed:
        return Result("warning", f"up; not in force since its start: {', '.join(changed)}", again)
    return Result("ok", f"up; Airflow on port {running.airflow_port} and MLflow on {running.mlflow_port} answer")


def _store(settings: Settings) -> Result:
    from pipeline.plan import universe
    from pipeline.store.folder import check_writable

    check_writable(settings.store_url)
    if "://" in settings.store_url:
        return Result("ok", f"{settings.store_url.partition('://')[0]}://... can be written")
    free = shutil.disk_usage(settings.store_url).free / 1e6  # MB
    nights = int(free / (_NIGHT_MB * len(universe(settings))))
    found = f"{settings.store_url} can be written; {free / 1000:,.1f} GB free, about {nights:,} nights"
    if nights >= _NIGHTS:
        return Result("ok", found)
    state: State = "warning" if nights else "failed"
    return Result(state, found, "Make room, or set CLOSECAST_STORE to another disk.")


def _ledger(settings: Settings) -> Result:
    from pipeline.serving import ledger

    if not settings.ledger:
        return Result("ok", "a folder of the store")
    ledger.check(settings.ledger_place)
    return Result("ok", f"{settings.ledger_place.partition(':')[0]}: can be written")


def _mlflow(settings: Settings) -> Result:
    from pipeline.errors import without_secrets
    from pipeline.tracking.server import server_version

    installed = importlib.metadata.version("mlflow")
    if not settings.mlflow_uri.startswith("http"):
        return Result("ok", f"{installed}, {without_secrets(settings.mlflow_uri).partition(':')[0]} without a server")
    version = server_version(settings.mlflow_uri, _login(settings), SECONDS)
    found = f"{without_secrets(settings.mlflow_uri)} answers with {version}; installed: {installed}"
    if version.split(".")[:2] == installed.split(".")[:2]:
        return Result("ok", found)
    return Result("warning", found, "Give server and client the same version; the server's must not be the older one.")


def _login(settings: Settings) -> Login | None:
    from pipeline.tracking.login import USER

    if settings.uses_own_mlflow_server and settings.mlflow_password_file.exists():
        return Login(USER, settings.mlflow_password_file.read_text().strip())
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return Login(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None


def _databases(settings: Settings) -> Result:
    from pipeline.operations.airflow_home import migration_marker, schema_versions
    from pipeline.operations.schemas import schemas

    up = "make up-cluster" if settings.cluster else "make up"
    marker = migration_marker(settings)
    if settings.cluster:
        made_by = marker.read_text() if marker.exists() else ""
        if made_by in {"", schema_versions()}:
            return Result("ok" if made_by else "skipped", made_by or f"not made yet; `{up}` makes them")
        return Result("warning", f"made by {made_by}; installed: {schema_versions()}", f"Run `{up}`: it migrates them.")
    found = list(schemas(settings))
    if not found:
        return Result("skipped", f"not made yet; `{up}` makes them")
    other = next((one for one in found if not one.is_current), None)
    if other is None:
        return Result("ok", f"{' and '.join(one.program for one in found)} have the schemas of the installed versions")
    observed = f"{other.program}'s {other.file} has revision {other.revision}"
    if other.known:
        todo = f"Remove {marker} if it exists, then run `{up}`, which migrates the database."
        return Result("failed", f"{observed}, that of an earlier version", todo)
    todo = "A newer version made it: install that version of Closecast again, or restore an older database."
    return Result("failed", f"{observed}, which the installed version does not know", todo)


def _calendar(settings: Settings) -> Result:
    now = dt.datetime.now(dt.UTC)
    calendar.check_covers(settings.calendar, now)
    if ending := calendar.nearing_end(settings.calendar, now):
        return Result("warning", ending, calendar.UPGRADE)
    return Result("ok", f"{settings.calendar} knows the sessions until {calendar.last_known_day(settings.calendar)}")


def _source(settings: Settings) -> Result:
    from pipeline.prices.sources import yahoo_session

    if settings.source == "yahoo":
        yahoo_session.check_answers(SECONDS)
        return Result("ok", "yahoo answers")
    if settings.source == "files":
        place = settings.prices
        if place is None or not os.access(place.expanduser(), os.R_OK):
            raise UsageError("Price files must be readable.", f"PRICES={place or ''}", "Correct CLOSECAST_PRICES.")
        return Result("ok", f"files in {place}")
    return Result("ok", f"{settings.source}, SYNTHETIC prices")


def _gpu(settings: Settings) -> Result:
    from pipeline.forecasting.device import check_card

    try:
        check_card()
    except UsageError:
        if settings.gpu == "require":
            raise
        return Result("ok", f"no card, and gpu = {settings.gpu} needs none: the processor trains")
    hidden = " and gpu = off hides it" if settings.gpu == "off" else ""
    return Result("ok", f"this machine has a card{hidden}")


def _alerts(settings: Settings) -> Result:
    from pipeline.alerting.delivery import channels

    return _channels_result([one.number for one in channels(settings.alert_channels) if not one.valid], settings)


def _tested_alerts(settings: Settings) -> Result:
    from pipeline.alerting.delivery import Message, channels

    text = f"`closecast doctor --send-test` on {platform.node()} sent this message. Alerts of the nights come here."
    found = channels(settings.alert_channels, Message("Test of Closecast's alerts", text, "success", ("test",)))
    silent = [one for one in found if one.valid and not one.accepted]
    if silent:
        names = ", ".join(f"channel {one.number} ({one.scheme})" for one in silent)
        return Result("failed", f"{names} did not accept the test message", "Check its address, login and network.")
    return _channels_result([one.number for one in found if not one.valid], settings, sent=True)


def _channels_result(invalid: Sequence[int], settings: Settings, *, sent: bool = False) -> Result:
    """Return the result of channels; those in `invalid` have URLs that Apprise does not know."""
    if not settings.alert_channels:
        return Result(
            "warning", "no channel: a failed night reaches nobody", "Set CLOSECAST_ALERT_URLS: README, Alerts."
        )
    if invalid:
        names = ", ".join(f"channel {number}" for number in invalid)
        return Result("failed", f"{names} of CLOSECAST_ALERT_URLS is no URL of Apprise", "Correct it: README, Alerts.")
    count = len(settings.alert_channels)
    if sent:
        return Result("ok", f"{count} channel(s) accepted a test message")
    return Result("ok", f"{count} channel(s); --send-test sends each a message")
