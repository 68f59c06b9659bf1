"""Scores of the preset `daily` on a folder of price files: `make bench-panel PRICES=folder AS_OF=2020-12-11`.

One network is trained for all files, and evaluated as a night does it. Nothing is chosen on test rows. The columns that
end in "/ ewma" and "/ ref" divide a score by that of the EWMA of closes, calibrated once, and of the best simple
reference, both computed here on the same rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline import calendar
from pipeline.forecasting import inference, target, windows
from pipeline.forecasting.backtest import backtest, scored
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import History, fit
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import borders_of, common_borders, split, split_at
from pipeline.forecasting.windows import FittedRows
from pipeline.prices.clean import clean
from pipeline.prices.sources import files
from pipeline.settings import load_settings
from pipeline.settings.preset import Preset

_CALENDAR = "XNYS"


class Ticker(NamedTuple):
    """One price file."""

    name: str
    sessions: np.ndarray
    bars: Bars
    fitted: FittedRows


def main() -> None:
    """Print a row for each ticker and seed, and the aggregate of each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prices", type=Path)
    parser.add_argument("as_of", type=dt.date.fromisoformat)
    parser.add_argument("--preset", default="daily")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    asked = parser.parse_args()
    preset = load_settings().presets[asked.preset]
    tickers = _tickers(asked.prices, asked.as_of, preset)
    print(f"{len(tickers)} tickers, preset {asked.preset}, as of {asked.as_of}")
    for seed in asked.seeds:
        started = time.perf_counter()
        table = _scores(tickers, preset.model_copy(update={"seed": seed}))
        seconds = time.perf_counter() - started
        print(f"\nseed {seed}: {seconds:.0f} s\n{table.round(4).to_string()}")
        print(f"\nseed {seed}, aggregate\n{_aggregate(table).round(4).to_string()}")


def _tickers(folder: Path, as_of: dt.date, preset: Preset) -> list[Ticker]:
    read = []
    for path in sorted(folder.glob("*.csv")):
        raw = files.fetch(path.stem, None, as_of, path=path)
        prices = clean(raw, calendar.sessions(_CALENDAR, raw.index[0].date(), as_of, ())).prices
        bars = Bars(*(prices[name].to_numpy("float64") for name in Bars._fields))
        sessions = prices.index.to_numpy("datetime64[D]")
        parts = split(len(sessions), preset.train_fraction, preset.validation_fraction)
        read.append(Ticker(path.stem, sessions, bars, FittedRows(parts, windows.windows_of(parts, preset))))
    borders = common_borders([borders_of(one.sessions, one.fitted.split) for one in read])
    cut = []
    for one in read:
        parts = split_at(one.sessions, borders)
        cut.append(one._replace(fitted=FittedRows(parts, windows.windows_of(parts, preset))))
    return cut


def _scores(tickers: list[Ticker], preset: Preset) -> pd.DataFrame:
    histories = [
        History(
            ticker=one.name,
            calendar=_CALENDAR,
            currency="",
            bars=one.bars,
            scaler=fit_scaler(target.to_values(one.bars.close[: one.fitted.split.test], preset.target), preset.scaler),
            laid=one.fitted.windows,
            cutoff=str(one.sessions[one.fitted.split.test - 1]),
            train_stop=one.fitted.split.test,
        )
        for one in tickers
    ]
    trained, recipes = fit(histories, preset, preset_name="bench")
    print(f"trained in {trained.fit_seconds:.0f} s, best epoch {trained.best_epoch}; loss {trained.curves}")
    rows = {}
    for one, recipe in zip(tickers, recipes, strict=True):
        tested = backtest(inference.as_loaded(trained.network, recipe), recipe, one.bars, one.fitted, preset)
        scores = scored(tested, one.bars.close[: one.fitted.split.test])
        rows[one.name] = {
            "rows": scores.test_rows,
            "rmse / naive": scores.rmse_over_naive,
            "p worse": scores.dm_p_value,
            "interval / ewma": scores.interval_score_95_pct / scores.ewma_interval_score_95_pct,
            "interval / ref": scores.interval_score_95_pct / scores.reference_interval_score_95_pct,
            "pinball / ewma": scores.pinball_pct / scores.ewma_pinball_pct,
            "pinball / ref": scores.pinball_pct / scores.reference_pinball_pct,
            "coverage": scores.coverage_95,
            "good windows": scores.good_windows_95,
            "weight": recipe.weight,
            "network's scale": recipe.distribution.scale_weights[1] if recipe.distribution else 0.0,
            "reference": tested.reference_name,
        }
    return pd.DataFrame(rows).T.infer_objects()


def _aggregate(table: pd.DataFrame) -> pd.DataFrame:
    figures = table.drop(columns="reference").astype("float64")
    return pd.DataFrame(
        {
            "median": figures.median(),
            "mean": figures.mean(),
            "lowest": figures.min(),
            "highest": figures.max(),
        }
    )


if __name__ == "__main__":
    main()
