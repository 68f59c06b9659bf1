"""The name under which models of earlier code import the forecaster."""

import json

import pipeline
from pipeline.forecasting import forecaster
from tests.forecasting.test_forecaster import RECIPE


def test_a_recipe_is_made_of_old_names():
    """As the code of such a model does, with the fields of its recipe.json."""
    values = json.loads(RECIPE.to_json())
    values["cutoff_close_usd"] = values.pop("cutoff_close")
    assert pipeline.forecaster.Recipe(**values).cutoff_close == RECIPE.cutoff_close
    assert pipeline.forecaster.forecast is forecaster.forecast
