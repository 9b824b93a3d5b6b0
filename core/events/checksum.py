"""CRC-32C as event files store it: of one record, and of many that differ in a few bytes."""

from functools import cache, lru_cache
from typing import Any

import numpy as np
from google_crc32c import value as crc32c

LONGEST_BY_TABLE = 4096  # bytes; a table of 1 KB for each
MOST_FREE_BYTES = 150  # above this a call a record is quicker than a look-up a byte
FEWEST_ROWS = 16


def masked(crc: Any) -> Any:
    """The form in which a checksum is stored, of an int or of a uint32 array."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def unmasked(stored: np.ndarray) -> np.ndarray:
    """The checksums of which these are the stored form, uint32."""
    turned = stored - np.uint32(0xA282EAD8)
    return turned >> 17 | turned << 15


@cache
def _byte_tables(count: int) -> np.ndarray:
    """(count, 256): what each byte adds to a checksum when so many bytes follow it.

    CRC is linear over xor, so the bytes of a record add up one by one.
    """
    tables = np.empty((count, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = tables[0] >> 1 ^ (tables[0] & 1) * np.uint32(0x82F63B78)
    for following in range(1, count):
        before = tables[following - 1]
        tables[following] = tables[0][before & 255] ^ before >> 8
    return tables


@lru_cache(maxsize=64)  # 16 MB at most
def added(left: int, dtype: str) -> np.ndarray:
    """What each byte, or each pair of bytes as a "<u2", adds to a checksum where so many bytes are
    left, itself among them."""
    tables = _byte_tables(1 << max(6, (left - 1).bit_length()))  # few sizes, so few tables
    if dtype == "u1":
        return tables[left - 1]
    return (tables[left - 2][:, None] ^ tables[left - 1]).ravel()


def row_checksums(rows: np.ndarray, length: int, like: np.ndarray, free: np.ndarray) -> np.ndarray:
    """CRC-32C of the first `length` bytes of each row, uint32 (N,).

    like: for each row, the number of a row equal to it in all columns but those in `free`.
    """
    if length > LONGEST_BY_TABLE or len(free) > MOST_FREE_BYTES or len(rows) < FEWEST_ROWS:
        return np.array([crc32c(row[:length].tobytes()) for row in rows], np.uint32)
    common = np.zeros(len(rows), np.uint32)
    for number in np.flatnonzero(np.bincount(like)):
        row = rows[number, :length].copy()
        row[free] = 0
        common[number] = crc32c(row.tobytes())
    sums = common[like]
    for column in free.tolist():
        sums ^= added(length - column, "u1").take(rows[:, column])
    return sums
