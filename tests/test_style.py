"""Language, density and layout keep their limits: `python -m tests.support.style_counts` names the places."""

import pytest

from tests.support import style_counts


@pytest.fixture(scope="module")
def found():
    """Return the counts of this checkout."""
    return style_counts.counts()


def test_the_whole_package_is_counted(found):
    """Otherwise every limit below would hold."""
    assert found.words > 5_000
    assert found.lines > 5_000


def test_comments_rarely_say_what_is(found):
    """Below 0.5 per 1,000 words: the subject comes first."""
    assert found.what_is_rate < 0.5, found.what_is


def test_comments_rarely_say_told(found):
    """Below 0.3 per 1,000 words: raise, return, send, log and skip say more."""
    assert found.told_rate < 0.3, found.told


def test_one_assignment_per_line(found):
    """Below 2 per 1,000 lines have a tuple on both sides, true pairs included."""
    assert found.parallel_rate < 2, found.parallel_assignments


def test_no_conditional_expression_is_inside_another(found):
    """An if statement shows the order of the cases."""
    assert found.nested_conditionals == []


def test_few_modules_are_beside_the_folders(found):
    """At most 12 without `__init__`: a new file belongs to a folder."""
    assert 1 <= len(found.top_modules) <= 12, found.top_modules


def test_no_file_is_long(found):
    """At most 300 lines in pipeline/ and dags/."""
    assert found.long_files == []


def test_each_module_has_its_test_module(found):
    """`pipeline/prices/clean.py` is tested by `tests/prices/test_clean.py`."""
    assert found.untested == []


def test_the_counts_find_what_they_count():
    """One line of each kind, and lines beside them that are allowed."""
    source = (
        '"""What is told."""\n'
        "a, b = 1, 2\n"
        "low, high = bounds()\n"
        "c = 1 if a else 2 if b else 3\n"
        "d = 1 if a else 2  # what the telling comment says\n"
        "e = 'what is told'\n"
    )
    assert style_counts.sentences(source) == [(5, " what the telling comment says"), (1, "What is told.")]
    assert len(style_counts.WHAT_IS.findall("What is it? what was, what were")) == 2
    assert len(style_counts.TOLD.findall("Told, tells, teller, foretold")) == 2
    assert style_counts.parallel_assignments(source) == [2]
    assert style_counts.nested_conditionals(source) == [4]
