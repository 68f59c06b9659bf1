"""What makes a finished step worth nothing: other code, other pages, other rules."""

import json
import shutil

import pytest

from pipeline import runner, runs, versions
from pipeline.errors import DataError
from pipeline.settings import CHECKOUT, load_settings
from pipeline.store.formats import sha256
from pipeline.store.runs import read_plan, unit_folder


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("pipeline/steps/train.py", True),
        ("pipeline/pages/validation.html.j2", True),
        ("expectations/prices.json", False),
        ("README.md", False),
    ],
)
def test_the_version_of_the_code_is_that_of_modules_and_pages(tmp_path, monkeypatch, file, counts):
    """And of nothing else in the checkout."""
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("before")
    before = versions.code_version.__wrapped__()
    (tmp_path / file).write_text("after")
    assert (versions.code_version.__wrapped__() != before) is counts


def test_other_rules_check_the_prices_again(tiny, tmp_path, monkeypatch):
    """The suite that is read is that of CLOSECAST_HOME: what passed it is not taken over by stricter rules."""
    shutil.copy(CHECKOUT / "closecast.toml", tmp_path)
    shutil.copytree(CHECKOUT / "expectations", tmp_path / "expectations")
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    settings = load_settings(tickers=("AAA",))
    (batch,) = runs.plan(settings, "manual__rules")
    for step in ("ingest", "validate", "validate"):
        runner.run(step, batch, settings=settings)
    folder = unit_folder(tiny.store_url, "AAA", read_plan(tiny.store_url, batch["run"]))
    passed = folder.manifest("validate")
    assert passed.inputs["prices.json"] == sha256(settings.suite_path.read_bytes())
    suite = json.loads(settings.suite_path.read_bytes())
    (rule,) = (one for one in suite["expectations"] if one["meta"]["name"] == "close_above_zero")
    rule["kwargs"]["min_value"] = 1_000_000
    settings.suite_path.write_text(json.dumps(suite))
    with pytest.raises(DataError, match="close"):
        runner.run("validate", batch, settings=settings)
    settings.suite_path.unlink()
    with pytest.raises(DataError, match="CLOSECAST_HOME"):
        runner.run("validate", batch, settings=settings)
