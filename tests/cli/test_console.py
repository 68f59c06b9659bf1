"""What a person at a terminal sees."""

import datetime as dt
import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli import console
from pipeline.cli.preflight import check
from pipeline.ladder import Rung
from pipeline.outcome import Finding, Manifest, Outcome
from pipeline.reporting.closing import closing
from pipeline.reporting.results import Result
from pipeline.reporting.verdict import interval_verdict, verdict

DONE = Result(
    "GOOD", 3038, 608, 13.6569, 13.5442, -0.0083, 12.3, "a" * 32, "forecast", "", ("odd volume",), currency="JPY",
    rmse_over_naive=1.0083, dm_p_value=0.04, coverage_95=0.951, weight=1.0, decision="refused",
    decision_reason="refused: naive p 0.0400 (limit: p at least 0.05)", refused_by=("rmse",),
    no_forecast="no champion yet", interval_skill_95=0.0764, reference_skill_95=0.008, candidate="network",
)  # fmt: skip
FAILED = Result("BAD", None, None, None, None, None, 0.1, "b" * 32, "ingest", "no close column", ())


@pytest.fixture
def screen():
    """Return a terminal whose text can be read."""
    return Console(file=io.StringIO(), force_terminal=True, width=150, color_system=None)


def manifest(*findings):
    """Return a step that ended."""
    return Manifest(
        step="train", key="k", inputs={}, outputs={}, outcome=Outcome(findings=findings),
        started=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), seconds=1.0, peak_memory_mb=1.0, versions={},
    )  # fmt: skip


def test_the_table_has_errors_beside_naive_and_names_what_failed(screen, tiny):
    """Figures of the good ticker, the failed one, the warning, and the word SYNTHETIC."""
    console.show_results(screen, check(tiny), [DONE, FAILED])
    text = " ".join(screen.file.getvalue().split())  # the sentence is longer than a line
    for words in (
        "13.6569 JPY", "13.5442 JPY", "0.924 0.992", "1.0083", "95.1%", "median", "a" * 32, "SYNTHETIC", "odd volume",
        "GOOD refused: naive p 0.0400", "GOOD has no forecast: no champion",
        verdict([DONE, FAILED]),
    ):  # fmt: skip
        assert words in text


def test_a_failure_is_printed_once_near_the_end(screen, tiny):
    """After the table and its legend; a table without a figure has no legend. The counts are the last line."""
    console.show_results(screen, check(tiny), [FAILED])
    console.show_closing(screen, closing("manual__1", [FAILED], {"Report": "/r.html"}), Path("/l.log"))
    text = screen.file.getvalue()
    assert text.count("BAD failed in ingest. no close column") == 1
    assert "naive: RMSE" not in text
    assert "To repeat what failed: closecast retry manual__1" in text
    assert text.strip().splitlines()[-1].startswith("1 ticker(s): 0 done, 1 failed")


def test_a_long_link_is_one_line(screen):
    """Also on a narrow terminal, where a person clicks it."""
    link = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=last-night"
    screen.width = 80
    console.show_closing(screen, closing("manual__1", [DONE], {"MLflow": link}), Path("/l.log"))
    assert f"MLflow: {link}" in screen.file.getvalue().splitlines()


def test_a_narrow_terminal_keeps_every_figure(tiny):
    """80 columns: some columns go, nothing is cut off or folded."""
    narrow = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    forecast = DONE._replace(forecast=71234.5)
    console.show_results(narrow, check(tiny), [forecast, FAILED])
    text = narrow.file.getvalue()
    for words in (
        "13.6569 JPY",
        "13.5442 JPY",
        "71,234.50 JPY",
        "1.0083",
        "0.040",
        "95.1%",
        "refused",
        "p worse: ",
        "in 95%: ",
    ):
        assert words in text
    assert "skill" not in text  # what no column shows is not explained
    assert "weight: " not in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_prices_below_a_cent_are_not_cut_off(screen, tiny):
    """Their digits leave no room for every column of 150."""
    tiny_price = DONE._replace(rmse=1.1514e-7, naive_rmse=1.1514e-7, forecast=1.0867e-5, ticker="SHIB-USD")
    console.show_results(screen, check(tiny), [tiny_price])
    text = screen.file.getvalue()
    assert "0.00000011514 JPY" in text
    assert "0.000010867 JPY" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_significant_says_at_which_level(screen, tiny):
    """The verdict counts at 1 %, the gate refuses at a level of its own: p = 0.04 is refused and not counted."""
    plan = check(tiny)
    gate = plan.gate.model_copy(update={"significance": 0.07})
    console.show_results(screen, plan.model_copy(update={"gate": gate}), [DONE])
    text = " ".join(screen.file.getvalue().split())
    assert "worse: 1 (significantly at 1 %: 0)" in text
    assert "below 0.01 (at 1 %) significantly worse, refused below 0.07" in text


def test_the_second_line_says_what_the_intervals_are_worth(screen, tiny):
    """Beside the EWMA of closes, and beside the best reference."""
    console.show_results(screen, check(tiny), [DONE])
    assert interval_verdict([DONE]) in " ".join(screen.file.getvalue().split())


RUNGS = [
    Rung("AAA", "naive", 2.0, 0.0, currency="JPY"),
    Rung("AAA", "GJR-GARCH", 2.0, 0.0, currency="JPY", interval_score_95_pct=7.123, interval_skill_95=0.07,
         pinball_pct=0.4312, coverage_95=0.951),
    Rung("AAA", "GRU", 1234.5678, -0.0123, 0.4, 0.25, 12.3, "cpu", currency="JPY", interval_skill_95=0.081),
    Rung("BBB", "GRU", reason="no close column"),
]  # fmt: skip


def test_the_ladder_has_every_score_where_there_is_room(screen):
    """A reference has the scores of its intervals, a network also its weight; a rung without figures has a reason."""
    console.show_ladder(screen, RUNGS, {"GRU": -0.0123}, {"GRU": 0.081})
    text = " ".join(screen.file.getvalue().split())
    assert "AAA GJR-GARCH 2.0000 JPY +0.0000 - 7.123 0.930 0.4312 95.1% - - -" in text
    assert "AAA GRU 1,234.5678 JPY -0.0123 0.400 - 0.919 - - 0.25 12.3 cpu" in text
    assert "median GRU -0.0123 0.919" in text
    assert "BBB GRU: no close column" in text


def test_a_narrow_terminal_shows_a_shorter_ladder():
    """80 columns: some columns go, nothing is cut off."""
    narrow = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    console.show_ladder(narrow, RUNGS, {}, {})
    text = " ".join(narrow.file.getvalue().split())
    assert "AAA GRU 1,234.5678 JPY -0.0123 0.400 0.919 -" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_live_progress_names_step_epoch_and_loss(screen):
    """While a network trains, its epoch and loss stand on the screen; then its bar goes."""
    with console.LiveProgress(screen, tickers=1, steps=2) as live:
        live.started("NFLX", "train")
        live.epoch("NFLX", 3, 80, 0.25)
        live._bars.refresh()
        live.ended("NFLX", manifest(Finding(rule="r", severity="warning", observed="o")), reused=False)
    text = screen.file.getvalue()
    assert "NFLX train" in text
    assert "epoch 3/80 loss 0.250000" in text
    assert len(live._bars.tasks) == 1


def test_a_ticker_that_waits_has_its_word_in_the_table(screen, tiny):
    """It is neither failed nor refused; its question is printed once."""
    waiting = FAILED._replace(reason="", waiting="2 of 975 closes differ", step="validate")
    console.show_results(screen, check(tiny), [DONE, waiting])
    console.show_closing(screen, closing("manual__1", [DONE, waiting], {}), Path("/l.log"))
    text = screen.file.getvalue()
    (row,) = [line for line in text.splitlines() if "BAD" in line and "b" * 32 in line]
    assert "waiting" in row.split()
    assert text.count("BAD waits for a decision. 2 of 975 closes differ") == 1
    assert "Waiting for a decision: BAD." in " ".join(text.split())
