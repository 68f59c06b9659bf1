"""The flow: order of the steps and the files that each of them reads."""

from pipeline.steps import FLOW


def test_the_steps_are_in_order():
    """Their names are in every log, file and page, so they stay."""
    names = [step.name for step in FLOW]
    assert names == ["ingest", "validate", "split_scale", "window", "train", "evaluate", "promote", "forecast"]


def test_only_the_first_step_reads_no_file():
    """Every later step depends on a file of a step before it."""
    assert [step.name for step in FLOW if not step.reads + step.may_read] == ["ingest"]


def test_only_validate_judges_by_the_suite():
    """A change of the suite repeats `validate` and what depends on it."""
    assert [step.name for step in FLOW if step.judges] == ["validate"]
