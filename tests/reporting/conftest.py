"""One run with a promoted, a refused and a failed ticker."""

import pytest

from pipeline.cli.preflight import check
from pipeline.settings import load_settings
from pipeline.store.runs import unit_folder
from tests.support.report_units import NASTY, evaluated, failed, section_of, served, skill_picture, warning


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def sections(home):
    """Return the sections of that run."""
    settings, plan = home
    made = [section_of(settings, plan, ticker) for ticker in plan.tickers]
    return [
        one._replace(pictures=(*one.pictures, skill_picture(one.result.ticker))) if one.pictures else one
        for one in made
    ]
