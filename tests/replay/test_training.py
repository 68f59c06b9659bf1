"""A training is kept as files and comes back; the champion before a night comes from the night's record."""

import datetime as dt

import numpy as np

from pipeline.forecasting.inference import Remembering
from pipeline.replay.prices import validated
from pipeline.replay.training import START, before, start_of, trained, training_of
from pipeline.store.folder import Folder
from tests.support.nights import folder_of_run, sample_prices
from tests.support.replays import plan_to


def test_a_training_comes_back_from_its_files(tiny, tmp_path):
    """With the borders of its rows, and the weights of the network."""
    plan = plan_to(tiny, "2025-11-20", "AAA")
    prices = validated(sample_prices("AAA"), plan)
    folder = Folder(str(tmp_path / "trainings"))
    made = trained(plan, {"AAA": prices.frame}, {"AAA": "USD"}, tiny, folder).tickers["AAA"]
    training = training_of("2025-11-20", made, folder)
    rows = len(prices.sessions)
    assert training.as_of == dt.date(2025, 11, 20)
    assert training.borders.test == prices.sessions[int(rows * 0.8)]
    assert (training.evaluated.recipe.currency, training.served.recipe.cutoff) == ("USD", "2025-11-20")
    assert training.evaluated.recipe.cutoff == str(prices.sessions[int(rows * 0.8) - 1])
    assert isinstance(training.evaluated.network, Remembering)
    assert not np.array_equal(training.evaluated.network.network.kernel, training.served.network.kernel)
    assert {name.rpartition(".")[2] for name in folder.names()} == {"keras"}


def test_the_champion_before_a_night_is_that_of_its_record(two_nights, tmp_path):
    """The second night met v1, and registered v2; the first night met none."""
    assert before(two_nights.store_url, folder_of_run(two_nights, "manual__1")) is None
    found = before(two_nights.store_url, folder_of_run(two_nights, "manual__2"))
    folder = Folder(str(tmp_path))
    for name, data in found.networks.items():
        folder.keep(name, data)
    state = start_of(found.file, training_of(START, found.file, folder))
    assert (state.number, state.held.version.number) == (1, 1)
    assert state.held.version.trained == dt.date(2025, 11, 20)
    assert state.held.served.half_widths == state.held.training.served.recipe.half_widths
