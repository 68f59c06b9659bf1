"""The forward pass in NumPy beside Keras, its slow reference."""

from unittest.mock import patch

import numpy as np
import pytest

from pipeline.forecasting import inference, model


def randomised(cell, *, inputs=2, outputs=2, units=(7, 5, 3)):
    """Return a network with weights as large as those of a long training."""
    network = model.build(12, units, cell, inputs=inputs, outputs=outputs)
    draw = np.random.default_rng(1)
    network.set_weights([draw.normal(0, 0.3, weights.shape) for weights in network.get_weights()])
    return network


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_it_equals_keras(cell):
    """To 1e-6, on more windows than one piece has."""
    network = randomised(cell)
    windows = np.random.default_rng(2).normal(0, 2, (1500, 12, 2))
    mine = inference.predict(inference.forward(model.to_bytes(network)), windows)
    assert mine.shape == (1500, 2)
    np.testing.assert_allclose(mine, model.predict(network, windows), rtol=0, atol=1e-6)


def test_the_order_of_more_than_ten_layers_is_kept():
    """Keras counts them in their order; "simple_rnn_10" comes before "simple_rnn_2" in the alphabet."""
    network = randomised("simple_rnn", units=(3,) * 12)
    windows = np.random.default_rng(2).normal(0, 1, (4, 12, 2))
    mine = inference.predict(inference.forward(model.to_bytes(network)), windows)
    np.testing.assert_allclose(mine, model.predict(network, windows), rtol=0, atol=1e-6)


def test_one_cell_by_hand():
    """Two sessions, one unit: tanh twice, then the linear layer."""
    network = model.build(2, (1,), inputs=1, outputs=1)
    network.set_weights([np.array(one, dtype="float32") for one in ([[0.5]], [[2.0]], [0.1], [[3.0]], [1.0])])
    first = np.tanh(0.5 * 1.0 + 0.1)
    second = np.tanh(0.5 * -1.0 + 2.0 * first + 0.1)
    made = inference.predict(inference.forward(model.to_bytes(network)), np.array([[1.0, -1.0]]))
    assert made == pytest.approx(np.array([[3.0 * second + 1.0]]), abs=1e-6)


def test_a_window_alone_and_among_others_has_the_same_prediction():
    """A night forecasts one row, its evaluation several hundred; no window at all gives no row."""
    network = inference.forward(model.to_bytes(randomised("simple_rnn")))
    windows = np.random.default_rng(2).normal(0, 1, (300, 12, 2))
    together = inference.predict(network, windows)
    np.testing.assert_allclose(inference.predict(network, windows[17:18]), together[17:18], rtol=1e-6)
    assert inference.predict(network, windows[:0]).shape == (0, 2)


def test_a_network_that_remembers_predicts_new_windows_only():
    """One window more each night, a window that changed, and a shorter history."""
    network = inference.forward(model.to_bytes(randomised("simple_rnn")))
    windows = np.random.default_rng(3).normal(0, 1, (40, 12, 2))
    changed = windows.copy()
    changed[20] *= 2
    remembering = inference.Remembering(network)
    for asked in (windows[:30], windows[:31], windows, changed, windows[:5], windows):
        made = inference.predict(remembering, asked)
        np.testing.assert_allclose(made, inference.predict(network, asked), rtol=1e-6)
    with patch.object(inference, "_outputs", side_effect=AssertionError):
        inference.predict(remembering, windows)
    assert inference.to_bytes(remembering) == network.data


def test_the_file_comes_back():
    """A champion that stays is registered with the bytes of its network."""
    data = model.to_bytes(randomised("gru"))
    assert inference.to_bytes(inference.forward(data)) == data


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_network_is_refused(data):
    """In words of one kind of error."""
    with pytest.raises(ValueError, match="no network of Closecast"):
        inference.forward(data)


def test_all_weights_are_one_array():
    """Each number of the network once, whatever holds it: a change of any of them is seen."""
    network = randomised("gru")
    found = inference.weights(network)
    assert sorted(found) == sorted(np.concatenate([one.ravel() for one in network.get_weights()]))
    assert np.array_equal(found, inference.weights(inference.forward(model.to_bytes(network))))
    weights = network.get_weights()
    weights[0][0, 0] += 1e-6
    network.set_weights(weights)
    assert np.sum(inference.weights(network) != found) == 1
