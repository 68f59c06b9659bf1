"""The end of a run: failures, links, and counts in the last line."""

import json

from pipeline.reporting.closing import closing, closing_of, results_json
from pipeline.reporting.results import results_of
from tests.support.past_runs import row

ROWS = [row(), row("BBB", decision="", reason="no close column", skill=None)]
LINKS = {"Report": "/store/report.html", "MLflow": "http://127.0.0.1:5000/#/run", "Airflow": ""}


def test_the_counts_are_the_last_line():
    """Failures come first, then the command that repeats them, then the places that exist."""
    lines = list(closing("local__1", ROWS, LINKS).lines)
    assert lines == [
        "BBB failed in forecast. no close column",
        "To repeat what failed: closecast retry local__1",
        "Report: /store/report.html",
        "MLflow: http://127.0.0.1:5000/#/run",
        "2 ticker(s): 1 done, 1 failed; 1 promoted, 0 refused; 0 warning(s); 4 s of work.",
    ]
    assert len(list(closing("local__1", ROWS[:1], {}).lines)) == 1


def test_results_json_has_the_same():
    """Counts, failures, links and rows; that of an earlier version has the rows alone."""
    end = closing("local__1", ROWS, LINKS)
    written = results_json(end, ROWS)
    assert closing_of(written, "local__1") == end
    assert results_of(written) == ROWS
    assert json.loads(written)["counts"]["failed"] == 1
    old = json.dumps([one._asdict() for one in ROWS]).encode()
    assert results_of(old) == ROWS
    assert closing_of(old, "local__1") == end._replace(links={})


def test_a_ticker_that_waits_is_counted_and_its_question_is_shown():
    """Neither done nor failed. A run in which every ticker ended has the line as before."""
    end = closing("manual__1", [row(), row("CCC", decision="", skill=None)._replace(waiting="2 closes differ")], {})
    assert list(end.lines) == [
        "CCC waits for a decision. 2 closes differ",
        "2 ticker(s): 1 done, 0 failed, 1 waiting; 1 promoted, 0 refused; 0 warning(s); 4 s of work.",
    ]
    assert "waiting" not in closing("manual__1", ROWS, {}).counts.line
