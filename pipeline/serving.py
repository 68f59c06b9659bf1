"""The model that MLflow keeps: raw closes in, dollars out.

MLflow stores this file and runs it when the model is loaded ("models from code"), so no object of ours is pickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from pipeline import forecaster

if TYPE_CHECKING:
    from mlflow.pyfunc import PythonModelContext


class ClosecastModel(PythonModel):
    """One ticker's network with its scaler and its preset."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load what `train` wrote."""
        from pipeline import model

        self.network = model.load(Path(context.artifacts["network"]))
        self.recipe = forecaster.Recipe(**json.loads(Path(context.artifacts["recipe"]).read_text()))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: object = None) -> pd.DataFrame:
        """Forecast the close that follows each row that has enough rows before it.

        Args:
            context: unused.
            model_input: column `close` in dollars, ascending by session; (n,) rows.
            params: unused.

        Returns:
            Column `forecast_usd`: row i is the session after input row i; NaN where the history is too short.
        """
        del context, params
        closes = model_input["close"].to_numpy("float64")
        rows = range(forecaster.first_forecast(self.recipe), len(closes) + 1)
        forecasts = forecaster.forecast(self.network, closes, rows, self.recipe)
        return pd.DataFrame(
            {"forecast_usd": np.concatenate([np.full(len(closes) - len(forecasts), np.nan), forecasts])}
        )


mlflow.models.set_model(ClosecastModel())
