"""The result of a replay: scores of each contender, the verdict, the page and results.json."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.pages import render
from pipeline.store.formats import json_bytes

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

WINDOW = 250  # sessions behind a point of the picture
_LEAST_SHOWN = 0.0005  # of a skill: less is no difference


class Scored(NamedTuple):
    """A contender on one ticker. Scores are None without a scored forecast."""

    contender: str
    ticker: str
    forecasts: int
    trained: int  # nights with a training that it took part in
    promoted: int  # of them: the new network, or the reference in its place, was served
    refused: int
    live_skill: float | None
    interval_skill_95: float | None  # against the EWMA of closes, calibrated every night
    coverage_95: float | None
    rows: pd.DataFrame  # as `live_record.scored` returns them


class Summary(NamedTuple):
    """A contender: medians over the tickers, and sums."""

    contender: str
    live_skill: float | None
    interval_skill_95: float | None
    coverage_95: float | None
    forecasts: int
    trained: int
    promoted: int
    refused: int


class Replayed(NamedTuple):
    """A finished replay."""

    first: dt.date
    last: dt.date
    nights: int
    every: int
    tickers: tuple[str, ...]
    preset: str
    synthetic: bool
    shares_network: bool
    policies: tuple[str, ...]  # without the baselines
    scored: tuple[Scored, ...]
    from_snapshots: int  # ticker-nights
    from_history: int
    skipped: int
    checked: int  # nights that were made again on other later prices
    leak: str  # "" without one
    started: dict[str, str]  # champions that the store had before the first night, by ticker

    @property
    def summaries(self) -> list[Summary]:
        """Return each contender over all tickers, in order."""
        names = dict.fromkeys(one.contender for one in self.scored)
        return [_summary(name, [one for one in self.scored if one.contender == name]) for name in names]


def _summary(name: str, several: Sequence[Scored]) -> Summary:
    return Summary(
        name,
        _median([one.live_skill for one in several]),
        _median([one.interval_skill_95 for one in several]),
        _median([one.coverage_95 for one in several]),
        sum(one.forecasts for one in several),
        sum(one.trained for one in several),
        sum(one.promoted for one in several),
        sum(one.refused for one in several),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return statistics.median(known) if known else None


def verdict(made: Replayed) -> str:
    """Return the replay in one sentence: a leak, or each policy beside the baselines."""
    if made.leak:
        return f"LEAK: {made.leak}. The figures of this replay are worth nothing."
    skills = {one.contender: one.interval_skill_95 for one in made.summaries}
    parts = [_against(name, skills) for name in made.policies]
    return f"{'; '.join(parts)}."


def _against(name: str, skills: dict[str, float | None]) -> str:
    own = skills[name]
    if own is None:
        return f"{name}: no scored forecast"
    others = []
    for baseline, words in (("never", "never retraining"), ("reference", "the reference")):
        other = skills.get(baseline)
        if other is not None:
            others.append(f"{_compared(own - other)} {words} ({other:+.3f})")
    return f"{name}: interval skill {own:+.3f}, {' and '.join(others)}"


def _compared(difference: float) -> str:
    if abs(difference) < _LEAST_SHOWN:
        return "equal to"
    return f"{abs(difference):.3f} {'above' if difference > 0 else 'below'}"


def source_line(made: Replayed) -> str:
    """Return where the prices come from."""
    return (
        f"Prices: {made.from_snapshots:,} ticker-night(s) from snapshots of the store, {made.from_history:,} from the "
        f"history cut at the night, {made.skipped:,} skipped (no sound price of the session)."
    )


def start_line(made: Replayed) -> str:
    """Return the champions that the replay begins with."""
    if not made.started:
        return "Start: without a champion; the first night trains."
    named = ", ".join(f"{ticker} {version}" for ticker, version in made.started.items())
    return f"Start: champions that the store had before the first night ({named})."


def leak_line(made: Replayed) -> str:
    """Return the result of the check for leaks."""
    if made.leak:
        return f"Leak: {made.leak}."
    return f"No leak: {made.checked:,} ticker-night(s) were made again with other prices after the night, all equal."


def title(made: Replayed) -> str:
    """Return the replay in a few words."""
    network = "one network for all" if made.shares_network else "a network per ticker"
    return (
        f"Replay of {made.nights:,} nights x {len(made.tickers)} ticker(s), {made.first} to {made.last}, preset "
        f"{made.preset} ({network}), training every {made.every} sessions"
    )


def results_json(made: Replayed) -> bytes:
    """Return the content of results.json."""
    values = made._asdict()
    values["scored"] = [{k: v for k, v in one._asdict().items() if k != "rows"} for one in made.scored]
    values["summaries"] = [one._asdict() for one in made.summaries]
    return json_bytes({"verdict": verdict(made), **values})


def page(made: Replayed) -> bytes:
    """Return the report: verdict, table, one picture, and a table of all tickers."""
    from pipeline.reporting import plots

    picture = plots.contenders(curves(made), WINDOW)
    return render(
        "replay.html.j2",
        title=title(made),
        verdict=verdict(made),
        lines=[source_line(made), start_line(made), leak_line(made)],
        synthetic=made.synthetic,
        summaries=made.summaries,
        scored=made.scored,
        picture=f"data:image/png;base64,{base64.b64encode(picture).decode()}",
        window=WINDOW,
    )


def curves(made: Replayed) -> dict[str, pd.DataFrame]:
    """Return by contender the interval skill and the coverage of the last `WINDOW` sessions, over all tickers.

    The columns are `interval_skill_95` and `inside_95`, the index is the session. Sessions before the first whole
    window are left out, unless there are fewer.
    """
    import pandas as pd

    found = {}
    for name in dict.fromkeys(one.contender for one in made.scored):
        rows = pd.concat([one.rows for one in made.scored if one.contender == name])
        columns = ["interval_score_95_pct", "rival_score_95_pct", "inside_95"]
        means = rows.dropna(subset="rival_score_95_pct").groupby("session")[columns].mean()
        rolled = means.rolling(min(WINDOW, max(1, len(means)))).mean().dropna()
        skill = 1 - rolled["interval_score_95_pct"] / rolled["rival_score_95_pct"]
        found[name] = pd.DataFrame({"interval_skill_95": skill, "inside_95": rolled["inside_95"]})
    return found
