"""The page of a run, and its figures: from folders as the steps write them, and in a real browser."""

import datetime as dt
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from pipeline.cli.preflight import check
from pipeline.evaluation import metrics
from pipeline.forecasting.forecaster import Forecasts
from pipeline.outcome import Finding, Manifest, Outcome
from pipeline.reporting import plots, report, results
from pipeline.reporting.report import Picture
from pipeline.reporting.results import Result
from pipeline.serving.promotion import Rule
from pipeline.settings import load_settings
from pipeline.store.formats import frame_bytes, json_bytes
from pipeline.store.runs import earlier_folders, run_folder, unit_folder

STEPS = ("ingest", "validate", "split_scale", "window", "train", "evaluate", "promote", "forecast")
NASTY = """A<b>&"'"""
DONE = Result("GOOD", 3038, 608, 13.6569, 13.5442, -0.0083, 12.3, "a" * 32, "evaluate", "", ("odd volume",))
FAILED = Result("BAD", None, None, None, None, None, 0.1, "b" * 32, "ingest", "no close column", ())
PHONE, DESK = (390, 664), (1280, 640)  # what the bars of a browser leave of 390 x 844 and 1280 x 800

# What the steps write of one unit


def write(folder, step, **outcome):
    """Finish a step in a unit's folder."""
    made = Outcome(**outcome)
    for name, data in made.files.items():
        folder.write(name, data)
    folder.write_manifest(
        Manifest(
            step=step, key="k", inputs={}, outputs=dict.fromkeys(made.files, "hash"), outcome=made,
            started=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), seconds=1.5, peak_memory_mb=1.0, versions={},
        )
    )  # fmt: skip


def scored_rows(rows=600):
    """Return sessions, closes, forecasts and naive forecasts of a market that wanders."""
    draws = np.random.default_rng(0)
    closes = 100 * np.exp(np.cumsum(draws.normal(0, 0.02, rows + 1)))
    actual, naive = closes[1:], closes[:-1]
    usd = naive * (1 + draws.normal(0, 0.005, rows))
    sessions = pd.bdate_range(end="2025-11-21", periods=rows).to_numpy("datetime64[D]")
    return sessions, actual, Forecasts(usd, usd * 0.975, usd * 1.025, usd * 0.96, usd * 1.04), naive


def scores_of(actual, made, naive):
    """Return figures as `evaluate` does."""
    figures = {
        "test_rows": float(len(actual)), "rmse_usd": metrics.rmse(actual, made.usd),
        **{f"{name}_rmse_usd": metrics.rmse(actual, naive) for name in ("naive", "drift", "ar1", "network")},
        "mae_usd": metrics.mae(actual, made.usd), "mape_pct": metrics.mape_pct(actual, made.usd), "mase": 1.01,
        "direction_acc": metrics.direction_acc(actual, made.usd, naive),
        "dm_p_value": metrics.diebold_mariano(actual, made.usd, naive).p_worse,
        "coverage_80": 0.79, "coverage_95": 0.948, "width_80_usd": 5.1, "width_95_usd": 8.2,
    }  # fmt: skip
    ratio = figures["rmse_usd"] / figures["naive_rmse_usd"]
    return figures | {"rmse_over_naive": ratio, "skill": 1 - ratio}


def evaluated(folder, ticker, findings=()):
    """Write a unit up to `evaluate`, with real pictures."""
    sessions, actual, made, naive = scored_rows()
    scores = scores_of(actual, made, naive)
    write(folder, "ingest", files={"raw.parquet": b""}, tags={"source": "sample"})
    write(folder, "validate", metrics={"sessions": 3000.0}, findings=findings)
    write(folder, "split_scale")
    write(folder, "window")
    curves = {"loss": [2.0, 1.2, 1.1], "val_loss": [1.9, 1.3, 1.4]}
    write(
        folder, "train", curves=curves, metrics={"weight": 0.25},
        files={"loss.png": plots.loss_curves(curves, 2, ticker)},
    )  # fmt: skip
    tested = range(len(actual) - 400, len(actual))
    write(
        folder, "evaluate", metrics=scores,
        files={
            "metrics.json": json_bytes(scores),
            "predictions.parquet": frame_bytes(pd.DataFrame({"close_usd": actual})),
            "close.png": plots.closes(sessions, actual, tested, ticker),
            "forecast.png": plots.actual_and_forecast(sessions, actual, made, scores, ticker),
            "residuals.png": plots.residuals(sessions, actual, made.usd, naive, ticker),
        },
    )  # fmt: skip


def served(folder, *, promoted, said=""):
    """Write the rest of a unit: promoted as its ticker's first model, or refused beside v3."""
    rules = [
        Rule(
            "data", "No critical finding in the prices", "0 critical, 1 warning(s)", "0 critical, no fault", passed=True
        ),
        Rule("rmse", "RMSE must not lie above naive's", "1.0153 x naive", f"1.0100 x naive{said}", passed=promoted),
    ]
    changes = {
        "data": {"as_of": ["2025-11-20", "2025-11-21"], "data_sha256": ["a" * 64, "c" * 64]},
        "parameters": {"epochs": ["80", "3"]},
        "versions": {"code": ["0123456789ab", "ba9876543210"], "keras": [None, "3.15.1"]},
    }
    decision = {
        "promoted": promoted, "reason": f"{'promoted: all 2 rules hold' if promoted else 'refused: rmse'}{said}",
        "policy": "unless_worse", "champion": None if promoted else 3, "rules": [rule._asdict() for rule in rules],
        "champion_rmse_usd": None if promoted else 2.5, "changes": {} if promoted else changes,
    }  # fmt: skip
    bounds = {"low_80_usd": 99.1, "high_80_usd": 105.9, "low_95_usd": 97.0, "high_95_usd": 108.2}
    row = {"version": 1 if promoted else 3, "forecast_usd": 102.5, "last_close_usd": 102.0, **bounds}
    live = {
        "rows": 12,
        "rmse_usd": 2.1,
        "naive_rmse_usd": 2.2,
        "skill": 0.0455,
        "coverage_80": 0.75,
        "late": 0,
        "coverage_95": 1.0,
    }
    told = {
        "forecast": {"session": "2025-11-24", **row}, "why_not": "",
        "scored": {
            "session": "2025-11-21", **row, "close_usd": 102.0, "error_usd": 0.5, "inside_80": True, "inside_95": True,
        },
        "live": {"20": live, "60": None},
    }  # fmt: skip
    if promoted:
        told |= {"scored": None, "live": {"20": None, "60": None}}
    write(folder, "promote", files={"decision.json": json_bytes(decision)})
    write(folder, "forecast", files={"forecast.json": json_bytes(told)})


def warning(said=""):
    """Return a finding with everything that one can have."""
    return Finding(
        rule=f"Volume should not be zero{said}", severity="warning", observed="2 rows", limit="0 rows",
        rows=("2024-03-28", "2024-03-29"), todo="Look at the source.",
    )  # fmt: skip


def failed(folder, said=""):
    """Write a unit that ended in its first step."""
    found = Finding(rule=f"A price file needs a close{said}", severity="critical", observed="'Date'", todo="Add it.")
    write(folder, "ingest", findings=(found,))


def section_of(settings, plan, ticker):
    """Return a ticker's section as the runner makes it."""
    folder = unit_folder(settings.store_url, ticker, plan)
    return report.section(ticker, folder, [folder.manifest(step) for step in STEPS], "r" * 32)


def skill_picture(ticker):
    """Return the skill of 30 runs."""
    days = pd.bdate_range(end="2025-11-21", periods=30)
    drawn = np.random.default_rng(1).normal(0, 0.004, len(days))
    return Picture(
        "skill", plots.skills({day.date(): float(one) for day, one in zip(days, drawn, strict=True)}, ticker)
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return settings and plan of a run with a promoted, a refused and a failed ticker, everywhere with odd words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSECAST_VAR", str(tmp_path_factory.mktemp("report") / "var"))
        patch.setenv("CLOSECAST_AS_OF", "2025-11-21")
        settings = load_settings()
        plan = check(settings).model_copy(update={"tickers": ("AAA", NASTY, "BAD")})
    for ticker, promoted in (("AAA", True), (NASTY, False)):
        folder = unit_folder(settings.store_url, ticker, plan)
        evaluated(folder, ticker, (warning("" if promoted else NASTY),))
        served(folder, promoted=promoted, said="" if promoted else NASTY)
    failed(unit_folder(settings.store_url, "BAD", plan), NASTY)
    return settings, plan


@pytest.fixture(scope="module")
def sections(home):
    """Return the sections of that run."""
    settings, plan = home
    made = [section_of(settings, plan, ticker) for ticker in plan.tickers]
    return [
        one._replace(pictures=(*one.pictures, skill_picture(one.result.ticker))) if one.pictures else one
        for one in made
    ]


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
    assert drawn == [True] * 10


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
        "Next session, 2025-11-24: <strong>102.50 USD</strong> by v3", "inside its 95 % interval",
        "<td>12 of the last 20</td>", "Rows: 2024-03-28, 2024-03-29.", "failed in ingest",
        "<td>forecast</td>", "<td>AR(1)</td>",
    ):  # fmt: skip
        assert words in html


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
    assert (section.pictures, section.rules, section.served) == ((), (), {})


# Its figures


def test_a_result_has_what_the_table_needs(sections):
    """Figures of metrics, decision and forecast; none that does not exist."""
    promoted, refused, bad = (one.result for one in sections)
    assert (promoted.decision, promoted.refused_by, promoted.champion) == ("promoted", (), None)
    assert (refused.decision, refused.refused_by, refused.champion) == ("refused", ("rmse",), 3)
    assert (refused.weight, refused.coverage_95) == (0.25, 0.948)
    assert 0 < refused.dm_p_value < 0.5
    assert refused.rmse_over_naive == pytest.approx(refused.rmse_usd / refused.naive_rmse_usd)
    assert (refused.forecast_session, refused.forecast_version, refused.forecast_usd) == ("2025-11-24", 3, 102.5)
    assert (refused.forecast_low_95_usd, refused.forecast_high_95_usd) == (97.0, 108.2)
    assert (refused.live_skill_20, refused.live_skill_60) == (0.0455, None)
    assert (bad.decision, bad.forecast_usd, bad.rmse_over_naive, bad.weight) == ("", None, None, None)


def test_results_survive_being_written_down(sections):
    """Every field comes back, those of a ticker that failed too; nothing in it is no JSON."""
    results = [one.result for one in sections]
    written = results.results_bytes(results)
    assert results.results_of(written) == results
    json.loads(written, parse_constant=pytest.fail)


def test_a_run_in_one_sentence():
    """Who is done, what was decided and why, how it stands against naive and how surely, who failed."""
    better = DONE._replace(skill=0.01, dm_p_value=0.995, decision="promoted", weight=0.3)
    equal = DONE._replace(skill=0.0, dm_p_value=1.0, decision="promoted", weight=0.0)
    worse = DONE._replace(dm_p_value=0.001, decision="refused", refused_by=("naive", "rmse"))
    again = worse._replace(dm_p_value=0.03, refused_by=("naive",))
    assert results.verdict([better, equal, worse, again, FAILED]) == (
        "4 of 5 ticker(s) done; promoted: 2, refused: 2 (by rule: naive 2, rmse 1); better than naive: 1 "
        "(significantly at 1 %: 1), equal: 1, worse: 2 (significantly at 1 %: 1); "
        "the network is used for 1 of 2, the others forecast as naive. Failed: BAD."
    )
    assert results.verdict([FAILED]) == "0 of 1 ticker(s) done. Failed: BAD."


def test_the_run_in_figures():
    """Medians, the worst, counts; what no ticker has is left out."""
    some = DONE._replace(rmse_over_naive=1.0083, coverage_95=0.95, dm_p_value=0.009, decision="refused")
    other = DONE._replace(skill=0.01, rmse_over_naive=0.99, coverage_95=0.93, dm_p_value=0.5, decision="promoted")
    assert results.summary([some, other, FAILED]) == pytest.approx(
        {
            "tickers_done": 2, "tickers_failed": 1, "promoted": 1, "refused": 1, "significantly_worse_1pct": 1,
            "median_skill": 0.00085, "median_rmse_over_naive": 0.99915, "worst_rmse_over_naive": 1.0083,
            "median_coverage_95": 0.94,
        }
    )  # fmt: skip
    assert results.aggregate([FAILED]) == (0, 0, 0, None, None, None, None)
    assert "median_skill" not in results.summary([FAILED])


# Skill over the last runs


def ran(settings, plan, run, as_of, skill, **changed):
    """Leave what an earlier run of AAA leaves."""
    before = plan.model_copy(update={"run": run, "as_of": dt.date.fromisoformat(as_of), **changed})
    run_folder(settings.store_url, run).write("plan.json", before.model_dump_json().encode())
    unit_folder(settings.store_url, "AAA", before).write("metrics.json", json_bytes({"skill": skill} if skill else {}))


def test_skill_over_the_last_runs_is_of_runs_alike(tiny):
    """Earlier sessions, the same source, preset and fault; the run planned last; not what lies later."""
    plan = check(tiny).model_copy(update={"run": "now", "tickers": ("AAA", "NEW")})
    late = plan.created + dt.timedelta(hours=1)
    ran(tiny, plan, "a", "2025-11-18", 0.1)
    ran(tiny, plan, "z", "2025-11-18", 0.2, created=late)
    ran(tiny, plan, "b", "2025-11-19", 0.3, created=late)
    ran(tiny, plan, "c", "2025-11-19", 0.4)
    ran(tiny, plan, "d", "2025-11-20", 0.5, preset_name="tutorial")
    ran(tiny, plan, "e", "2025-11-20", 0.6, source="files")
    ran(tiny, plan, "f", "2025-11-20", 0.7, fault="bad_bar")
    ran(tiny, plan, "g", "2025-11-20", 0.8, until="evaluate")
    ran(tiny, plan, "h", "2025-11-24", 0.9)
    ran(tiny, plan, "i", "2025-11-17", None)  # a skill that was no number
    unit_folder(tiny.store_url, "AAA", plan.model_copy(update={"run": "no-plan"})).write("metrics.json", b"{}")
    found = earlier_folders(tiny.store_url, plan)
    assert found["NEW"] == {}
    made = results.skills(plan.as_of, -0.1, found["AAA"])
    assert [(str(day), value) for day, value in made.items()] == [
        ("2025-11-18", 0.2), ("2025-11-19", 0.3), ("2025-11-21", -0.1),
    ]  # fmt: skip
    assert results.skills(plan.as_of, None, found["AAA"]) == {}
    assert [str(day) for day in earlier_folders(tiny.store_url, plan, most=1)["AAA"]] == ["2025-11-19"]
