"""The differences of two runs: equal values are counted, other values have a line."""

import datetime as dt

import pandas as pd

from pipeline.prices.pieces import rows_sha256
from pipeline.reporting.difference import Line, data_difference, difference
from pipeline.reporting.recorded import Recorded
from pipeline.store.history import PastRun

DAYS = pd.DatetimeIndex(["2025-11-18", "2025-11-19"], name="session")


def run(**changed):
    """Return a plan."""
    parameters = {"preset.epochs": "80", "gate.tolerance": "0.01"}
    made = PastRun(
        run="r", dag_run_id="r", created=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), as_of=dt.date(2025, 11, 20),
        source="files", preset="daily", fault="", until="forecast", tickers=("AAA",), parameters=parameters,
    )  # fmt: skip
    return made._replace(**changed)


def unit(ticker="AAA", closes=(10.0, 11.0), **changed):
    """Return the record of a ticker."""
    prices = pd.DataFrame({"close": closes}, DAYS)
    made = Recorded(
        ticker=ticker, run=run(), data={"currency": "USD"}, snapshot=rows_sha256(prices),
        code={"code": "c1", "numpy": "2"}, decision={"result": "promoted"},
        scores={"rmse": 2.0, "skill": 0.1, "coverage_95": 0.95}, prices=lambda: prices,
    )  # fmt: skip
    return made._replace(**changed)


def compared(one, other, run_a=None, run_b=None):
    """Return the differences of one ticker's two records."""
    return difference("A", "B", run_a or run(), run_b or run(), [(one, other)], whole_runs=True)


def test_equal_runs_have_no_line():
    """Two parameters, one fact and the snapshot, two versions, one decision, three scores."""
    found = compared(unit(), unit())
    assert (found.lines, found.all_equal, found.counts) == ([], 2 + 2 + 2 + 1 + 3, {})


def test_each_difference_is_a_line_of_its_section():
    """A score is better or worse where the prices are equal; a missing value is None."""
    other = unit(
        code={"code": "c2", "numpy": "2"}, decision={"result": "refused"},
        scores={"rmse": 1.9, "skill": 0.05, "coverage_95": 0.95, "mase": 1.0},
    )  # fmt: skip
    found = compared(unit(), other, run_b=run(parameters={"preset.epochs": "5", "gate.tolerance": "0.01"}))
    assert found.lines == [
        Line("parameters", "preset.epochs", "80", "5"),
        Line("code", "code", "c1", "c2"),
        Line("decision", "result", "promoted", "refused"),
        Line("metrics", "rmse", 2.0, 1.9, "better"),
        Line("metrics", "skill", 0.1, 0.05, "worse"),
        Line("metrics", "mase", None, 1.0),
    ]
    assert found.counts == {"parameters": 1, "code": 1, "decision": 1, "metrics": 3}


def test_errors_of_other_prices_have_no_verdict():
    """The changed row is named; skill still compares."""
    one = unit()
    other = unit(closes=(10.5, 11.0), scores={"rmse": 1.9, "skill": 0.2, "coverage_95": 0.95})
    found = compared(one, other)
    lines = {line.name: line for line in found.lines}
    assert lines["closes"].rows == ("2025-11-18: 10 -> 10.5",)
    assert (lines["rmse"].verdict, lines["skill"].verdict) == ("", "better")
    assert "skill compares them" in found.tickers[0].note
    assert [line.name for line in data_difference("A", "B", (one, other)).lines] == ["snapshot", "closes"]


def test_lines_of_every_ticker_are_shown_once():
    """New code is new for all; a ticker of one run alone is named."""
    pairs = [(unit(name), unit(name, code={"code": "c2", "numpy": "2"})) for name in ("AAA", "BBB")]
    found = difference(
        "A", "B", run(tickers=("AAA", "BBB", "CCC")), run(tickers=("AAA", "BBB")), pairs, whole_runs=True
    )
    assert found.shared == (Line("parameters", "tickers of one side", "CCC", None), Line("code", "code", "c1", "c2"))
    assert [one.lines for one in found.tickers] == [(), ()]
