"""The frame of vectors: one row a window of a text, and its numbers as a matrix.

Belongs here: its schema, building it, taking it apart. Does not belong here: making vectors (reading) or keeping them (store).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from distill_assets.curate.vectors.reading import Window

# A vector is the int8 numbers of one window as bytes; norm_sq is the sum of their squares.
VECTOR_SCHEMA = {
    "text_id": pl.String, "window_ix": pl.Int32, "start_chars": pl.Int64, "end_chars": pl.Int64,
    "norm_sq": pl.Int64, "vector": pl.Binary,
}  # fmt: skip


def build_vectors(text_ids: Sequence[str], windows: Sequence[Window], vectors: Any) -> pl.DataFrame:
    """The frame of vectors, as VECTOR_SCHEMA says.

    Args:
        windows: of these texts. vectors: int8, one row a window.
    """
    columns = {
        "text_id": [text_ids[window.text_ix] for window in windows],
        "window_ix": [window.window_ix for window in windows],
        "start_chars": [window.start_chars for window in windows],
        "end_chars": [window.end_chars for window in windows],
        "norm_sq": sum_squares(vectors),
        "vector": [row.tobytes() for row in vectors],
    }
    return pl.DataFrame(columns, schema=VECTOR_SCHEMA)


def sum_squares(vectors: Any) -> Any:
    """The squared length of each row of whole numbers: int64."""
    import numpy as np

    whole = vectors.astype(np.int64)
    return np.einsum("ij,ij->i", whole, whole)


def unpack_vectors(frame: pl.DataFrame) -> Any:
    """The vectors of a frame's rows as one int8 matrix; (0, 0) of an empty frame."""
    import numpy as np

    if frame.is_empty():
        return np.zeros((0, 0), np.int8)
    return np.frombuffer(b"".join(frame["vector"].to_list()), np.int8).reshape(frame.height, -1)
