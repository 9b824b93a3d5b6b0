"""A .zip or .tar of any other kind of data set, read in place."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from core.dataset_files.archives import member_names
from core.dataset_files.tar_files import PACKED, Tarred
from core.dataset_files.zip_checks import LINK
from core.dataset_files.zip_files import Zipped
from core.dataset_formats import DataSet, Format
from core.dataset_formats.found_inside import data_inside
from core.errors import UserError
from core.files import content_ids
from core.files.found_files import stamp
from core.files.text_of_files import shown
from core.files.unknown_files import describe_unknown

ZIP = ".zip"
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OF_MODELS = {"data.pkl", "archive_format", "model.weights.h5", "model.json", "constants.pkl"}
NESTED = (".zip", ".tar", ".gz", ".7z", ".rar", ".tgz", ".bz2", ".xz")
OLD_TORCH = b"sys_info\0"  # the first member of torch's tar of 2017


def matches(path: Path) -> bool:
    """By its ending, unless its content is that of a model."""
    name = path.name.lower()
    if not name.endswith((ZIP, *TARS)) or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(262)
    if start.startswith(b"PK\x03\x04"):
        return not _is_model(path, *stamp(path))
    if name.endswith(".tar"):
        return start[257:262] == b"ustar" and not start.startswith(OLD_TORCH)
    return True


@lru_cache(maxsize=1_000)
def _is_model(path: Path, size: int, changed: int) -> bool:
    """Whether a zip holds what models' files do; its directory is read once as long as size and
    time stay."""
    return not {name.rpartition("/")[2] for name in member_names(path)}.isdisjoint(OF_MODELS)


def load(path: Path) -> DataSet:
    """The data set inside, by the first format that knows it; what of the archive cannot be read
    is left out and listed. Raises UserError."""
    source = _source(path)
    names = source.names()
    if not names:
        raise UserError(f"{path.name} {_without_files(source)} Pack the data again.")
    if found := data_inside(source):
        return replace(found, unreadable=(*source.unreadable, *found.unreadable),
                       notes=(*found.notes, *_left_out(source)))
    if any(name.lower().endswith(NESTED) for name in names):
        raise UserError(f"{path.name} holds no images, only other archives inside; nested ones are "
                        "not opened. Unpack it, and pack the pictures themselves.")
    raise UserError(f"{path.name} holds no images: its {len(names):,} files are "
                    f"{', '.join(names[:4])}{' …' if len(names) > 4 else ''}. Pack one folder per "
                    "class with pictures in it, or arrays, or a table.")


def _without_files(source: Zipped | Tarred) -> str:
    if not source.unreadable:
        return "is empty: it has no files, so no images."
    name, reason = source.unreadable[0]
    return (f"holds nothing that can be read: none of its {len(source.unreadable):,} files, first "
            f"{shown(name)}, which {reason}.")


def _left_out(source: Zipped | Tarred) -> tuple[str, ...]:
    """What to say of files that are not in the data set; of links `skipped_note` speaks."""
    others = [row for row in source.unreadable if row[1] != LINK]
    if not others:
        return ()
    name, reason = others[0]
    files = "file" if len(others) == 1 else "files"
    return (f"{len(others):,} {files} of the archive left out, first {shown(name)}, which "
            f"{reason}.",)


def _source(path: Path) -> Zipped | Tarred:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PK"):
        return Zipped(path)
    if start.startswith(PACKED) or start[257:262] == b"ustar":
        return Tarred(path)
    if path.name.lower().endswith(ZIP) and start[:1] not in (b"7", b"R") and start:
        raise UserError(f"{path.name} is not a zip, or it is damaged: its first bytes are not "
                        "those of one. Copy or download it again.")
    raise UserError(describe_unknown(start, path.name, "data set"))


FORMAT = Format("Archive", matches, load, content_ids.of_files)
