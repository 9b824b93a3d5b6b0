"""One picture."""

from pathlib import Path

import pandas as pd

from core.dataset_files.class_labels import label_notes
from core.dataset_files.deep_pictures import common_range
from core.dataset_files.file_sources import Folder
from core.dataset_formats import DataSet, Format
from core.errors import UserError
from core.files import content_ids
from core.images import (
    EXTENSIONS,
    LARGEST_FILE,
    PNG,
    decode,
    is_deep,
    is_misnamed,
    oddities,
    opened,
)

STARTS = (PNG, b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
NOT_READ = {".heic", ".heif", ".avif"}  # answered with what to do


def matches(path: Path) -> bool:
    """By its ending or first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() in EXTENSIONS | NOT_READ:
        return True
    with path.open("rb") as file:
        start = file.read(12)
    return start.startswith(STARTS) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def load(path: Path) -> DataSet:
    """The picture, decoded once to know that it can be. Raises UserError."""
    content = Folder(path.parent).read(path.name, LARGEST_FILE)
    if path.suffix.lower() in NOT_READ and content[4:8] != b"ftyp":
        raise UserError(f"{path.name}: {path.suffix[1:].upper()} is a format that is not "
                        "supported. Save the picture as PNG or JPEG.")
    picture = opened(content, path.name)
    notes = [f"A picture {words}." for words in oddities(picture)]
    if is_misnamed(picture, path.name):
        notes.append(f"It is called {path.suffix} but is {picture.format}; read as what it is.")
    span, how = common_range([0] if is_deep(picture) else [], lambda _: content)
    pixels = decode(content, path.name, span)
    pixels.setflags(write=False)
    return DataSet(
        title=path.name, image=lambda row: [pixels][row], labels=None, class_names=(),
        metadata=pd.DataFrame({"path": [path.name]}),
        notes=(f"{pixels.shape[1]:,} × {pixels.shape[0]:,} pixels, "
               f"{'grey' if pixels.shape[2] == 1 else 'RGB'}.", *notes, *how,
               *label_notes(None, ())),
    )


FORMAT = Format("Picture", matches, load, content_ids.of_files, listed=False)
