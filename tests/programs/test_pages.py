"""The pages of a running stack in Chromium, at 1280 pixels: login, trigger form, green grid, comparison, report.

`make images` takes the pictures of docs/images this way, of real prices; the test uses a synthetic market.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from pipeline.operations import stack
from pipeline.operations.airflow_home import password_file
from pipeline.plan import folder_name
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.tracking.views import PRESETS, view_page
from tests.support.running import TINY, Running, set_tiny
from tests.support.stacks import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

pytestmark = pytest.mark.timeout(2400)
IMAGES = os.environ.get("CLOSECAST_TEST_IMAGES")
REAL_PRICES = Path(__file__).resolve().parents[3] / "shared" / "data" / "NFLX.csv"
WIDTH = 1280
PATIENCE = 1200
MOST_BYTES = 200_000


def market(patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the settings of prices and presets: a synthetic market and tiny networks, or Netflix for the pictures."""
    tutorial = {name.replace("DAILY", "TUTORIAL"): value for name, value in TINY.items() if "DAILY" in name}
    if not IMAGES:
        return tutorial
    for name in TINY:
        patch.delenv(f"CLOSECAST_{name}", raising=False)
    return {
        "SOURCE": "files",
        "PRICES": str(REAL_PRICES),
        "TICKERS": '["NFLX"]',
        "CURRENCY": "USD",
        "START": "2010-04-01",
        "AS_OF": "2022-04-25",
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start a stack; the schedule starts a run of `daily` at once."""
    home = tmp_path_factory.mktemp("pages")
    ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
    with pytest.MonkeyPatch.context() as patch:
        set_tiny(patch, home, **ports)
        for name, value in market(patch).items():
            patch.setenv(f"CLOSECAST_{name}", value)
        settings = load_settings()
        try:
            stack.up(settings, print)
            patch.setenv("CLOSECAST_TRACKING_URI", settings.own_mlflow_server)
            yield Running(load_settings())
        finally:
            stack.down(settings, print)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return Debian's Chromium, or skip where there is none."""
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium on this machine: apt install chromium")
    expect.set_options(timeout=120_000)
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def airflow(chromium: Browser, running: Running) -> Page:
    """Log in to Airflow with the password that `make up` prints, and return its page."""
    page = chromium.new_page(viewport={"width": WIDTH, "height": 800})
    page.set_default_timeout(120_000)
    page.goto(running.settings.airflow_page)
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(json.loads(password_file(running.settings).read_text())["admin"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Welcome")).to_be_visible()
    return page


@pytest.fixture(scope="module")
def first(running: Running) -> str:
    """Wait until the scheduled run of `daily` has ended."""
    run = running.scheduled_run()
    assert running.end_of(run, PATIENCE) == "success"
    return run


@pytest.fixture(scope="module")
def triggered(airflow: Page, running: Running, first: str, pictures: Path) -> str:
    """Trigger a run of the preset `tutorial` by the form, and return its id."""
    del first
    airflow.goto(f"{running.settings.airflow_page}/dags/retrain")
    airflow.get_by_role("button", name="Trigger").click()
    form = airflow.get_by_role("dialog")
    for title in ("Tickers", "Source", "Currency", "Start", "As of", "Preset"):
        expect(form.get_by_text(re.compile(rf"^{title}\s*\*?$")).first).to_be_visible()
    choice = form.locator("div:has(> input[name=element_preset]) input[type=text]")
    choice.fill("tutorial")
    choice.press("Enter")
    expect(form.locator("input[name=element_preset]")).to_have_value("tutorial")
    take(airflow, pictures / "airflow-form.png", height=1500)
    form.get_by_role("button", name="Trigger", exact=True).click()

    def manual() -> list[dict[str, Any]]:
        return list(running.ask("dags/retrain/dagRuns?run_type=manual")["dag_runs"])

    assert eventually(lambda: bool(manual()), 120)
    (run,) = manual()
    assert run["conf"]["preset"] == "tutorial"
    return str(run["dag_run_id"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the pictures: docs/images for `make images`."""
    return Path(IMAGES).resolve() if IMAGES else tmp_path_factory.mktemp("pictures")


def take(page: Page, path: Path, height: int) -> None:
    """Save a picture of the page at 1280 pixels, with 256 colours."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(1500)  # animations; charts follow the size
    page.screenshot(path=path, animations="disabled")
    coloured = Image.open(path).convert("RGB")
    coloured.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)  # keeps rare colours, such as green
    assert path.stat().st_size < MOST_BYTES


def is_green(cell: Locator) -> bool:
    """Return whether a cell of the grid is green at its left edge, beside its sign."""
    shot = Image.open(io.BytesIO(cell.screenshot())).convert("RGB")
    red, green, blue = shot.getpixel((2, shot.height // 2))
    return green > 100 and max(red, blue) < 60


@pytest.fixture(scope="module")
def mlflow(chromium: Browser, running: Running) -> Page:
    """Return a page that is logged in to MLflow."""
    login = {"username": "admin", "password": running.settings.mlflow_password_file.read_text()}
    page = chromium.new_context(viewport={"width": WIDTH, "height": 830}, http_credentials=login).new_page()
    page.set_default_timeout(120_000)
    return page


def test_mlflow_shows_the_last_night(mlflow: Page, running: Running, first: str, pictures: Path) -> None:
    """The address that a run prints opens one row per ticker, with the verdict and the scores beside it."""
    from pipeline.tracking.client import connect

    del first
    settings = running.settings
    experiment = connect(settings).get_experiment_by_name(settings.experiment).experiment_id
    mlflow.goto(view_page(settings.mlflow_page, experiment))
    expect(mlflow.get_by_text(f"{settings.tickers[0]} {settings.as_of}")).to_be_visible()
    expect(mlflow.get_by_text(re.compile(r"^1 matching run"))).to_be_visible()
    for column in ("verdict", "skill", "interval_skill_95", "coverage_95", "preset"):
        expect(mlflow.get_by_role("columnheader", name=column, exact=True).first).to_be_in_viewport()
    take(mlflow, pictures / "mlflow-night.png", height=640)


def test_the_grid_turns_green(airflow: Page, running: Running, triggered: str, pictures: Path) -> None:
    """Each task of the run in the grid and in the list, and the note with the verdict."""
    airflow.goto(f"{running.settings.airflow_page}/dags/retrain/runs/{quote(triggered)}")
    assert running.end_of(triggered, PATIENCE) == "success"
    expect(airflow.get_by_text(re.compile(r"^\d+ Task Instances$"))).to_be_visible()
    for task in ("plan", "prepare", "gather", "train", "serve", "announce", "report"):
        cell = airflow.get_by_test_id(f"grid-{triggered}-{task}").get_by_test_id("task-state-badge")
        expect(cell).to_be_visible()
        assert eventually(lambda cell=cell: is_green(cell), 60), task
    airflow.reload()  # an open page asks for the note of a run that is in progress only
    expect(airflow.get_by_text(re.compile("promoted|kept")).first).to_be_visible()
    expect(airflow.locator("tbody").get_by_text("Success")).to_have_count(len(FLOW) + 4)
    take(airflow, pictures / "airflow.png", height=800)


def test_mlflow_compares_two_presets(
    mlflow: Page, running: Running, first: str, triggered: str, pictures: Path
) -> None:
    """The prepared view has a group per preset; the comparison has the picture of both runs side by side."""
    from pipeline.tracking.client import connect

    assert running.end_of(triggered, PATIENCE) == "success"
    settings = running.settings
    client = connect(settings)
    experiment = client.get_experiment_by_name(settings.experiment).experiment_id
    mlflow.goto(view_page(settings.mlflow_page, experiment, PRESETS))
    for preset in ("daily", "tutorial"):
        expect(mlflow.get_by_text(f"Group: {preset}")).to_be_visible()
    take(mlflow, pictures / "mlflow-presets.png", height=800)
    ticker = f"tags.ticker = '{settings.tickers[0]}'"
    (daily,) = client.search_runs([experiment], f"tags.dag_run_id = '{first}' and {ticker}")
    (tutorial,) = client.search_runs([experiment], f"tags.dag_run_id = '{triggered}' and {ticker}")
    assert (daily.data.tags["preset"], tutorial.data.tags["preset"]) == ("daily", "tutorial")
    runs = quote(json.dumps([tutorial.info.run_id, daily.info.run_id]))
    mlflow.goto(f"{settings.mlflow_page}/#/compare-runs?runs={runs}&experiments={quote(json.dumps([experiment]))}")
    expect(mlflow.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    for section in ("Visualizations", "Run details", "Parameters", "Metrics"):
        mlflow.get_by_role("button", name=section).click()
    # At 1280 pixels MLflow's list of files has no width: a mouse cannot reach its entries.
    mlflow.get_by_text("forecast.png").first.dispatch_event("click")
    sides = mlflow.get_by_alt_text("forecast.png")
    for side in (sides.first, sides.last):
        expect(side).to_be_in_viewport()
        assert side.evaluate("image => image.naturalWidth") > 100
    take(mlflow, pictures / "mlflow.png", height=830)


def test_the_report_is_quiet(chromium: Browser, running: Running, first: str, pictures: Path) -> None:
    """The page is ours: no word in its console, no request beyond its file, nothing wider than the window."""
    said: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page = chromium.new_page(viewport={"width": WIDTH, "height": 1500})
    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    report = Path(running.settings.store_url) / "_runs" / folder_name(first) / "report.html"
    page.goto(report.as_uri(), wait_until="load")
    expect(page.locator(".verdict")).to_be_in_viewport()
    take(page, pictures / "report.png", height=1500)
    assert said == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
