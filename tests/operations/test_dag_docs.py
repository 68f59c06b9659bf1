"""What Airflow's pages say."""

import re

from pipeline.operations import dag_docs
from pipeline.steps import FLOW


def test_every_task_has_a_text():
    """A new step needs one; none is left over."""
    others = {"plan", "gather", "announce", "report", "look", "prune", "question", "ask", "finish"}
    assert set(dag_docs.TASKS) == {*others, *(step.name for step in FLOW)}


def test_the_text_of_retrain_names_this_deployment(tiny):
    """The flow, how to repeat a step, each task, and the addresses; nothing is left to fill in."""
    text = dag_docs.retrain_text(tiny)
    for words in (
        "plan -> [ ingest",
        "How to repeat a step",
        "What a red task means",
        tiny.store_url,
        "http://127.0.0.1:5000/#/",
    ):
        assert words in text
    for step in FLOW:
        assert re.search(rf"^\|[^|]*\b{step.name}\b", text, re.MULTILINE), step.name
    assert not re.search(r"\{\w*\}", text)


def test_the_text_of_watch_has_its_minutes(tiny):
    """As they are set."""
    assert f"{tiny.late_minutes} minutes after its close" in dag_docs.watch_text(tiny)


def test_the_text_of_prune_has_its_limits(tiny):
    """As they are set."""
    text = dag_docs.prune_text(tiny.model_copy(update={"keep_nights": 12, "keep_rows": 34}))
    assert "the last 12 nights" in text
    assert "the last 34 sessions" in text


def test_the_text_of_decide_has_its_hours(tiny):
    """As they are set, and where to answer."""
    text = dag_docs.decide_text(tiny.model_copy(update={"ask_hours": 12.0}))
    assert "up to 12 hours" in text
    assert "Required actions" in text
    assert dag_docs.ACCEPT in text
    assert dag_docs.REJECT in text
