"""The tree of errors: three lines, exit codes, and text without secrets."""

import pickle

import pytest

from pipeline import errors
from pipeline.errors import DataError, PipelineError, Unavailable, UsageError, without_secrets


def test_a_message_has_three_lines_whatever_its_parts_hold():
    """Rule, received value, next step; line breaks and runs of spaces in a part become one space."""
    error = DataError("A rule.", "two\nlines  here", " Do this. ")
    assert str(error) == "A rule.\nReceived: two lines here\nTo do: Do this."
    assert (error.rule, error.received, error.todo) == ("A rule.", "two lines here", "Do this.")


def test_wrong_usage_exits_with_2_and_all_other_errors_with_1():
    """Only an unavailable service is worth a retry."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)]
    assert len(kinds) == 12
    for kind in kinds:
        assert kind.exit_code == (2 if kind is UsageError else 1)
        assert kind.retryable is (kind is Unavailable)


def test_an_error_survives_a_process_boundary():
    """Airflow and multiprocessing pickle exceptions."""
    error = pickle.loads(pickle.dumps(UsageError("A rule.", "a value", "Do this.")))  # noqa: S301
    assert str(error) == str(UsageError("A rule.", "a value", "Do this."))


@pytest.mark.parametrize(
    ("text", "url", "clean"),
    [
        ("no answer of http://u:geheim@host:1/b", "", "no answer of http://host:1/b"),
        ('"k:geheim@b" was refused', "s3://k:geheim@b/x", '"b" was refused'),
        ("nothing to hide at file:///a@b", "", "nothing to hide at file:///a@b"),
    ],
)
def test_a_login_is_removed_from_an_error(text, url, clean):
    """From every address in the text, and wherever the login of the given address is repeated."""
    assert without_secrets(text, url) == clean
