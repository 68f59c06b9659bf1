"""The logged model behind MLflow's own server, asked over HTTP: raw closes in, the ledger's number out."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.forecasting.forecasts import NAMES
from pipeline.serving import ledger
from pipeline.steps import FLOW
from pipeline.store.formats import frame_of
from pipeline.store.runs import read_plan, unit_folder
from tests.support.tiny import set_network

BOUNDS = ["forecast", "low_50", "high_50", "low_80", "high_80", "low_95", "high_95", "scale"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Train AAA, serve its champion with `mlflow models serve`, and yield settings, closes and a way to ask."""
    home = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSECAST_VAR", str(home / "var"))
        set_network(patch, epochs=2)
        settings = runner.load_settings(tickers=("AAA",), start="2022-01-03", as_of="2025-11-21")
        (batch,) = runs.plan(settings, "manual__served")
        for step in FLOW:
            runner.run(step.name, batch, settings=settings)
    folder = unit_folder(settings.store_url, "AAA", read_plan(settings.store_url, batch["run"]))
    closes = frame_of(folder.read("validated.parquet"))[["open", "high", "low", "close"]]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", "models:/closecast-AAA@champion",
        "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping", server, home / "log")
            yield settings, closes, lambda rows, **params: _ask(port, rows, params)
        finally:
            os.killpg(server.pid, 15)
            server.wait()


def _wait_for(url, server, log, seconds=300):
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the server does not answer: {log.read_text()[-2000:]}")


def _ask(port, rows, params):
    body = {"dataframe_split": json.loads(rows.to_json(orient="split", index=False)), "params": params}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return pd.DataFrame(json.loads(answer.read())["predictions"])
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["message"]


def rows_of(closes, last):
    """Return the last rows as a client would send them."""
    newest = closes.tail(last)
    rows = newest.reset_index(drop=True)
    rows.insert(0, "session", newest.index.strftime("%Y-%m-%d"))
    return rows


def test_the_last_closes_give_the_ledgers_number(served):
    """Forecast, intervals and session, from as few rows as it needs."""
    settings, closes, ask = served
    row = ledger.read(settings.ledger_place, "AAA").iloc[-1]
    (answer,) = ask(rows_of(closes, 6)).to_dict("records")
    assert (answer["ticker"], answer["session"]) == ("AAA", str(row["session"].date())) == ("AAA", "2025-11-24")
    assert answer["currency"] == row["currency"] == "USD"
    assert set(answer) == {"ticker", "session", "currency", *NAMES}
    assert [answer[name] for name in BOUNDS] == pytest.approx([row[name] for name in BOUNDS], rel=1e-6)
    quantiles = [answer[f"q{probability:02d}"] for probability in range(5, 100, 5)]
    assert quantiles == pytest.approx(ledger.record_of(row).quantiles, rel=1e-6)


def test_dates_are_not_needed_and_more_closes_change_nothing(served):
    """Without a date there is no session to name."""
    _, closes, ask = served
    few, many = ask(rows_of(closes, 6)), ask(rows_of(closes, 300).drop(columns="session"))
    assert many["session"].tolist() == [""]
    assert many[BOUNDS].iloc[0].tolist() == pytest.approx(few[BOUNDS].iloc[0].tolist(), rel=1e-6)


def test_a_time_of_day_changes_nothing(served):
    """Programs write dates with one, and with a time zone."""
    _, closes, ask = served
    rows = rows_of(closes, 6)
    (answer,) = ask(rows.assign(session=rows["session"] + "T00:00:00.000Z")).to_dict("records")
    assert answer["session"] == "2025-11-24"


def test_every_session_can_be_asked_for(served):
    """One row per session that has enough rows before it; the last one is the next session."""
    _, closes, ask = served
    answer = ask(rows_of(closes, 10).assign(ticker="AAA"), every_session=True)
    assert answer["session"].tolist() == [*(str(day.date()) for day in closes.index[-4:]), "2025-11-24"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: rows.tail(5), "needs the last 6 closes"),
        (lambda rows: rows.assign(close=[1.0, 2.0, 3.0, 0.0, 5.0, 6.0]), "0.0 in row 3"),
        (lambda rows: rows.assign(close=[1.0, 2.0, 3.0, -4.0, 5.0, 6.0]), "positive numbers"),
        (lambda rows: rows.assign(ticker="BBB"), "rows of BBB"),
        (lambda rows: rows.iloc[::-1], "ascend by session"),
        (lambda rows: rows.assign(session=[*rows["session"][:5], rows["session"].iloc[4]]), "ascend by session"),
        (lambda rows: rows.assign(session="yesterday"), "'yesterday'"),
        (lambda rows: rows.assign(session=rows["session"].str.replace("-", "/")), "a date such as 2025-11-21"),
        (lambda rows: rows.assign(session=[f"2025-0{month}" for month in range(1, 7)]), "'2025-01'"),
        (lambda rows: rows.assign(session=[str(year) for year in range(2020, 2026)]), "'2020'"),
        (lambda rows: rows.assign(session=[""] * 6), "a date such as 2025-11-21"),
        (lambda rows: rows.assign(session=[f"2099-01-0{day}" for day in range(1, 7)]), "2099-01-06"),
        (lambda rows: rows.assign(session=[f"1899-01-0{day}" for day in range(1, 7)]), "1899-01-06"),
        (lambda rows: rows.assign(session=[None, *rows["session"][1:]]), "1 of 6 rows without one"),
        (lambda rows: rows.iloc[::-1].assign(session=[None, *rows["session"][:0:-1]]), "1 of 6 rows without one"),
        (lambda rows: rows.drop(columns="close"), "close"),
        (lambda rows: rows.drop(columns="low"), "low"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_words(served, spoil, words):
    """HTTP 400 with the rule that is broken."""
    _, closes, ask = served
    code, message = ask(spoil(rows_of(closes, 6)))
    assert code == 400
    assert words in message
