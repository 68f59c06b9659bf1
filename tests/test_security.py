"""What comes from forms, files and command lines stays in its place: tried with what attackers try."""

import json
from pathlib import Path

import keras
import pytest

from pipeline import runs
from pipeline.errors import UsageError
from pipeline.forecasting import model
from pipeline.settings import load_settings

HOSTILE = (
    "../../etc/passwd", "..", ".", "/etc/passwd", "..\\..\\boot.ini", "%2e%2e%2f", "_runs", "_ledger/x", "AAA/../BBB",
    "AAA\n", "AAA\0", "", " ", "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "AAA&&touch pwned",
    "' OR '1'='1", "AAA'; DROP TABLE runs; --", '" OR ""="', "{{ 7 * 7 }}", "{% raw %}", "${7*7}", "<script>alert(1)",
    "file:///etc/passwd", "http://127.0.0.1/", "s3://bucket/x", "\u202eAAA", "\uff21\uff21\uff21", "A" * 33,
)  # fmt: skip


def everything_in(folder):
    """Return each path below a folder."""
    return sorted(str(path) for path in Path(folder).rglob("*"))


@pytest.mark.parametrize("words", HOSTILE)
def test_a_ticker_that_is_none_never_becomes_a_path(tiny, tmp_path, words):
    """Refused by name before anything is written, wherever the list comes from."""
    before = everything_in(tmp_path)
    with pytest.raises(UsageError, match="ticker"):
        runs.plan(load_settings(tickers=[words]), "manual__1")
    assert everything_in(tmp_path) == before
    assert not Path(tiny.store_url).exists()


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("parameter", ["source", "preset", "start", "as_of", "fault"])
@pytest.mark.usefixtures("tiny")
def test_no_other_parameter_of_the_form_takes_such_words(parameter, words, tmp_path):
    """As the DAG hands them over: refused, in three lines, with nothing written."""
    with pytest.raises(UsageError) as refused:
        runs.plan(load_settings(tickers=["AAA"], **{parameter: words}), "manual__1")
    assert len(str(refused.value).splitlines()) == 3
    assert not [path for path in everything_in(tmp_path) if "pwned" in path or "manual__1" in path]


@pytest.mark.parametrize("words", HOSTILE)
def test_a_runs_name_never_leaves_the_store(tiny, tmp_path, words):
    """Airflow refuses most of them itself; here each is refused, or is a folder of that many plain letters."""
    try:
        (batch,) = runs.plan(load_settings(tickers=["AAA"]), words)
    except UsageError:
        return
    assert set(batch["run"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    inside = str(tiny.var_dir)
    assert all(path.startswith(inside) for path in everything_in(tmp_path))


@pytest.mark.usefixtures("tiny")
def test_two_names_that_would_share_a_folder_are_told():
    """Signs are left out of folder names; a second run is not taken for a retry of the first."""
    runs.plan(load_settings(tickers=["AAA"]), "manual__1.a")
    with pytest.raises(UsageError, match="share a folder"):
        runs.plan(load_settings(tickers=["AAA"]), "manual__1:a")


@pytest.mark.parametrize(
    "overrides",
    [
        {"__class__": "x"},
        {"epochs": "__import__('os').system('touch pwned')"},
        {"cell": "../../x"},
        {"units": ["{{ 7 * 7 }}"]},
        {"epochs": 10**9},
        {"lookback": 10**9},
        {"learning_rate": "nan"},
    ],
    ids=json.dumps,
)
@pytest.mark.usefixtures("tiny")
def test_overrides_are_fields_of_a_preset_and_nothing_else(overrides):
    """Checked by type and bounds, never evaluated."""
    with pytest.raises(UsageError):
        runs.plan(load_settings(tickers=["AAA"]), "manual__1", overrides=overrides)
    assert not Path("pwned").exists()


def test_code_hidden_in_a_model_file_is_not_run(tmp_path, monkeypatch):
    """Keras keeps a lambda as bytecode; loading it is refused."""
    monkeypatch.chdir(tmp_path)
    trap = keras.layers.Lambda(lambda x: Path("pwned").touch() or x)
    keras.Sequential([keras.Input((1,)), trap]).save("model.keras")
    Path("pwned").unlink()  # Keras has called it to learn its shape: it does work
    with pytest.raises(ValueError, match="Lambda"):
        model.load(tmp_path / "model.keras")
    assert not Path("pwned").exists()


def test_nothing_of_ours_is_a_pickle():
    """Neither written nor read: not in the package, and numpy is told so."""
    texts = {path: path.read_text() for path in Path("pipeline").rglob("*.py")}
    assert texts
    found = [str(path) for path, text in texts.items() if "import pickle" in text or "allow_pickle=True" in text]
    assert found == []
