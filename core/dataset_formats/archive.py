"""A .zip or .tar of any other kind of data set, read in place."""

from pathlib import Path

from core.dataset_files.archives import member_names
from core.dataset_files.file_sources import Source, Zipped
from core.dataset_files.tar_files import PACKED, Tarred
from core.dataset_formats import DataSet, Format
from core.dataset_formats.found_inside import data_inside
from core.errors import UserError
from core.files import content_ids
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
        return not {member.rpartition("/")[2] for member in member_names(path)} & OF_MODELS
    if name.endswith(".tar"):
        return start[257:262] == b"ustar" and not start.startswith(OLD_TORCH)
    return True


def load(path: Path) -> DataSet:
    """The data set inside, by the first format that knows it. Raises UserError."""
    source = _source(path)
    if not source.names():
        raise UserError(f"{path.name} is empty: it has no files, so no images. "
                        "Pack the data again.")
    if found := data_inside(source):
        return found
    names = source.names()
    if any(name.lower().endswith(NESTED) for name in names):
        raise UserError(f"{path.name} holds no images, only other archives inside; nested ones are "
                        "not opened. Unpack it, and pack the pictures themselves.")
    raise UserError(f"{path.name} holds no images: its {len(names):,} files are "
                    f"{', '.join(names[:4])}{' …' if len(names) > 4 else ''}. Pack one folder per "
                    "class with pictures in it, or arrays, or a table.")


def _source(path: Path) -> Source:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PK"):
        return Zipped(path)
    if start.startswith(PACKED) or start[257:262] == b"ustar":
        return Tarred(path)
    if path.name.lower().endswith(ZIP) and start[:1] not in (b"7", b"R") and start:
        raise UserError(f"{path.name} is not a zip, or it is damaged: its first bytes are not "
                        "those of one. Copy or download it again.")
    raise UserError(describe_unknown(start, path.name))


FORMAT = Format("Archive", matches, load, content_ids.of_files)
