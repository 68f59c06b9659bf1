"""Units as the steps write them, for reports: evaluated and decided, or failed in the first step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.arrays import Floats
from pipeline.evaluation import metrics
from pipeline.evaluation.scores import ReferenceScores, Scores
from pipeline.forecasting.forecasts import Forecasts
from pipeline.forecasting.intervals import LEVELS
from pipeline.outcome import Finding, ForecastRecord, LedgerHead, Manifest, Outcome, Released, Results
from pipeline.plan import Plan
from pipeline.prices.snapshot import FILE, SnapshotRecord
from pipeline.reporting import plots, report
from pipeline.reporting.report import Picture, Section
from pipeline.serving.promotion import Changes, Decision, Rule
from pipeline.serving.served import LiveWindow, ScoredForecast, Served
from pipeline.settings import Settings
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, sha256
from pipeline.store.runs import unit_folder
from tests.support.ledger_rows import ROW

NASTY = """A<b>&"'"""
CURRENCY = "JPY"
HEAD = LedgerHead(position=14, hash="5e" * 32, row="2025-11-24 v3")
LIVE = LiveWindow(
    rows=12,
    rmse=2.1,
    naive_rmse=2.2,
    skill=0.0455,
    coverage_80=0.75,
    coverage_95=1.0,
    late=0,
    interval_score_95_pct=5.5,
    interval_skill_95=0.04,
)


def write(folder: Folder, step: str, *, results: Results | None = None, **outcome: Any) -> None:
    """Finish a step in a unit's folder, with the results of its effects."""
    made = Outcome(**outcome)
    for name, data in made.files.items():
        folder.write(name, data)
    folder.write_manifest(
        Manifest(
            step=step,
            key="k",
            inputs={},
            outputs={name: sha256(data) for name, data in made.files.items()},
            outcome=made,
            results=results,
            started=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            seconds=1.5,
            peak_memory_mb=1.0,
            versions={},
        )
    )


def forecasts_around(made: Floats) -> Forecasts:
    """Return forecasts of scale 2 % with half-widths of 0.1 to 0.95 of two scales."""
    widths = np.tile(np.array(LEVELS) / 50, (len(made), 1))
    return Forecasts(made, made, np.full(len(made), 0.02), widths)


def scored_rows(rows: int = 600) -> tuple[Any, Floats, Forecasts, Floats]:
    """Return sessions, closes, forecasts and naive forecasts of a market that wanders."""
    draws = np.random.default_rng(0)
    closes = 100 * np.exp(np.cumsum(draws.normal(0, 0.02, rows + 1)))
    actual, naive = closes[1:], closes[:-1]
    made = naive * (1 + draws.normal(0, 0.005, rows))
    sessions = pd.bdate_range(end="2025-11-21", periods=rows).to_numpy("datetime64[D]")
    return sessions, actual, forecasts_around(made), naive


def scores_of(actual: Floats, made: Forecasts, naive: Floats) -> Scores:
    """Return scores as `evaluate` does."""
    rmse = metrics.rmse(actual, made.forecast)
    naive_rmse = metrics.rmse(actual, naive)
    return Scores(
        test_rows=len(actual),
        rmse=rmse,
        naive_rmse=naive_rmse,
        drift_rmse=naive_rmse,
        ar1_rmse=naive_rmse,
        network_rmse=naive_rmse,
        mae=metrics.mae(actual, made.forecast),
        naive_mae=metrics.mae(actual, naive),
        mape_pct=metrics.mape_pct(actual, made.forecast),
        naive_mape_pct=metrics.mape_pct(actual, naive),
        mase=1.01,
        direction_acc=metrics.direction_acc(actual, made.forecast, naive),
        dm_p_value=metrics.diebold_mariano(actual, made.forecast, naive).p_worse,
        coverage_80=0.79,
        coverage_95=0.948,
        width_80=5.1,
        width_95=8.2,
        rmse_over_naive=rmse / naive_rmse,
        skill=1 - rmse / naive_rmse,
        interval_score_95_pct=6.5,
        pinball_pct=0.5,
        ewma_interval_score_95_pct=7.0,
        ewma_pinball_pct=0.51,
        ewma_coverage_95=0.93,
        interval_skill_95=1 - 6.5 / 7.0,
        reference_skill_95=1 - 6.5 / 6.6,
        references={
            name: ReferenceScores(
                interval_score_80_pct=4.5, interval_score_95_pct=score, pinball_pct=0.5, coverage_95=0.94
            )
            for name, score in (("constant", 8.0), ("closes", 6.9), ("range", 6.6), ("garch", 6.7))
        },
    )


def evaluated(folder: Folder, ticker: str, findings: Sequence[Finding] = ()) -> None:
    """Write a unit up to `evaluate`, with real pictures."""
    sessions, actual, made, naive = scored_rows()
    scores = scores_of(actual, made, naive)
    write(
        folder,
        "ingest",
        files={"raw.parquet": b"", FILE: SnapshotRecord(CURRENCY, CURRENCY).to_json()},
        tags={"source": "sample"},
    )
    write(folder, "validate", metrics={"sessions": 3000.0}, findings=findings)
    write(folder, "split_scale")
    write(folder, "window")
    curves = {"loss": [2.0, 1.2, 1.1], "val_loss": [1.9, 1.3, 1.4]}
    write(
        folder, "train", curves=curves, metrics={"weight": 0.25},
        files={"loss.png": plots.loss_curves(curves, 2, ticker)},
    )  # fmt: skip
    tested = range(len(actual) - 400, len(actual))
    write(
        folder, "evaluate", metrics=scores.metrics(),
        tags={"reference": "EWMA of the range", "candidate": "network"},
        files={
            "metrics.json": scores.to_json(),
            "predictions.parquet": frame_bytes(pd.DataFrame({"close": actual})),
            "close.png": plots.closes(sessions, actual, tested, ticker, CURRENCY),
            "forecast.png": plots.actual_and_forecast(sessions, actual, made, scores, ticker, CURRENCY),
            "intervals.png": plots.intervals(
                sessions, actual, made, scores, ticker, reference="EWMA of the range"
            ),
            "residuals.png": plots.residuals(sessions, actual, made.forecast, naive, ticker, CURRENCY),
        },
    )  # fmt: skip


def served(folder: Folder, *, promoted: bool, said: str = "") -> None:
    """Write the rest of a unit: promoted as its ticker's first model, or refused beside v3."""
    version = 1 if promoted else 3
    decision = _decision(promoted=promoted, said=said)
    released = Released(version=1 if promoted else 4)
    write(
        folder, "promote", files={"decision.json": decision.to_json()}, results=Results(released=released)
    )  # fmt: skip
    row = ROW.model_copy(
        update={
            "version": version, "currency": CURRENCY, "last_close": 102.0, "forecast": 102.5, "low_80": 99.1,
            "high_80": 105.9, "low_95": 97.0, "high_95": 108.2,
        }
    )  # fmt: skip
    night = Served(forecast=row, live={"20": None, "60": None})
    if not promoted:
        night = Served(forecast=row, scored=_scored(row), live={"20": LIVE, "60": None})
    write(folder, "forecast", files={"forecast.json": night.to_json()}, results=Results(recorded=row, ledger_head=HEAD))


def _decision(*, promoted: bool, said: str) -> Decision:
    """Return a decision of two rules; a refused version differs from the champion in data, parameters and versions."""
    rules = (
        Rule(
            name="data", says="No critical finding in the prices", value="0 critical, 1 warning(s)",
            limit="0 critical, no fault", passed=True,
        ),
        Rule(
            name="rmse", says="RMSE must not lie above naive's", value="1.0153 x naive",
            limit=f"1.0100 x naive{said}", passed=promoted,
        ),
    )  # fmt: skip
    if promoted:
        return Decision(promoted=True, policy="unless_worse", champion=None, rules=rules)
    changes = Changes(
        data={"as_of": ("2025-11-20", "2025-11-21"), "data_sha256": ("a" * 64, "c" * 64)},
        parameters={"epochs": ("80", "3")},
        versions={"code": ("0123456789ab", "ba9876543210"), "keras": (None, "3.15.1")},
    )
    return Decision(promoted=False, policy="unless_worse", champion=3, rules=rules, champion_rmse=2.5, changes=changes)


def _scored(row: ForecastRecord) -> ScoredForecast:
    """Return the forecast before `row`, beside the close that came."""
    before = row.model_copy(update={"session": dt.date(2025, 11, 21)})
    return ScoredForecast(
        **before.model_dump(), factor=1.0, close=102.0, error=0.5, inside_80=True, inside_95=True, ago=0,
        late=False,
    )  # fmt: skip


def warning(said: str = "") -> Finding:
    """Return a finding with everything that one can have."""
    return Finding(
        rule=f"Volume should not be zero{said}", severity="warning", observed="2 rows", limit="0 rows",
        rows=("2024-03-28", "2024-03-29"), todo="Look at the source.",
    )  # fmt: skip


def failed(folder: Folder, said: str = "") -> None:
    """Write a unit that ended in its first step."""
    found = Finding(rule=f"A price file needs a close{said}", severity="critical", observed="'Date'", todo="Add it.")
    write(folder, "ingest", findings=(found,))


def section_of(settings: Settings, plan: Plan, ticker: str) -> Section:
    """Return a ticker's section as the runner makes it."""
    folder = unit_folder(settings.store_url, ticker, plan)
    return report.section(ticker, folder, [folder.manifest(step.name) for step in FLOW], "r" * 32)


def skill_picture(ticker: str) -> Picture:
    """Return the skill of 30 runs."""
    days = pd.bdate_range(end="2025-11-21", periods=30)
    drawn = np.random.default_rng(1).normal(0, 0.004, len(days))
    return Picture(
        "skill", plots.skills({day.date(): float(one) for day, one in zip(days, drawn, strict=True)}, ticker)
    )
