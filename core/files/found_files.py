"""What there is to open: finds models, data sets and logs under folders, and tells kinds apart."""

import os
import sys
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import UserError, cannot_be_read
from core.files.found_data import data_set_at, data_sets
from core.files.paths import exists, named
from core.files.text_of_files import as_text
from core.files.unknown_files import OF_ARROW, describe_unknown
from core.files.unknown_folders import few, without_files
from core.files.walked_folders import Walked, stamp, walked
from core.plugins import discover, knows

SAMPLES = Path(__file__).parents[2] / "sample_models"
SAVED = "dataset_dict.json"  # in a folder of splits that Hugging Face's datasets saved
MOST_ENTRIES = 500  # of a folder that is none of these kinds
# Listed by name even where no format knows the bytes, so that a person learns why it does not open.
MODEL_ENDINGS = {
    ".pt",
    ".pth",
    ".th",
    ".ckpt",
    ".pt2",
    ".safetensors",
    ".onnx",
    ".keras",
    ".h5",
    ".hdf5",
}
REMEMBERED = 20  # times as long as it took to look, a listing is taken for current
KINDS = ("models", "data", "logs")


@dataclass(frozen=True)
class Listing:
    """Names, relative to the folders, and where they are; `skipped` says what was not looked at."""

    paths: dict[str, Path]
    skipped: str = ""


@cache
def folders(kind: str) -> tuple[Path, ...]:
    """The folders of one of KINDS: the samples', and those named by `--models DIR` and the like
    after `--`, and by NETLENS_MODELS, NETLENS_DATA, NETLENS_LOGS."""
    words, given = sys.argv[1:], []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, _, value = word.partition("=")
        if flag == f"--{kind}" and (value or following):
            given.append(value or following)
    given += [
        part for part in os.environ.get(f"NETLENS_{kind.upper()}", "").split(os.pathsep) if part
    ]
    return tuple(
        dict.fromkeys([*(Path(folder).expanduser().resolve() for folder in given), SAMPLES])
    )


_listed: dict[tuple[str, tuple[Path, ...]], tuple[float, Listing]] = {}  # until when it counts
_found: dict[tuple[str, Path], tuple[int, list[Path]]] = {}  # below a root, while its stamp stays


def listing(kind: str) -> Listing:
    """What can be opened, the person's own folders first, then the samples.

    Looking takes at most a twentieth of the time, however large the folders.
    """
    begin, asked = time.monotonic(), (kind, folders(kind))
    until, found = _listed.get(asked, (0.0, None))
    if found is None or begin >= until:
        found, end = _look(kind), time.monotonic()
        _listed[asked] = end + REMEMBERED * (end - begin), found
    return found


def _look(kind: str) -> Listing:
    paths: dict[str, Path] = {}
    skipped = []
    for root in folders(kind):
        try:
            if not exists(root):
                skipped.append(f"The folder {root.name} does not exist.")
                continue
        except UserError as error:
            skipped.append(str(error))
            continue
        for path in _below(kind, root):
            name = as_text(path.relative_to(root).as_posix() if path != root else root.name)
            paths.setdefault(name if name not in paths else f"{root.name}/{name}", path)
    return Listing(paths, " ".join(skipped))


def _below(kind: str, root: Path) -> list[Path]:
    """What of a kind there is at the root or below; of a folder that is as it was, what was found
    then, since asking every format of every file takes most of the time."""
    if root.is_file():
        return [root] if kind != "logs" or _is_log(root) else []
    if kind == "data" and (there := data_set_at(root)):
        return there
    seen = walked(root)
    known, found = _found.get((kind, root), (None, []))
    if known != seen.stamp:
        find = {"models": _model_files, "data": data_sets, "logs": _log_folders}[kind]
        found = find(root, seen)
        _found[kind, root] = seen.stamp, found
    return found


def _model_files(root: Path, seen: Walked) -> list[Path]:
    every = [place / name for place, names in seen.folders for name in names]
    return [
        path
        for path in every
        if path.suffix.lower() in MODEL_ENDINGS or _is_model(path, *stamp(path))
    ]


@lru_cache(maxsize=100_000)
def _is_model(path: Path, size: int, changed: int) -> bool:
    return (
        size > 0
        and (not path.name.endswith(".json") or path.name.endswith(".index.json"))
        and format_of(path, "core.model_formats") is not None
    )


def _is_log(path: Path) -> bool:
    try:
        if not path.is_file():  # a named pipe would be waited for
            return False
    except OSError:  # closed to this account
        return False
    return any(knows(form, path) for form in discover("core.log_formats", "FORMAT").values())


def _log_folders(root: Path, seen: Walked) -> list[Path]:
    """Folders whose sub-folders are runs, and a root that is a run itself."""
    runs = [place for place, names in seen.folders
            if any(_is_log(place / name) for name in _logs_first(names))]
    return sorted({run if run == root else run.parent for run in runs})


def _logs_first(names: list[str]) -> list[str]:
    """The files of a folder that may be logs, the likeliest first, a bounded number."""
    return sorted(names, key=lambda name: "events" not in name)[:200]


def format_of(path: Path, package: str) -> Any:
    """The first format in `package` that knows the file or folder for its own, or None."""
    return next((f for f in discover(package, "FORMAT").values() if knows(f, path)), None)


def model_format(path: Path) -> str:
    """The title of the format that reads a model file. Raises UserError if none does."""
    form = format_of(path, "core.model_formats") if path.is_file() else None
    if form is None:
        raise UserError(not_known(path, "model"))
    return form.title


def kind_of(path: Path) -> str | None:
    """One of KINDS by what a file or folder holds; None where nothing here reads it. Raises
    UserError where the system does not say whether it is there."""
    if not exists(path):
        return None
    data = format_of(path, "core.dataset_formats")
    if data and data.by_name:
        return "data"
    if path.is_file() and _is_model(path, *stamp(path)):
        return "models"
    if data and (data.listed or path.is_file()):
        return "data"
    if _is_log(path) if path.is_file() else _log_folders(path, walked(path)):
        return "logs"  # beside which some arrays make no data set
    return "data" if data else None


def not_known(path: Path, kind: str) -> str:
    """Why a path is not of a kind, in one sentence, and what to do."""
    if not exists(path):
        return f"{named(path)} does not exist. Choose another {kind}."
    if path.is_dir():
        return f"{named(path)} is a folder that is no {kind}. {_what_lies_in(path)}"
    try:
        with path.open("rb") as file:
            return describe_unknown(file.read(4096), path.name, kind)
    except OSError as error:
        return str(cannot_be_read(path.name, error))


def _what_lies_in(folder: Path) -> str:
    """What of a folder can be opened instead, or why nothing can."""
    try:
        entries = sorted(islice(folder.iterdir(), MOST_ENTRIES))
    except OSError as error:
        return str(cannot_be_read("It", error))
    links = [entry.name for entry in entries if entry.is_symlink()]
    if links and len(links) == len(entries):
        return (
            f"It holds only symbolic links ({few(links)}), which are not followed. Choose the "
            "folder that they lead to, or copy the files."
        )
    sets = [entry.name for entry in entries if format_of(entry, "core.dataset_formats")]
    if sets:
        return f"It holds several, {few(sets)}: choose one of them."
    names = [entry.name for entry in entries]
    if any(name == SAVED or name.endswith(".arrow") for name in names):
        return f"It is what datasets.save_to_disk writes, which is not read. {OF_ARROW}"
    if reason := without_files([entry for entry in entries if entry.is_dir()]):
        return f"It holds {few(names)}. {reason}"
    return (
        f"It holds {few(names) if names else 'nothing'}. A data set is a folder with one "
        "sub-folder per class, arrays, or a table of pictures; a model is one file."
    )
