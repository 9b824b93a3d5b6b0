"""Arrays in numpy's files: the header is checked before any value is read; nothing is unpickled.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import tokenize

import numpy as np
from numpy.lib import format as npy

from core.errors import UserError
from core.files.text_of_files import shown

LONGEST_HEADER = 10_000  # bytes
MAGIC = b"\x93NUMPY"
AGAIN = "Copy it again, or save it again with numpy.save."
BAD = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, EOFError, KeyError,
       OverflowError, tokenize.TokenError)


def header_of(data: memoryview, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """(shape, by columns, dtype, where the values start) of a .npy file.

    Raises UserError for what is damaged.
    """
    if bytes(data[:6]) != MAGIC:
        raise UserError(f"{name} is not a numpy array, or its header is corrupt. {AGAIN}")
    stream = io.BytesIO(data[:LONGEST_HEADER + 12])
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, by_columns, dtype = read(stream, max_header_size=LONGEST_HEADER)
    except BAD as error:
        raise UserError(f"{name}: the header of the array is invalid "
                        f"({shown(error, 80)}). {AGAIN}") from error
    if min(shape, default=0) < 0:
        raise UserError(f"{name}: the header of the array is invalid, its shape {shape} is "
                        f"negative. {AGAIN}")
    return shape, by_columns, dtype, stream.tell()


def array_in(data: memoryview, name: str) -> np.ndarray:
    """The array of a .npy file, read-only, over `data` itself.

    Raises UserError as header_of does, for Python objects and other types that are neither numbers
    nor text, and for sizes that the file does not have.
    """
    shape, by_columns, dtype, start = header_of(data, name)
    if dtype.hasobject:
        raise UserError(f"{name} holds Python objects (pickle), which could run code and are not "
                        "read. Save it again with plain values: y.astype(str) for names, a numeric "
                        "type for numbers.")
    if dtype.kind not in "buifUS" or dtype.itemsize == 0:
        raise UserError(f"{name}: values of the type {shown(dtype, 40)} are not read; images and "
                        "labels are numbers or text. Save them so.")
    needed, present = math.prod(shape) * dtype.itemsize, len(data) - start
    if needed > present:
        raise UserError(f"{name}: the header says {needed:,} bytes, but only {present:,} follow; "
                        f"it is truncated, or its header invalid. {AGAIN}")
    values = np.frombuffer(data[start:start + needed], dtype)
    values = values.reshape(shape, order="F" if by_columns else "C")
    values.setflags(write=False)
    return values
