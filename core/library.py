"""What there is to open: finds models, data sets and logs under folders, and opens them by id.

An id names content: it changes when the bytes or the card change, so results are kept by it.
"""

import hashlib
import json
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core import store
from core.cache import shared_resource
from core.card import Card, card_beside
from core.dataset_formats import DataSet
from core.errors import UserError
from core.limits import UPLOADED, limited_to
from core.log_formats import Logs
from core.logs import log_content_id, read_logs
from core.model_formats import LoadedModel
from core.plugins import discover
from core.unknown_files import describe_unknown

SAMPLES = Path(__file__).parent.parent / "sample_models"
DEEPEST = 5  # folders below a given one
MOST_FOLDERS = 20_000  # looked at in one listing
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
KINDS = ("models", "data", "logs")


@dataclass(frozen=True)
class Place:
    """What an id stands for. content: a digest of what lies there, wherever that is; setting: a
    card's corrections, or the size of a sample."""

    path: Path
    content: str
    setting: Any = None


_places: dict[str, Place] = {}  # by id


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


def listing(kind: str) -> Listing:
    """What can be opened, the person's own folders first, then the samples."""
    find = {"models": _model_files, "data": _data_sets, "logs": _log_folders}[kind]
    paths: dict[str, Path] = {}
    skipped = []
    for root in folders(kind):
        if not root.exists():
            skipped.append(f"The folder {root.name} does not exist.")
            continue
        for path in find(root):
            name = path.relative_to(root).as_posix() if path != root else root.name
            paths.setdefault(name if name not in paths else f"{root.name}/{name}", path)
    return Listing(paths, " ".join(skipped))


def _walk(root: Path) -> list[tuple[Path, list[str]]]:
    """(folder, its files) below `root`, bounded in depth and number; links are not followed."""
    found = []
    for place, below, files in os.walk(root):
        depth = len(Path(place).relative_to(root).parts)
        below[:] = sorted(name for name in below if not name.startswith((".", "__")))
        if depth >= DEEPEST:
            below.clear()
        found.append((Path(place), sorted(name for name in files if not name.startswith("."))))
        if len(found) > MOST_FOLDERS:
            break
    return found


def _model_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    every = [place / name for place, names in _walk(root) for name in names]
    return [
        path
        for path in every
        if path.suffix.lower() in MODEL_ENDINGS or _is_model(path, *_stamp(path))
    ]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # deleted, or a link to nowhere
        return (0, 0)
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=100_000)
def _is_model(path: Path, size: int, changed: int) -> bool:
    return (
        size > 0
        and not path.name.endswith(".json")
        and _format(path, "core.model_formats") is not None
    )


def _data_sets(root: Path) -> list[Path]:
    """Data sets at the root or below it; what lies inside a data set is not listed."""
    every = discover("core.dataset_formats", "FORMAT").values()
    if root.is_file() or any(form.matches(root) for form in every):
        return [root]
    listed = [form for form in every if form.listed]  # a loose picture is none
    found: list[Path] = []
    for place, names in _walk(root):
        if any(parent in found for parent in (place, *place.parents)):
            continue
        if place != root and any(form.matches(place) for form in listed):
            found.append(place)
            continue
        files = [place / name for name in names]
        found += [path for path in files if any(form.matches(path) for form in listed)]
    return found


def _log_folders(root: Path) -> list[Path]:
    """Folders whose sub-folders are runs, and a root that is a run itself."""
    formats = discover("core.log_formats", "FORMAT").values()
    if root.is_file():
        return [root] if any(f.matches(root) for f in formats) else []
    runs = [
        place
        for place, names in _walk(root)
        if any(f.matches(place / name) for name in _logs_first(names) for f in formats)
    ]
    return sorted({run if run == root else run.parent for run in runs})


def _logs_first(names: list[str]) -> list[str]:
    """The files of a folder that may be logs, the likeliest first, a bounded number."""
    return sorted(names, key=lambda name: "events" not in name)[:200]


def _format(path: Path, package: str) -> Any:
    return next((f for f in discover(package, "FORMAT").values() if f.matches(path)), None)


@lru_cache(maxsize=10_000)
def _bytes_id(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def file_id(path: Path) -> str:
    """A digest of the file's bytes; read once as long as size and time stay."""
    return _bytes_id(path, *_stamp(path))


def model_id(path: Path, correction: Card | None = None) -> str:
    """The id of a model file read with a card's corrections. Raises UserError if it is gone."""
    if not path.is_file():
        raise UserError(f"{path.name} is not a file. Choose another model.")
    beside = [
        (file.name, file_id(file))
        for file in sorted(path.parent.glob("*.json"))
        if file.name.startswith(path.name.split(".")[0]) or file.name.endswith("config.json")
    ]
    said = json.dumps([file_id(path), beside, (correction or Card()).to_json()], sort_keys=True)
    return _placed(said, Place(path, file_id(path), correction or Card()))


def _placed(said: str, place: Place) -> str:
    """An id for what is said of a place, known from now on."""
    name = hashlib.sha256(f"{said}\0{place.path}".encode("utf-8", "surrogateescape")).hexdigest()[
        :32
    ]
    _places[name] = place
    return name


def dataset_id(path: Path, limit: int | None = None) -> str:
    """The id of a data set, or of a stratified sample of it. Raises UserError if it is none."""
    form = _format(path, "core.dataset_formats")
    if form is None:
        raise UserError(not_known(path, "data set"))
    content = f"{form.title}\0{form.content_id(path)}\0{limit}"
    return _placed(content, Place(path, content, limit))


def logs_id(path: Path) -> str:
    """The id of a log file or folder as it is now."""
    content = log_content_id(path)
    return _placed(content, Place(path, content))


def path_of(any_id: str) -> Path:
    """The file or folder behind an id."""
    return _place(any_id).path


def content_of(any_id: str) -> str:
    """A digest of what lies behind an id, the same wherever it lies."""
    return _place(any_id).content


def _place(any_id: str) -> Place:
    if any_id not in _places:
        raise UserError("What this page showed is no longer open. Choose it again in the sidebar.")
    return _places[any_id]


@shared_resource(entries=2)
def open_model(model_id: str) -> LoadedModel:
    """The model behind an id, its card filled with what could be inferred."""
    place = _place(model_id)
    path, correction = place.path, place.setting
    beside, notes = card_beside(path)
    title = model_format(path)
    with limited_to(UPLOADED) if is_uploaded(path) else nullcontext():
        loaded = _format(path, "core.model_formats").load(path, correction.or_else(beside))
    if file_id(path) != place.content:
        raise UserError(f"{path.name} changed while it was being opened. Choose it again.")
    read = f"Read as {title}, {path.stat().st_size / 1e6:,.1f} MB."
    return replace(loaded, notes=(read, *notes, *loaded.notes, *_inferred_note(loaded.card)))


def _inferred_note(card: Card) -> tuple[str, ...]:
    """What no file states, in one sentence."""
    said = [
        f"{key.replace('_', ' ').replace('.', ' ')} {_in_short(value)}"
        for key, value in card.values().items()
        if key in card.inferred
    ]
    return (
        (f"Inferred, not stated by any file: {', '.join(said)}. Correct it in the model card.",)
        if said
        else ()
    )


def _in_short(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    words = [str(part) if isinstance(part, str) else f"{part:g}" for part in value[:4]]
    return ", ".join(words) + (f" … ({len(value)})" if len(value) > 4 else "")


def is_uploaded(path: Path) -> bool:
    """Whether a file came through the browser: limits for strangers' files hold for it."""
    return path.resolve().is_relative_to(store.uploads().resolve())


def model_format(path: Path) -> str:
    """The title of the format that reads a model file. Raises UserError if none does."""
    form = _format(path, "core.model_formats") if path.is_file() else None
    if form is None:
        raise UserError(not_known(path, "model"))
    return form.title


def kind_of(path: Path) -> str | None:
    """One of KINDS by what a file or folder holds; None where nothing here reads it."""
    if not path.exists():
        return None
    if path.is_file() and _is_model(path, *_stamp(path)):
        return "models"
    if _format(path, "core.dataset_formats") is not None:
        return "data"
    return "logs" if _log_folders(path) else None


@shared_resource(entries=4)
def open_dataset(dataset_id: str) -> DataSet:
    """The data set behind an id."""
    place = _place(dataset_id)
    path, limit = place.path, place.setting
    data = _format(path, "core.dataset_formats").load(path)
    return data if limit is None or limit >= len(data) else _sampled(data, limit)


@shared_resource(entries=4)
def open_logs(logs_id: str) -> Logs:
    """The logs behind an id."""
    return read_logs(_place(logs_id).path)


def not_known(path: Path, kind: str) -> str:
    """Why a path is not of a kind, in one sentence, and what to do."""
    if not path.exists():
        return f"{path.name} does not exist. Choose another {kind}."
    if path.is_dir():
        return (
            f"{path.name} is a folder that is no {kind}. A data set is a folder with one "
            "sub-folder per class; a model is one file."
        )
    with path.open("rb") as file:
        return describe_unknown(file.read(4096), path.name)


def sample_rows(labels: np.ndarray | None, examples: int, limit: int) -> np.ndarray:
    """Rows of a stratified sample, ascending: each class keeps its share; seeded, so always the
    same. Without labels, a plain sample."""
    random = np.random.default_rng(0)
    if labels is None:
        return np.sort(random.choice(examples, limit, replace=False))
    shuffled = random.permutation(examples)
    shuffled = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(shuffled[(np.arange(limit) * examples // limit) + examples // limit // 2])


def _sampled(data: DataSet, limit: int) -> DataSet:
    rows = sample_rows(data.labels, len(data), limit)
    mask = data.mask
    return replace(
        data,
        image=lambda row: data.image(int(rows[row])),
        mask=None if mask is None else lambda row: mask(int(rows[row])),
        labels=None if data.labels is None else data.labels[rows],
        metadata=data.metadata.iloc[rows].reset_index(drop=True),
        notes=(
            *data.notes,
            f"A sample of {limit:,} of {len(data):,} examples, stratified by class, "
            "always the same.",
        ),
    )
