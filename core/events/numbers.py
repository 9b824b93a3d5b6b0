"""One number of each of many records, from the bytes at the same place of each."""

from collections.abc import Callable

import numpy as np

from core.events.layout import Span

# (first byte, numpy type) -> what is there in each record; perhaps a view of it
Column = Callable[[int, str], np.ndarray]
LONGEST_VARINT = 10  # bytes


def numbers(column: Column, width: int, span: Span, dtype: str) -> np.ndarray:
    """The number that each record has at the span, of its own type, bfloat16 as float32.

    width: so many bytes of each record may be asked for.
    """
    stored = "<u2" if dtype in ("bfloat16", "<f2") else dtype
    found = (_varints(column, width, span).astype(stored) if span.format == "varint"
             else column(span.start, stored))
    if dtype == "bfloat16":
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found.view(dtype)


def _varints(column: Column, width: int, span: Span) -> np.ndarray:
    """The numbers whose bytes, seven bits each, are at the span: whole words where there is room.
    """
    size = min(span.stop - span.start, LONGEST_VARINT)
    word = 4 if size <= 4 else 8
    if size > word or span.start + word > width:
        parts = [column(span.start + place, "u1").astype(np.uint64) for place in range(size)]
    else:
        whole = column(span.start, f"<u{word}").copy()  # it is read more than once
        parts = [whole >> whole.dtype.type(8 * place) for place in range(size)]
    kind = parts[0].dtype.type
    bits = parts[0] & kind(127)
    for place, part in enumerate(parts[1:], 1):
        bits |= (part & kind(127)) << kind(7 * place)
    return bits
