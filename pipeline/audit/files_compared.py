"""Two files of a step compared value by value: the first difference, and the largest one relative to its values."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from pipeline.store.formats import arrays_of, frame_of

Values: TypeAlias = "npt.NDArray[Any] | float | str | None"
# They name the moment or the checkout of a run. Other parts of the comparison check both.
_IGNORED = {
    "forecast.json": ("forecast.created",),
    "decision.json": ("changes.versions.",),
}
# Shares, p-values and skills may be near zero: their differences count in full.
_LEAST = {"metrics.json": 1.0}
# The texts of a decision repeat rounded figures of the scores, which are compared themselves.
_ROUNDED = {"decision.json": re.compile(r"(?<![\w.])\d+\.\d+")}


class Compared(NamedTuple):
    """The result for one file, or for several."""

    total: int = 0  # of the values
    first: str = ""  # the first difference; "" when all values are equal to the last bit
    largest: float = (
        0.0  # difference over the largest value of its array; infinite for texts and shapes, 0 for rounding
    )

    def plus(self, other: Compared) -> Compared:
        """Return both results as one."""
        first = self.first or other.first
        return Compared(self.total + other.total, first, max(self.largest, other.largest))


def compared(name: str, recorded: bytes, again: bytes) -> Compared:
    """Return the comparison of two contents of a file. Time stamps of a `.keras` file count for nothing.

    Args:
        name: of the file; its ending is the format.
        recorded: content of the night.
        again: content of the night that was made again.
    """
    then = dict(values_of(name, recorded))
    now = dict(values_of(name, again))
    found = Compared()
    for path in [*then, *(path for path in now if path not in then)]:
        where = f"{name} {path}".strip()
        if path not in now:
            found = found.plus(Compared(1, f"{where}: recorded, and not made again", math.inf))
        elif path not in then:
            found = found.plus(Compared(1, f"{where}: made again, and not recorded", math.inf))
        else:
            found = found.plus(_compared_values(name, where, then[path], now[path]))
    return found


def values_of(name: str, data: bytes) -> Iterator[tuple[str, Values]]:
    """Yield the values of a file by their path in it: weights, columns, arrays, fields.

    Raises:
        ValueError: when the format is unknown.
    """
    ending = name.rpartition(".")[2]
    if ending == "keras":
        yield from _weights(data)
    elif ending == "npz":
        yield from arrays_of(data).items()
    elif ending == "parquet":
        frame = frame_of(data)
        yield "index", frame.index.to_numpy()
        for column in frame.columns:
            yield str(column), frame[column].to_numpy()
    elif ending == "json":
        ignored = _IGNORED.get(name, ())
        for path, value in _leaves(json.loads(data), ""):
            if not path.startswith(ignored):
                yield path, value
    else:
        message = f"No values are known of {name}."
        raise ValueError(message)


def _weights(data: bytes) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    found: list[tuple[str, npt.NDArray[Any]]] = []

    def add(path: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((path, np.asarray(item)))

    with h5py.File(weights) as file:
        file.visititems(add)
    yield from found


def _leaves(value: object, path: str) -> Iterator[tuple[str, Values]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{at}]")
    elif isinstance(value, float) or value is None:
        yield path, value
    else:
        yield path, str(value)


def _compared_values(name: str, where: str, then: Values, now: Values) -> Compared:
    least = _LEAST.get(name, 0.0)
    if isinstance(then, np.ndarray) and isinstance(now, np.ndarray):
        return _compared_arrays(where, then, now, least)
    if isinstance(then, float) and isinstance(now, float):
        return _compared_arrays(where, np.array([then]), np.array([now]), least)
    if then == now:
        return Compared(1)
    first = f"{where}: recorded {then!s:.60}, made again {now!s:.60}"
    rounded = _ROUNDED.get(name)
    same_words = rounded is not None and rounded.sub("", str(then)) == rounded.sub("", str(now))
    return Compared(1, first, 0.0 if same_words else math.inf)


def _compared_arrays(where: str, then: npt.NDArray[Any], now: npt.NDArray[Any], least: float) -> Compared:
    if then.shape != now.shape or then.dtype != now.dtype:
        return Compared(1, f"{where}: recorded {then.dtype}{then.shape}, made again {now.dtype}{now.shape}", math.inf)
    floating = np.issubdtype(then.dtype, np.floating)
    same = (then == now) | (np.isnan(then) & np.isnan(now)) if floating else then == now
    if same.all():
        return Compared(then.size)
    at = int(np.flatnonzero(~same.ravel())[0])
    place = f"{where}[{at}]" if then.size > 1 else where
    first = f"{place}: recorded {then.ravel()[at].item()!r}, made again {now.ravel()[at].item()!r}"
    largest = _relative(then, now, least) if floating else math.inf
    return Compared(then.size, first, largest)


def _relative(then: npt.NDArray[Any], now: npt.NDArray[Any], least: float) -> float:
    """Return the largest difference over the largest recorded value; infinite where one side has no number."""
    if not (np.isnan(then) == np.isnan(now)).all():
        return math.inf
    size = max(float(np.nanmax(np.abs(then))), least)
    difference = float(np.nanmax(np.abs(then - now)))
    return difference / size if size else math.inf
