"""Results on disk: folders of plain arrays, named by their content, whole or absent, bounded.

NETLENS_CACHE says where (else the user's cache folder), NETLENS_CACHE_GB how much (else 5); what
is uploaded, downloaded, unfinished or unpacked counts with the results.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files.cache_space import locked, make_room
from core.files.text_of_files import shown

VERSION = 2  # raise when what a key stands for is computed differently
LARGEST_COPY = 4096  # bytes; smaller arrays are read, since an empty one cannot be mapped
READERS = ("torch", "torchvision", "timm", "keras")
SHARE = 0.01  # of the limit, that may be written before it is looked at again
_unmeasured = float("inf")  # bytes written since then
INDEX = "index.json"  # written last: array name -> file and its size


def folder() -> Path:
    """Where results are kept."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netlens"
    return Path(os.environ.get("NETLENS_CACHE") or default)


def uploads() -> Path:
    """Where uploaded files are kept, each in a folder named by its content."""
    return folder() / "uploads"


def scratch() -> Path | None:
    """A folder for temporary files, None for the system's own where the cache cannot be written."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder() if os.access(folder(), os.W_OK) else None


def limit() -> float:
    """Bytes that all results together may take. Raises UserError where NETLENS_CACHE_GB is no
    number."""
    said = os.environ.get("NETLENS_CACHE_GB") or "5"
    try:
        return float(said) * 1e9
    except ValueError as error:
        raise UserError(f"NETLENS_CACHE_GB is {shown(said)}; give a number such as 5.") from error


def key(**parts: Any) -> str:
    """32 hexadecimal digits from digests, names and numbers; never from arrays."""
    return hashlib.sha256(json.dumps([VERSION, parts], sort_keys=True).encode()).hexdigest()[:32]


@cache
def code() -> str:
    """A digest of Netlens's own code and of the packages that it reads files with: what is kept
    under it does not outlive them. A source file is known by its size and time, as for Python
    itself."""
    digest = hashlib.sha256()
    folders = os.walk(Path(__file__).parent)
    for file in sorted(f"{place}/{name}" for place, _, names in folders for name in names):
        if file.endswith(".py"):
            found = os.stat(file)
            digest.update(f"{file} {found.st_size} {found.st_mtime_ns}\0".encode())
    for package in READERS:
        with suppress(metadata.PackageNotFoundError):
            digest.update(f"{package} {metadata.version(package)}\0".encode())
    return digest.hexdigest()[:32]


def read_json(key: str) -> Any:
    """What `write_json` kept; None where there is nothing."""
    if (found := read(key)) is None:
        return None
    try:
        return json.loads(found["json"].tobytes())
    except (KeyError, ValueError):  # damaged: it is computed again
        shutil.rmtree(folder() / key, ignore_errors=True)
        return None


def write_json(key: str, said: Any, **beside: np.ndarray) -> None:
    """Keeps anything that JSON can say, and arrays. Raises UserError where the cache cannot be
    written."""
    content = np.frombuffer(json.dumps(said).encode(), np.uint8)
    with writing(key) as files:
        for name, array in {"json": content, **beside}.items():
            files.array(name, array.shape, array.dtype.str)[...] = array


def kept(key: str, make: Callable[[], Any], worth: Callable[[Any], bool] = bool) -> Any:
    """What is under `key`, else what `make` says, kept where it is worth it, as a failure that may
    pass is not, and the cache can be written."""
    if (found := read_json(key)) is None:
        found = make()
        if worth(found):
            with suppress(UserError):  # the pass, which needs the cache, says so
                write_json(key, found)
    return found


def has_any() -> bool:
    """Whether a result is kept."""
    return any(folder().glob(f"*/{INDEX}"))


def read(key: str) -> Mapping[str, np.ndarray] | None:
    """The arrays under `key`, mapped from disk and read-only; None where there are none.

    A folder that is incomplete or damaged is deleted, so that it is computed again.
    """
    place = folder() / key
    if not (place / INDEX).is_file():
        return None
    try:
        index = json.loads((place / INDEX).read_text())
        arrays = {name: _mapped(place / file, size) for name, (file, size) in index.items()}
        if not arrays:
            raise ValueError("no arrays")
    except (OSError, ValueError, TypeError, AttributeError):
        shutil.rmtree(place, ignore_errors=True)
        return None
    with suppress(OSError):  # a cache that may only be read
        os.utime(place)  # last used, for `trim`
    return arrays


def _mapped(file: Path, size: int) -> np.ndarray:
    if file.stat().st_size != size:
        raise ValueError("truncated")
    mapped = np.load(file, mmap_mode="r" if size > LARGEST_COPY else None, allow_pickle=False)
    mapped.setflags(write=False)
    return mapped


class Writer:
    """The arrays of one result while they are being made, on disk from the first byte."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """An array of zeros to be filled, however large, without memory of its own."""
        file = self.place / f"{len(self.arrays)}.npy"
        if 0 in shape:
            np.save(file, np.zeros(shape, dtype))
            self.arrays[name] = np.zeros(shape, dtype)
        else:
            self.arrays[name] = np.lib.format.open_memmap(file, "w+", dtype=dtype, shape=shape)
            _reserve(file)
        return self.arrays[name]


def _reserve(file: Path) -> None:
    """Takes the room on disk now: a mapped file that outgrows the disk kills the process."""
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


@contextmanager
def writing(key: str) -> Iterator[Writer]:
    """A result that appears under `key` when the block ends well, and not at all otherwise."""
    place = folder() / f".{key}.{uuid.uuid4().hex}"
    limit()  # what is wrong with it is said before the work
    try:
        place.mkdir(parents=True)
        writer = Writer(place)
        with locked(place):
            yield writer
        index = {}
        for number, (name, array) in enumerate(writer.arrays.items()):
            if isinstance(array, np.memmap):
                array.flush()
            index[name] = (f"{number}.npy", (place / f"{number}.npy").stat().st_size)
        (place / INDEX).write_text(json.dumps(index))
        size = sum(size for _, size in index.values())
        _appear(place, folder() / key)
    except OSError as error:
        raise UserError(
            f"Results could not be written to {folder()} ({error.strerror}). Make room there, or "
            "name another folder in NETLENS_CACHE."
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    _trim_if_due(size)


def _appear(place: Path, wanted: Path) -> None:
    """Gives a whole result its name, unless another process was first with the same."""
    try:
        place.rename(wanted)
    except OSError:
        if not (wanted / INDEX).is_file():  # what a deletion that was cut short has left
            shutil.rmtree(wanted, ignore_errors=True)
            place.rename(wanted)


def _trim_if_due(size: int) -> None:
    """Looking at all that is kept takes longer the more it is: not after each small result."""
    global _unmeasured
    _unmeasured += size
    if _unmeasured >= SHARE * limit():
        _unmeasured = 0.0
        trim()


def trim() -> None:
    """Deletes what was used longest ago until all fits the limit, and what dead processes left."""
    if not folder().is_dir():
        return
    own = [place for place in folder().iterdir() if place != uploads()]
    make_room([*own, *(uploads().iterdir() if uploads().is_dir() else ())], limit())
