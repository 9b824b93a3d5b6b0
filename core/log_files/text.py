"""Logs that are text: told by their ending, decoded by their first bytes, bounded."""

import codecs
from functools import lru_cache
from pathlib import Path

from core.errors import UserError
from core.files.limits import MB
from core.files.walked_folders import stamp
from core.log_files.bytes import LogBytes, cannot_read
from core.log_files.lost import Lost

ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson", ".log")
HEAD = 1 << 16  # bytes looked at to tell what a file is
LARGEST = 256 * MB
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def plain_name(path: Path) -> str:
    """The name in lower case, without .gz."""
    return path.name.lower().removesuffix(".gz")


def start_of(path: Path) -> str:
    """The first characters of a text; "" where it is none by its ending or its bytes."""
    if not plain_name(path).endswith(ENDINGS) or not path.is_file():
        return ""
    return _start(path, *stamp(path))


@lru_cache(maxsize=256)
def _start(path: Path, size: int, changed: int) -> str:
    try:
        with LogBytes(path) as file:
            head = file.read(HEAD)
    except (OSError, UserError):  # said when it is opened
        return ""
    encoding = encoding_of(head)
    return head.decode(encoding, "replace") if encoding else ""


def encoding_of(head: bytes) -> str | None:
    """utf-16, utf-8-sig or latin-1; None where it is no text."""
    if head.startswith(UTF16):
        return "utf-16"
    if b"\0" in head:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def read_text(path: Path, largest: int = LARGEST) -> tuple[str, list[str]]:
    """The whole text, and what is odd about its bytes. Raises UserError."""
    try:
        with LogBytes(path) as file:
            content, fault = file.read(largest + 1), file.fault
    except OSError as error:
        raise cannot_read(error, path) from error
    if len(content) > largest:
        raise UserError(f"{path.name} has more than {largest // MB:,} MB of text, the limit. "
                        "Split it, or log to TensorBoard event files.")
    encoding = encoding_of(content[:HEAD])
    if encoding is None:
        raise UserError(f"{path.name} is not a text file, or it is damaged: it holds zero bytes. "
                        "Choose a CSV or JSON file of metrics.")
    text = content.decode(encoding, "replace")
    if not text.strip():
        raise UserError(f"{path.name} is empty: it has no data. Open it again once training has "
                        "logged a step.")
    notes = [Lost(f"{path.name}: {fault}.")] if fault else []
    if encoding == "latin-1":
        notes.append(f"{path.name} is not UTF-8; it was read as Latin-1.")
    if "\ufffd" in text and encoding != "latin-1":
        notes.append(f"{path.name} holds characters that cannot be read; they are shown as �.")
    return text, notes
