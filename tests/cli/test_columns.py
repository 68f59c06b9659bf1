"""Plain columns."""

from pipeline.cli.columns import columns


def test_cells_are_aligned():
    """Numbers to the right; no line ends with spaces."""
    rows = [("name", "n", "x"), ("a", "10", ""), ("bcdef", "7", "y")]
    assert list(columns(rows, right=frozenset({1}))) == ["name    n  x", "a      10", "bcdef   7  y"]
