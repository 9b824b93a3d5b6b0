"""Values that an ONNX file keeps in files beside it (external data), of its own folder only."""

from bisect import bisect_left
from pathlib import Path

from core.files.file_map import FileMap
from core.files.limits import current_limits
from core.files.text_of_files import shown

KEYS = {"location", "offset", "length", "checksum"}
MOST_FILES = 256
LONGEST_NAME = 255  # bytes; what file systems allow
ONE_FILE = "export it as one file: torch.onnx.export(..., external_data=False)"

Place = tuple[str, int, int]  # a file's name, where the bytes begin and where they end


class ExternalFiles:
    """The files beside one ONNX file. Each place in them is given out as it is or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, FileMap] = {}
        self._given: dict[str, list[tuple[int, int]]] = {}  # by begin; no two overlap
        self._bytes = 0

    def place(self, values: dict[str, str], size: int) -> Place:
        """Where the `size` bytes lie that a tensor's entries name. Raises ValueError."""
        if unknown := values.keys() - KEYS:
            raise ValueError(f"its external data has the unknown key {shown(min(unknown))}")
        name = values.get("location", "")
        if not name or name in (".", "..") or any(c in name for c in "/\\:\0"):
            raise ValueError(f"its external data lies outside the file's own folder "
                             f"({shown(name)}), which is not opened")
        offset, length = (_whole(values.get(key), default) for key, default in
                          (("offset", 0), ("length", size)))
        present = len(self._file(name))
        if length != size or offset + length > present:
            raise ValueError(f"its external data, {length:,} bytes from offset {offset:,} on, does "
                             f"not match its size of {size:,} bytes or the file {shown(name)}")
        self._give(name, offset, offset + length)
        return name, offset, offset + length

    def view(self, place: Place) -> memoryview:
        name, start, end = place
        return self._files[name].numbers(start, end - start)

    def _give(self, name: str, start: int, end: int) -> None:
        """Small files that name the same bytes again and again would grow without end."""
        given = self._given.setdefault(name, [])
        nth = bisect_left(given, (start, end))
        if given[nth:nth + 1] == [(start, end)] or start == end:
            return
        if (nth and given[nth - 1][1] > start) or (nth < len(given) and given[nth][0] < end):
            raise ValueError("its external data overlaps that of another tensor, it is damaged")
        given.insert(nth, (start, end))

    def _file(self, name: str) -> FileMap:
        if name not in self._files:
            path = self._folder / name
            if len(name.encode()) > LONGEST_NAME or path.is_symlink() or not path.is_file():
                raise ValueError(f"its values are in a separate file (external data), "
                                 f"{shown(name)}, which is missing here. Put it into the same "
                                 f"folder, or {ONE_FILE}")
            self._check_size(name, path.stat().st_size)
            self._files[name] = FileMap(path)
        return self._files[name]

    def _check_size(self, name: str, size: int) -> None:
        self._bytes += size
        if not size:
            raise ValueError(f"the separate file {shown(name)} is empty")
        if self._bytes > (limit := current_limits().unpacked_bytes):
            raise ValueError(f"the separate file {shown(name)} is too large: with it there are "
                             f"{self._bytes:,} bytes, the limit is {limit:,}")
        if len(self._files) >= MOST_FILES:
            raise ValueError(f"its values are in more than {MOST_FILES} separate files, the "
                             f"limit: {ONE_FILE}")


def _whole(said: str | None, default: int) -> int:
    if said is None:
        return default
    if not (said.isascii() and said.isdigit() and len(said) < 19):
        raise ValueError(f"its external data has the offset or length {shown(said)}, which is none")
    return int(said)
