"""The page of a run: from folders as the steps write them, and in a real browser."""

import shutil

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from pipeline.reporting import report
from pipeline.reporting.links import Links
from pipeline.store.runs import unit_folder
from tests.support.report_units import evaluated, failed, section_of, served

PHONE, DESK = (390, 664), (1280, 640)  # what the bars of a browser leave of 390 x 844 and 1280 x 800


@pytest.fixture(scope="module")
def html(home, sections):
    """Return its page."""
    return report.page(home[1], sections).decode()


@pytest.fixture(scope="module")
def many(home, sections):
    """Return the page of 60 tickers, one of which failed."""
    done, _, bad = sections
    named = [done._replace(result=done.result._replace(ticker=f"T{number}")) for number in range(59)]
    return report.page(home[1], [*named, bad]).decode()


@pytest.fixture(scope="module")
def chromium():
    """Return Debian's Chromium, or skip where there is none."""
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium on this machine: apt install chromium")
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Return a function that opens a page as a file, and notes what the browser says and asks for."""
    contexts = []

    def show(html, size, scheme="light"):
        (tmp_path / "report.html").write_text(html)
        context = chromium.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri(), wait_until="load")
        return page, said, asked

    yield show
    for context in contexts:
        context.close()


# In a browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_is_quiet_asks_nobody_and_shows_its_verdict_at_once(opened, html, size, scheme):
    """No word in the console, no request beyond the file and what it holds, the verdict without scrolling."""
    page, said, asked = opened(html, size, scheme)
    assert said == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    box = page.locator(".verdict").bounding_box()
    assert box["y"] + box["height"] <= size[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    drawn = page.locator("img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 100)")
    assert drawn == [True] * 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_the_page(opened, html, scheme):
    """Contrast of at least 4.5 to the page's ground, as WCAG 2 asks of small text."""
    page, _, _ = opened(html, DESK, scheme)
    colours = page.evaluate(
        """() => {
          const ground = document.createElement("div");
          ground.style.background = "Canvas";
          document.body.append(ground);
          const all = [...document.querySelectorAll("p, td, th, dt, dd, li, span, h1, h2, h3")];
          return [getComputedStyle(ground).backgroundColor, all.map(one => getComputedStyle(one).color)];
        }"""
    )
    assert min(contrast(colours[0], one) for one in colours[1]) >= 4.5


def contrast(one, other):
    """Return the ratio of luminances of two colours as CSS writes them: rgb(1, 2, 3)."""
    parts = [np.array([float(x) for x in c[c.index("(") + 1 : -1].split(",")[:3]]) / 255 for c in (one, other)]
    linear = [np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) for x in parts]
    dark, light = sorted(float(x @ [0.2126, 0.7152, 0.0722]) for x in linear)
    return (light + 0.05) / (dark + 0.05)


def test_sixty_tickers_stay_usable(opened, many):
    """Folded, but for the one that failed; a link of the table leads to its section; nothing widens the page."""
    page, said, _ = opened(many, PHONE)
    assert said == []
    assert page.locator("details[open] h2").all_inner_texts() == ["BAD"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.get_by_role("link", name="T42", exact=True).click()
    assert page.evaluate("document.querySelector(':target h2').innerText") == "T42"
    page.locator(":target summary").click()
    assert page.locator(":target img").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


# What it says


def test_a_ticker_costs_little(html):
    """Five pictures of a ticker, inlined, stay below 150 kB."""
    assert len(html) / 2 < 150_000


def test_odd_words_are_shown_as_they_are(html):
    """Of tickers, findings, rules and reasons, in text and in attributes: all escaped."""
    assert "<b>" not in html
    assert html.count("A&lt;b&gt;&amp;&#34;&#39;") >= 10


def test_the_page_names_no_other_place(html):
    """And tells the browser to fetch from none."""
    assert "http" not in html.replace("http-equiv", "")
    assert "default-src 'none'" in html
    assert "<script" not in html


def test_each_ticker_has_decision_changes_forecast_and_findings(html):
    """Promoted, refused and failed, each with its facts."""
    for words in (
        "no champion to beat", "1.0153 x naive", "FAIL", "Changed since the champion v3",
        "<td>data: data_sha256</td><td>aaaaaaaaaaaa</td><td>cccccccccccc</td>",
        "<td>versions: keras</td><td>\N{EN DASH}</td><td>3.15.1</td>",
        "Next session, 2025-11-24: <strong>102.50 JPY</strong> by v3", "inside its 95 % interval",
        "97.00 to 108.20 JPY", "close 102.00 JPY, error +0.50 JPY", "<td>8.20 JPY</td>", "<td>2.1000 JPY</td>",
        "<td>12 of the last 20</td>", "Rows: 2024-03-28, 2024-03-29.", "failed in ingest",
        "<td>forecast</td>", "<td>AR(1)</td>", f"Ledger: row 14, 2025-11-24 v3, hash <code>{'5e' * 32}</code>.",
    ):  # fmt: skip
        assert words in html
    assert " USD" not in html


def test_the_page_links_mlflow_and_airflow(home, sections):
    """The view of the night, the run in Airflow, and each ticker's run, where its address is known."""
    found = Links(report="/store/report.html", mlflow="http://m/#/night?a=1&b=2", airflow="http://a/runs/1")
    done = sections[0]
    html = report.page(home[1], [done], links=found, run_pages={done.result.ticker: "http://m/#/run"}).decode()
    for address in ("http://m/#/night?a=1&amp;b=2", "http://a/runs/1", "http://m/#/run"):
        assert f'href="{address}"' in html
    assert "Airflow" not in report.page(home[1], [done], links=found._replace(airflow="")).decode()


def test_a_run_that_only_just_began_has_a_page(home):
    """No manifest at all: each ticker says that it was stopped."""
    settings, plan = home
    plan = plan.model_copy(update={"run": "other", "tickers": ("AAA",)})
    section = section_of(settings, plan, "AAA")
    page = report.page(plan, [section]).decode()
    assert section.result.step == "plan"
    assert "The run was stopped before this ticker was done" in page
    assert "0 of 1 ticker(s) done" in page


def test_what_lies_after_a_failed_step_is_of_an_earlier_try(home):
    """A ticker whose prices went bad between two tries has no figures, no decision and no pictures."""
    settings, plan = home
    plan = plan.model_copy(update={"run": "twice", "tickers": ("AAA",)})
    folder = unit_folder(settings.store_url, "AAA", plan)
    evaluated(folder, "AAA")
    served(folder, promoted=True)
    failed(folder)
    section = section_of(settings, plan, "AAA")
    assert (section.result.step, section.result.skill, section.result.decision) == ("ingest", None, "")
    assert (section.pictures, section.rules, section.scores, section.served) == ((), (), None, None)
