"""The model card of a ticker."""

import datetime as dt
import json

from pipeline.evaluation.scores import Scores
from pipeline.plan import make_plan
from pipeline.serving.model_card import model_card
from tests.support.nights import folder_of_run, logged_runs

NOW = dt.datetime(2025, 11, 24, 23, tzinfo=dt.UTC)


def test_the_card_has_data_cutoff_figures_use_and_limits(tiny, one_night):
    """The figures are those of metrics.json; an unknown currency is called so."""
    plan = make_plan(tiny, "manual__1", now=NOW, moment=NOW, overrides={})
    (run,) = {run.data.tags["dag_run_id"] for run in logged_runs(one_night).runs if "dag_run_id" in run.data.tags}
    scores = Scores.from_json(folder_of_run(one_night, run).read("metrics.json"))
    card = model_card(plan, "AAA", first_session="2022-01-03", cutoff="2025-11-21", currency="", scores=scores)
    for words in (
        "Forecasts the next close of **AAA**",
        "| data | source sample, 2022-01-03 to 2025-11-21, currency unknown",
        "Synthetic prices",
        "| cutoff | 2025-11-21",
        "| intended use |",
        "| limits | No advice to trade",
    ):
        assert words in card
    stored = json.loads(folder_of_run(one_night, run).read("metrics.json"))
    assert f"skill {stored['skill']:+.4f} against naive" in card
