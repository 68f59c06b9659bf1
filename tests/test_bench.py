"""The benchmarks run: each at its smallest size, in a process of its own. Their figures are for people."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def ran(*words):
    """Return what a benchmark printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_published_recipe_beside_ours(test_data, tmp_path):
    """The losses agree, which the benchmark checks itself."""
    words = [str(test_data / "NFLX.csv"), "--epochs", "1", "--pairs", "1", "--backends", "tensorflow"]
    out = ran("bench/recipe.py", *words, "--json", str(tmp_path / "figures.json"))
    assert "tensorflow 1 epochs: plain" in out.replace("  ", " ")
    assert (tmp_path / "figures.json").exists()


@pytest.mark.parametrize("script", ["bench", "gpu", "night", "panel", "recipe", "windows"])
def test_each_script_says_how_it_is_called(script):
    """`--help` imports what the script needs."""
    assert "usage:" in ran(f"bench/{script}.py", "--help")
