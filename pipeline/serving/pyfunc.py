"""The model that MLflow serves: the last raw closes in, the next session's forecast out.

MLflow stores this file and runs it when the model is loaded ("models from code"), so no object of ours is pickled.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from pipeline import calendar
from pipeline.errors import DataError
from pipeline.forecasting import forecaster, inference
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.recipe import Recipe

if TYPE_CHECKING:
    from mlflow.pyfunc import PythonModelContext


class ClosecastModel(PythonModel):
    """One ticker's network with its scaler, its weight and its intervals."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network and the recipe that `train` wrote."""
        self.recipe = Recipe.from_json(Path(context.artifacts["recipe"]).read_bytes())
        self.network = inference.load(Path(context.artifacts["network"]).read_bytes(), self.recipe)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Forecast the close of the session after the last row.

        Args:
            context: unused.
            model_input: columns `open`, `high`, `low` and `close` in the currency of the training, oldest first, at
                least as many rows as `lookback` and one; `close` alone for a preset of output `point`. Column `session`
                (dates) if the forecast is to name its session; column `ticker` if rows should say whose they are.
            params: `every_session`: forecast after each row that has enough rows before it, not after the last only.

        Returns:
            `ticker`, `session` (a date; empty without dates), `currency` (empty if it is unknown), `forecast`, the
            bounds of its 50, 80 and 95 % intervals (`low_50`, ...), `scale`, and its quantiles `q05` to `q95`.

        Raises:
            MlflowException: too few closes, one that is not above 0, sessions not ascending, missing in some rows, no
                dates or none that the calendar knows the next one of, rows of another ticker.
        """
        del context
        try:
            return self._forecasts(model_input, every_session=bool((params or {}).get("every_session")))
        except DataError as error:  # MLflow's server shows the text of this one kind of error
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _forecasts(self, model_input: pd.DataFrame, *, every_session: bool) -> pd.DataFrame:
        self._check_ticker(model_input)
        bars = self._bars(model_input)
        stop = len(bars.close) + 1
        first = self.recipe.first_forecast if every_session else len(bars.close)
        sessions = self._sessions(model_input, first, stop)
        made = forecaster.forecast(self.network, bars, range(first, stop), self.recipe)
        forecasts = pd.DataFrame(made.columns())
        forecasts.insert(0, "currency", self.recipe.currency)
        forecasts.insert(0, "session", sessions)
        forecasts.insert(0, "ticker", self.recipe.ticker)
        return forecasts

    def _bars(self, rows: pd.DataFrame) -> Bars:
        closes = rows["close"].to_numpy("float64")
        if self.recipe.distribution is None:
            return Bars.of_closes(closes)
        opened, high, low = (rows[name].to_numpy("float64") for name in ("open", "high", "low"))
        return Bars(opened, high, low, closes)

    def _check_ticker(self, rows: pd.DataFrame) -> None:
        if "ticker" in rows and (others := set(rows["ticker"].dropna()) - {self.recipe.ticker}):
            raise DataError(
                f"This model forecasts {self.recipe.ticker} only.",
                f"rows of {', '.join(sorted(map(str, others))[:5])}",
                "Ask the model of that ticker.",
            )

    def _sessions(self, rows: pd.DataFrame, first: int, stop: int) -> list[str]:
        """Return the date of each forecast row: that of the input row, and the calendar's next after the last."""
        known = _days(rows)
        if not known:
            return [""] * (stop - first)
        following = calendar.next_session(self.recipe.calendar, known[-1])
        return [str(day) for day in [*known, following][first:stop]]


def _days(rows: pd.DataFrame) -> list[dt.date]:
    """Return the date of each row, shape (n,); empty if the rows have no dates.

    Raises:
        DataError: a row without a date among others that have one, a value that is not a whole date, or another order.
    """
    dates = rows["session"].dropna() if "session" in rows else ()
    if len(dates) not in {0, len(rows)}:
        raise DataError(
            "Either each row has a session, or none has.",
            f"{len(rows) - len(dates)} of {len(rows)} rows without one",
            "Send the date of each row, or leave the column out.",
        )
    try:  # strict: pandas reads 2025 as New Year's Day
        days = [dt.datetime.fromisoformat(str(day)).date() for day in dates]
    except ValueError as error:
        raise DataError("Each session must be a date such as 2025-11-21.", str(error), "Correct it.") from None
    if days != sorted(set(days)):
        raise DataError("Rows must ascend by session, each once.", "another order", "Send the oldest first.")
    return days


mlflow.models.set_model(ClosecastModel())
