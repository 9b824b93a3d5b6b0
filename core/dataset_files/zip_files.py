"""The files of a zip, read in place."""

from dataclasses import replace
from pathlib import Path

from core.dataset_files.archives import Archive
from core.dataset_files.file_sources import PICTURES_AN_ARCHIVE, SMALL, is_kept
from core.dataset_files.zip_checks import LINK
from core.errors import UserError
from core.files.limits import MB, current_limits


class Zipped:
    """The files of a zip without its one top folder; `unreadable` says which were left out.

    Raises UserError as Archive does.
    """

    def __init__(self, path: Path) -> None:
        limits, more = current_limits(), PICTURES_AN_ARCHIVE
        self._largest = limits.unpacked_bytes  # of one member that is read as a whole
        limits = replace(limits, members=limits.members * more,
                         unpacked_bytes=limits.unpacked_bytes * more)
        self._archive = Archive(path, path.name, limits, partly=True)
        self._names = sorted(filter(is_kept, self._archive.names))
        self.title = path.name
        self.unreadable = [row for row in self._archive.unreadable if is_kept(row[0])]
        self.skipped, self.closed = sum(reason == LINK for _, reason in self.unreadable), ()

    def names(self) -> list[str]:
        return list(self._names)

    def size(self, name: str) -> int:
        return self._archive.size(name)

    def __contains__(self, name: str) -> bool:
        return name in self._archive

    def read(self, name: str, limit: int) -> bytes:
        return self._archive.read(name, limit)

    def start(self, name: str, count: int) -> bytes:
        return self._archive.start(name, count)

    def view(self, name: str) -> memoryview:
        if self.size(name) > self._largest:
            raise UserError(f"{name} would take {self.size(name) / MB:,.0f} MB, the limit is "
                            f"{self._largest / MB:,.0f} MB in an archive. Unpack it first.")
        small = self.size(name) <= SMALL
        return memoryview(self._archive.read(name)) if small else self._archive.view(name)
