"""A disk without room, for real: a small tmpfs that is filled up before each write in turn. Takes root."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import pytest

from pipeline import runner, runs
from pipeline.errors import StoreError, Unavailable
from pipeline.prices.snapshot import last_snapshot
from pipeline.serving import ledger
from pipeline.serving.chain import first_break
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan
from pipeline.tracking.registry import Registry
from tests.support.disks import disk
from tests.support.running import check, set_tiny


def content(place: Path) -> dict[str, str]:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def whole_run(name, **settings):
    """Do a run from the plan to the report."""
    (batch,) = runs.plan(load_settings(**settings), name)
    for step in FLOW:
        runner.run(step.name, batch, settings=load_settings(**settings))
    runs.report(name, settings=load_settings(**settings))


def until_written(do, store, untouched):
    """Do it with a disk that is full at the first write, then at the second, until there are not so many.

    Returns:
        What it returned in the end, and what was told of each failure.
    """
    told = []
    for writes in range(50):
        store.writes_left = writes
        try:
            done = do()
        except StoreError as error:
            told.append(error.received)
        else:
            return done, told
        finally:
            store.make_room()
        untouched()
    raise AssertionError(told)


def test_store_full_at_each_write(tmp_path, monkeypatch):
    """The failure names the file, what was there stays, nothing is half-written, and with room the run goes on."""
    settings = set_tiny(monkeypatch, tmp_path, TICKERS='["FULL"]', STORE=str(tmp_path / "store"))
    with disk(tmp_path / "store") as store:
        whole_run("before", as_of="2025-11-20")
        before, write = content(store.place), Folder.write
        champion = Registry(settings).champion("FULL")

        def write_or_fill(folder, name, data):
            if store.writes_left == 0:
                store.fill()
            store.writes_left -= 1
            write(folder, name, data)

        def untouched():
            now = content(store.place)
            assert {path: now.get(path) for path in before} == before
            assert not [path for path in now if Path(path).name.startswith(".")], "half a file"

        def undecided():
            untouched()
            manifests = [path for path in content(store.place) if path.endswith("/promote.manifest.json")]
            # The alias moves between the manifest and its second write, which adds the results.
            assert Registry(settings).champion("FULL") == champion or len(manifests) > 1

        monkeypatch.setattr(Folder, "write", write_or_fill)
        (batch,), told = until_written(lambda: runs.plan(settings, "full"), store, undecided)
        failures = {"plan": told}
        for step in FLOW:
            same = untouched if step.name == "forecast" else undecided
            do = functools.partial(runner.run, step.name, batch, settings=settings)
            _, failures[step.name] = until_written(do, store, same)
        _, failures["report"] = until_written(lambda: runs.report("full", settings=settings), store, untouched)
        print({step: len(told) for step, told in failures.items()})  # noqa: T201 - for the record
        for step, messages in failures.items():
            assert messages
            assert all(one.startswith(str(store.place)) and one.endswith("No space left on device") for one in messages)
            # A manifest with effects is written a second time, with their results. Every other file is written once.
            twice = [one for one in messages if messages.count(one) > 1]
            assert all(f"{step}.manifest.json" in one for one in twice)
            assert len(twice) == (2 if step in {"promote", "forecast"} else 0)
        assert last_snapshot(str(store.place), "FULL", read_plan(settings.store_url, "full")) is not None
        check(settings, "full", ["FULL"])


def test_ledger_full(tmp_path, monkeypatch):
    """A full disk at the link, and then at the row: the step fails, no file is half, and the row comes later."""
    settings = set_tiny(monkeypatch, tmp_path, TICKERS='["ROW"]', LEDGER=str(tmp_path / "ledger"))
    with disk(tmp_path / "ledger") as full:
        (batch,) = runs.plan(settings, "row")
        for step in FLOW[:-1]:
            runner.run(step.name, batch, settings=settings)
        create = Folder.create

        def create_or_fill(folder, name, data):
            if full.writes_left == 0:
                full.fill()
            full.writes_left -= 1
            return create(folder, name, data)

        left = []
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "create", create_or_fill)
            for full.writes_left in (0, 1):
                with pytest.raises(StoreError, match="No space left") as error:
                    runner.run("forecast", batch, settings=settings)
                assert str(full.place) in str(error.value)
                full.make_room()
                left.append([Path(path).name for path in content(full.place)])
        assert left == [[], ["0000001.json"]]
        runner.run("forecast", batch, settings=settings)
        runs.report("row", settings=settings)
        assert len(content(full.place)) == 2
        assert first_break(ledger.contents(settings.ledger_place, "ROW")) is None
        check(settings, "row", ["ROW"])


def test_mlflow_full_at_each_step(tmp_path, monkeypatch):
    """Database and artifacts without room: worth another try, the training is kept, nothing is there twice."""
    settings = set_tiny(monkeypatch, tmp_path, TICKERS='["KEPT"]')
    with disk(tmp_path / "mlflow") as place:
        whole_run("first", as_of="2025-11-20")
        (batch,) = runs.plan(settings, "kept")
        trained = []
        for step in FLOW:
            place.fill()
            with pytest.raises(Unavailable, match=r"MLflow must keep|No space left|disk is full") as error:
                runner.run(step.name, batch, settings=settings)
            print(step.name, error.value.received)  # noqa: T201 - for the record
            place.make_room()
            kept = content(Path(settings.store_url) / "KEPT" / "2025-11-21")
            trained.append({path: known for path, known in kept.items() if path.endswith("model.keras")})
            runner.run(step.name, batch, settings=settings)
        runs.report("kept", settings=settings)
        assert all(one == trained[-1] for one in trained[4:])
        check(settings, "kept", ["KEPT"])
