"""Where the network is computed."""

import os
import types

import pytest

from pipeline.cli.preflight import check
from pipeline.errors import DataError, UsageError
from pipeline.forecasting import device, model, training
from pipeline.steps import FLOW
from tests.support.dag_file import look_at
from tests.support.nights import night

TRAIN = [step.name for step in FLOW].index("train")
HAS_CARD = model.device().startswith("gpu")


def test_keras_runs_on_tensorflow_unless_it_is_told_otherwise(monkeypatch):
    """KERAS_BACKEND is Keras's own variable; without TensorFlow, as where a JAX model is served, JAX it is."""
    monkeypatch.delenv("KERAS_BACKEND")
    assert device.backend() == "tensorflow"
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: name == "jax" or None)
    assert device.backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(UsageError, match="no tensorflow"):
        device.backend()


def test_other_backends_are_refused_before_anything_starts(tiny, monkeypatch):
    """Nobody has tried them."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UsageError, match=r"tensorflow or jax.\n.*'torch'"):
        check(tiny)


@pytest.mark.skipif(HAS_CARD, reason="this machine has a GPU")
def test_a_gpu_that_is_required_is_missed_before_anything_starts(tiny):
    """Without importing any backend, in three lines."""
    with pytest.raises(UsageError, match=r"--extra gpu.*CLOSECAST_GPU=auto") as caught:
        check(tiny.model_copy(update={"gpu": "require"}))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.skipif(HAS_CARD, reason="this machine has a GPU")
def test_without_a_required_gpu_nothing_is_trained(tiny, monkeypatch):
    """The step fails with what the backend has instead."""
    assert tiny.gpu == "auto"
    folder = night("1", "2025-11-21", steps=FLOW[:TRAIN])
    monkeypatch.setattr(training, "train", None)  # would be called by nobody
    with pytest.raises(DataError, match=r"must have a GPU: tensorflow computes on cpu:0 of "):
        night("1", "2025-11-21", steps=[FLOW[TRAIN]], gpu="require")
    (finding,) = folder.manifest("train").outcome.findings
    assert "CLOSECAST_GPU=auto" in finding.todo
    assert not folder.exists("model.keras")


@pytest.mark.usefixtures("tiny")
def test_without_a_gpu_a_worker_of_its_queue_trains_all_the_same():
    """`queue` says where a task goes, not what is there. Device, name, backend and seconds are logged."""
    outcome = night("1", "2025-11-21", steps=FLOW[: TRAIN + 1], gpu="queue").manifest("train").outcome
    assert outcome.tags["device"] == model.device()
    assert outcome.tags["device_name"] == device.name_of(model.device())
    assert outcome.tags["backend"] == "tensorflow"
    assert outcome.metrics["fit_seconds"] > 0


def test_a_card_can_be_hidden(monkeypatch):
    """From both backends, by the variables that they read when they are imported."""
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, "before")  # so that it is as it was afterwards
    device.hide()
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["JAX_PLATFORMS"]) == ("-1", "cpu")


def test_two_tasks_can_share_a_card():
    """Neither backend takes all of its memory at the start."""
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_a_card_has_the_name_that_people_know(monkeypatch):
    """From the backend, for nvidia-smi may be missing in a container. Here a stand-in: no card was at hand."""
    card = types.SimpleNamespace(get_visible_devices=lambda _: ["card"], experimental=types.SimpleNamespace())
    card.experimental.get_device_details = {"card": {"device_name": "NVIDIA T4"}}.get
    monkeypatch.setattr("tensorflow.config", card)
    assert device.name_of("gpu:0") == "NVIDIA T4"
    assert device.check_gpu("gpu:0") is None


def test_the_processor_has_a_name_too():
    """Seconds are compared between machines."""
    assert len(device.name_of("cpu:0")) > 1


def test_train_and_nothing_else_goes_to_the_queue(tmp_path):
    """The others would keep the card's workers busy."""
    queues = look_at(tmp_path, CLOSECAST_GPU="queue")["queues"]
    assert {name for name, queue in queues.items() if queue == "gpu"} == {"train"}
    assert set(look_at(tmp_path)["queues"].values()) == {"default"}
