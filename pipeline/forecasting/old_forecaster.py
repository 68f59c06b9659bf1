"""What a model of earlier code finds as `pipeline.forecaster`: its recipe has names of today's recipe with `_usd`."""

from __future__ import annotations

from typing import Any

from pipeline.forecasting import recipe
from pipeline.forecasting.forecaster import first_forecast, forecast
from pipeline.old_names import present_names

__all__ = ["Recipe", "first_forecast", "forecast"]


def Recipe(**values: Any) -> recipe.Recipe:  # noqa: ANN401, N802 - called as the class was
    """Return the recipe from its fields under old or present names."""
    return recipe.Recipe(**present_names(values))
