"""File formats of artefacts: Parquet, .npz and JSON as bytes. Equal content gives equal bytes, so hashes name it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex; it names the content."""
    return hashlib.sha256(data).hexdigest()


def frame_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as Parquet: equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def frame_of(data: bytes) -> pd.DataFrame:
    """Return the frame of a Parquet file, such as `frame_bytes` writes."""
    frame: pd.DataFrame = _table_of(data, use_pandas_metadata=True).to_pandas(use_threads=False)
    return frame


def rows_of(data: bytes) -> list[dict[str, Any]]:
    """Return the rows that `frame_bytes` wrote, as values by column: one row in a seventh of the time of a frame."""
    found: list[dict[str, Any]] = _table_of(data).to_pylist()
    return found


def _table_of(data: bytes, *, use_pandas_metadata: bool = False) -> pa.Table:
    """Read Parquet in this thread.

    A thread of Arrow that still runs at the end of the process may abort it (apache/arrow issue 34314). Arrow starts
    one for each file or object of Python that it reads from, whatever `use_threads` is, but none for a buffer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False, use_pandas_metadata=use_pandas_metadata)


def columns_bytes(**columns: npt.NDArray[Any]) -> bytes:
    """Return arrays of one length as Parquet, in two thirds of the bytes of `frame_bytes`.

    Prices of one series differ in their low bytes, so floats are split by byte, and integers are written as
    differences. Statistics and pandas' description would be a third of a file of 20 rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    encodings = {
        field.name: "BYTE_STREAM_SPLIT" if pa.types.is_floating(field.type) else "DELTA_BINARY_PACKED"
        for field in table.schema
    }
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, compression="zstd", use_dictionary=False, column_encoding=encodings, write_statistics=False,
        store_schema=False,
    )  # fmt: skip
    return buffer.getvalue()


def columns_of(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that `columns_bytes` wrote."""
    table = _table_of(data)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def arrays_bytes(**arrays: npt.NDArray[Any]) -> bytes:
    """Return named arrays as .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_of(data: bytes) -> Mapping[str, npt.NDArray[Any]]:
    """Return the arrays that `arrays_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def json_bytes(value: object) -> bytes:
    """Return plain values as readable JSON."""
    return json.dumps(value, indent=1, default=str).encode()


def compact_json_bytes(value: object) -> bytes:
    """Return plain values as JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_of(data: bytes) -> Any:  # noqa: ANN401 - JSON holds any value
    """Return the values that `json_bytes` wrote."""
    return json.loads(data)
