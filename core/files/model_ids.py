"""What tells a model's files from any others, and how large they are together."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from core.errors import cannot_be_read
from core.files.walked_folders import stamp
from core.model_formats.shard_index import whole_name

LARGE = 1 << 27  # bytes from which on a model's weights are read only where they are needed
BLOCK, BLOCKS = 1 << 16, 64  # bytes, and how many of them, that tell a large file


@lru_cache(maxsize=10_000)
def _bytes_id(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        if size <= LARGE:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
        digest = hashlib.sha256(f"{size}\0{changed}\0".encode())
        for block in range(BLOCKS):
            file.seek(block * (size - BLOCK) // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()[:32]


def file_id(path: Path) -> str:
    """A digest of the file's bytes, read once as long as size and time stay; of a large file's
    size, time and a sample of its bytes, so that it is another once it was written. Raises
    UserError."""
    try:
        return _bytes_id(path, *stamp(path))
    except OSError as error:
        raise cannot_be_read(path.name, error) from error


def content_id(path: Path) -> str:
    """A digest of all files of a model, see `file_id`. Raises UserError."""
    ids = [file_id(path), *map(file_id, _parts(path))]
    return ids[0] if len(ids) == 1 else hashlib.sha256("".join(ids).encode()).hexdigest()[:32]


def is_large(path: Path) -> bool:
    """Whether the files of a model are larger than is read without need."""
    return sum(stamp(file)[0] for file in (path, *_parts(path))) > LARGE


def _parts(path: Path) -> list[Path]:
    """The files that a model's weights seem to lie in beside its own: `net.onnx.data` beside
    `net.onnx`, the numbered parts of a set with an index."""
    whole = whole_name(path.name)
    try:
        beside = sorted(os.listdir(path.parent))
    except OSError:  # a folder whose files may be opened, but not listed
        return []
    parts = [
        path.with_name(name)
        for name in beside
        if name != path.name
        and (name.startswith(path.name) or whole_name(name) == whole != name)
    ]
    return [part for part in parts if part.suffix != ".json" and part.is_file()]
