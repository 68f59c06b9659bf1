"""The fleet at a glance: each ticker's last night, champion, live scores and next forecast, read from the store.

MLflow is not asked: 500 requests take longer than a person waits. So a champion that was changed by hand shows after
the next night.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline import calendar
from pipeline.alerting import notify
from pipeline.plan import universe
from pipeline.reporting import results
from pipeline.reporting.closing import read_results
from pipeline.serving import ledger
from pipeline.store.closures import presumed_closures
from pipeline.store.runs import Reported, ReportedRuns, run_folder

if TYPE_CHECKING:
    from pipeline.reporting.results import Result
    from pipeline.settings import Settings

Problem = Literal["stale", "failed", "waiting", "decayed", "old_champion", "old_forecast"]
PROBLEMS: tuple[Problem, ...] = ("stale", "failed", "waiting", "decayed", "old_champion", "old_forecast")
_LOOK_BACK = 10  # nights before the last one that are searched for the champion of a ticker that failed


class Ticker(BaseModel):
    """One ticker. A value is None, and a text empty, where the store has none."""

    model_config = ConfigDict(frozen=True)

    ticker: str
    problems: tuple[Problem, ...]
    last_night: dt.date | None = Field(default=None, description="session of its newest run with a report")
    run: str = Field(default="", description="name of that run in the store")
    verdict: str = Field(default="", description="promoted, refused, waiting, or the step in which it failed")
    reason: str = Field(default="", description="of a failure")
    champion: int | None = Field(default=None, description="the version that its last finished night served")
    champion_trained: dt.date | None = Field(default=None, description="night that trained the champion's weights")
    champion_cutoff: dt.date | None = Field(default=None, description="last session that its weights have seen")
    champion_age: int | None = Field(default=None, description="sessions from `champion_trained` to `due`")
    interval_skill_60: float | None = Field(default=None, description="live, against the EWMA of closes")
    coverage_95_60: float | None = Field(default=None, description="live: share of closes inside the 95 % interval")
    forecast_session: dt.date | None = Field(default=None, description="session of the newest forecast")
    forecast: float | None = None
    forecast_low_95: float | None = None
    forecast_high_95: float | None = None
    currency: str = ""
    forecast_age: int | None = Field(default=None, description="sessions up to `due` that it does not know")
    no_forecast: str = Field(default="", description="why the last night made none")
    findings: tuple[str, ...] = Field(default=(), description="open: the failure and the warnings of the last night")


class Counts(BaseModel):
    """Numbers of tickers. One with two problems counts twice."""

    model_config = ConfigDict(frozen=True)

    tickers: int
    in_order: int
    stale: int = Field(description="without a reported run of the session that is due")
    failed: int = Field(description="in their last night")
    waiting: int = Field(description="for a person's answer about their last night")
    decayed: int = Field(description="served forecasts beyond a limit of decay")
    old_champion: int
    old_forecast: int


class Fleet(BaseModel):
    """All tickers of the settings."""

    model_config = ConfigDict(frozen=True)

    due: dt.date = Field(description="the last session whose run should have ended by now")
    source: str
    synthetic: bool
    max_champion_age: int
    max_forecast_age: int
    counts: Counts
    tickers: tuple[Ticker, ...]
    alerts: tuple[str, ...] = Field(description="titles of sent alerts about whole runs that have not recovered")

    @property
    def in_order(self) -> bool:
        """Return whether no ticker has a problem."""
        return self.counts.in_order == self.counts.tickers


def fleet(settings: Settings, now: dt.datetime) -> Fleet:
    """Return the state of all tickers of the settings.

    Args:
        settings: with store, universe, source and limits.
        now: an aware time. A session is due `late_minutes` after its close, when a missing run is an alert.

    Raises:
        UsageError: the universe or the calendar of the settings breaks its rule.
        Damaged: the results of a run cannot be read.
        StoreError: the store cannot be read.
    """
    presumed = presumed_closures(settings.store_url, settings.calendar, settings.source)
    due_by = now - dt.timedelta(minutes=settings.late_minutes)
    closed = {*settings.closed_sessions, *presumed}
    due = calendar.last_closed_session(settings.calendar, due_by, closed)
    reader = _Reader(settings, due, closed)
    tickers = tuple(reader.ticker(name) for name in universe(settings))
    found = Counter(problem for one in tickers for problem in one.problems)
    return Fleet(
        due=due,
        source=settings.source,
        synthetic=reader.synthetic,
        max_champion_age=settings.gate.max_champion_age,
        max_forecast_age=settings.gate.max_forecast_age,
        counts=Counts(
            tickers=len(tickers),
            in_order=sum(not one.problems for one in tickers),
            **{problem: found[problem] for problem in PROBLEMS},
        ),
        tickers=tickers,
        alerts=tuple(notify.open_alerts(settings)),
    )


class _Newest(NamedTuple):
    """The newest forecast of a ticker. `as_of` is the last session that it knows."""

    session: dt.date
    as_of: dt.date
    forecast: float | None
    low_95: float | None
    high_95: float | None
    currency: str


class _Reader:
    """Reads each file of a run once, and counts the sessions between two days once."""

    def __init__(self, settings: Settings, due: dt.date, closed: Collection[dt.date]) -> None:
        self.synthetic = settings.source == "sample"
        self._settings = settings
        self._due = due
        self._closed = closed
        self._runs = ReportedRuns(settings.store_url, settings.source)
        self._results: dict[str, Mapping[str, Result]] = {}
        self._ages: dict[dt.date, int] = {}

    def ticker(self, name: str) -> Ticker:
        """Return the state of one ticker."""
        nights = self._runs.newest_first(name, self._closed)
        last = next(nights, None)
        if last is None:
            return Ticker(ticker=name, problems=("stale",))
        row = self._row(last, name)
        champion = row
        if row.served_version is None:
            earlier = (self._row(one, name) for one in islice(nights, _LOOK_BACK))
            champion = next((one for one in earlier if one.served_version), row)
        trained = _day(champion.served_trained)
        newest = self._newest(row, last)
        read = Ticker(
            ticker=name,
            problems=(),
            last_night=last.as_of,
            run=last.run,
            verdict=f"failed in {row.step}" if row.reason else row.state,
            reason=row.reason,
            champion=champion.served_version or champion.forecast_version,
            champion_trained=trained,
            champion_cutoff=_day(champion.served_cutoff),
            champion_age=self._age(trained),
            interval_skill_60=row.live_interval_skill_60,
            coverage_95_60=row.live_coverage_95_60,
            forecast_session=newest.session if newest else None,
            forecast=newest.forecast if newest else None,
            forecast_low_95=newest.low_95 if newest else None,
            forecast_high_95=newest.high_95 if newest else None,
            currency=newest.currency if newest else "",
            forecast_age=self._age(newest.as_of) if newest else None,
            no_forecast=row.no_forecast,
            findings=tuple(filter(None, (row.reason, row.waiting, *row.warnings))),
        )
        return read.model_copy(update={"problems": self._problems(read, row)})

    def _row(self, night: Reported, ticker: str) -> Result:
        """Return a ticker's row of a run.

        Raises:
            Damaged: when results.json cannot be read.
        """
        if night.run not in self._results:
            rows = read_results(run_folder(self._settings.store_url, night.run))
            self._results[night.run] = {row.ticker: row for row in rows}
        return self._results[night.run][ticker]

    def _newest(self, row: Result, last: Reported) -> _Newest | None:
        """Return the newest forecast: of the last night, else of the ledger."""
        session = _day(row.forecast_session)
        if session:
            return _Newest(session, last.as_of, row.forecast, row.forecast_low_95, row.forecast_high_95, row.currency)
        record = ledger.newest(self._settings.ledger_place, row.ticker, synthetic=self.synthetic)
        if record is None:
            return None
        return _Newest(record.session, record.as_of, record.forecast, record.low_95, record.high_95, record.currency)

    def _age(self, day: dt.date | None) -> int | None:
        if day is None:
            return None
        if day not in self._ages:
            self._ages[day] = calendar.sessions_after(self._settings.calendar, day, self._due, self._closed)
        return self._ages[day]

    def _problems(self, read: Ticker, row: Result) -> tuple[Problem, ...]:
        gate = self._settings.gate
        holds: dict[Problem, bool] = {
            "stale": read.last_night is None or read.last_night < self._due,
            "failed": bool(read.reason),
            "waiting": row.state == "waiting",
            "decayed": results.is_decayed(row),
            "old_champion": (read.champion_age or 0) > gate.max_champion_age,
            "old_forecast": (read.forecast_age or 0) > gate.max_forecast_age,
        }
        return tuple(problem for problem in PROBLEMS if holds[problem])


def _day(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
