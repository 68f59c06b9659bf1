"""The pieces of a replay: a planted leak is named, and the number of nights in a piece changes nothing."""

import numpy as np
import pandas as pd
import pytest

from pipeline.replay import night, prices, work
from tests.support.replays import NIGHTS, files_of, replay_of


def test_the_size_of_a_piece_changes_nothing(tiny, monkeypatch):
    """Each begins from the state that the one before wrote."""
    whole = replay_of(tiny, policies=("unless_worse", "if_better"))
    monkeypatch.setattr(work, "NIGHTS", 3)
    cut = replay_of(tiny.model_copy(update={"var": tiny.var_dir / "cut"}), policies=("unless_worse", "if_better"))
    ledgers = [{name: data for name, data in files_of(one.home).items() if "ledger" in name} for one in (whole, cut)]
    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) == 4
    assert (whole.made.checked, cut.made.checked) == (1, 3)


def test_a_row_after_the_night_is_named(tiny, monkeypatch):
    """The training and the forecast know the next session."""
    validated = prices.validated

    def early(raw, plan):
        found = validated(raw, plan)
        after = raw[raw.index > pd.Timestamp(plan.as_of)]
        if found is None or after.empty:
            return found
        closes = np.append(found.bars.close[:-1], after["close"].iloc[0])
        return found._replace(bars=found.bars._replace(close=closes))

    monkeypatch.setattr(prices, "validated", early)
    made = replay_of(tiny, NIGHTS[0], NIGHTS[3]).made
    assert made.leak == "AAA: the prices of the training of 2025-11-12 change with later ones"


@pytest.mark.parametrize("field", ["forecast", "low_95"])
def test_a_forecast_that_knows_later_prices_is_named(tiny, monkeypatch, field):
    """With the night, the contender, and both values."""
    record = night.forecast_record
    known = []

    def early(ticker, plan, currency, version, champion, prices):
        made = record(ticker, plan, currency, version, champion, prices)
        known.append(0)
        return made.model_copy(update={field: getattr(made, field) + len(known)})

    monkeypatch.setattr(night, "forecast_record", early)
    leak = replay_of(tiny, NIGHTS[0], NIGHTS[1]).made.leak
    assert leak.startswith(f"AAA 2025-11-13, unless_worse: {field} ")
