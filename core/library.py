"""Opens models, data sets and logs by id.

An id names content: it changes when the bytes or the card change, so results are kept by it.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from core.cache import shared_resource
from core.card import Card, in_words
from core.cards.cards_beside import card_beside
from core.dataset_formats import DataSet
from core.errors import UserError, cannot_be_read
from core.files import model_ids
from core.files.file_map import outlines
from core.files.found_files import format_of, model_format, not_known
from core.files.limits import UPLOADED, limited_to
from core.files.model_ids import content_id, file_id
from core.files.paths import exists
from core.jobs import Progress, demand
from core.log_files.parts import keeping
from core.log_formats import Logs
from core.logs import log_content_id, read_logs
from core.model_formats import LoadedModel
from core.model_formats.shard_index import whole_name
from core.places import Place, forget, is_uploaded, path_of, place_of, placed
from core.samples import Part, part_of
from core.trusted_code import code_digest, trusted


@dataclass(frozen=True)
class Shaped:
    """The data set with the id `whole`, its rows of numbers as (channels, height, width)."""

    whole: str
    shape: tuple[int, int, int]


_ids_of_logs: dict[Path, dict[str, None]] = {}
MOST_OF_A_LOG = 10_000  # ids that are remembered
_whole: WeakValueDictionary[str, LoadedModel] = WeakValueDictionary()  # those in memory, by id


def model_id(path: Path, correction: Card | None = None) -> str:
    """The id of a model file read with a card's corrections. Raises UserError if it is gone or
    closed to this account."""
    if not (exists(path) and path.is_file()):
        raise UserError(f"{path.name} is not a file. Choose another model.")
    first = whole_name(path.name).split(".")[0]
    beside = [
        (file.name, file_id(file))
        for file in sorted(path.parent.glob("*.json"))
        if file.name.startswith(first) or file.name.endswith("config.json")
    ]
    content = content_id(path)
    said = [content, beside, (correction or Card()).to_json()]
    if trusted():
        card = (correction or Card()).or_else(card_beside(path)[0])
        said += ["trusted", code_digest(card.architecture)]
    said = json.dumps(said, sort_keys=True)
    return placed(said, Place(path, content, correction or Card()))


def dataset_id(path: Path, limit: int | None = None, first: bool = False,
               shape: tuple[int, int, int] | None = None) -> str:
    """The id of a data set, or of `limit` of its examples: a stratified sample, or the first ones.

    shape: a model's (channels, height, width), which decides for rows of numbers whose shape no
    file says, and else changes nothing. Raises UserError if it is none.
    """
    form = format_of(path, "core.dataset_formats")
    if form is None:
        raise UserError(not_known(path, "data set"))
    every = f"{form.title}\0{form.content_id(path)}\0"
    whole = placed(f"{every}None", Place(path, f"{every}None"))
    if shape and (flat := open_dataset(whole).flat) and flat.fits(shape):
        every += f"{shape}\0"
        whole = placed(f"{every}None", Place(path, f"{every}None", Shaped(whole, shape)))
    if limit is None:
        return whole
    content = f"{every}{limit}" + "\0first" * first
    return placed(content, Place(path, content, Part(whole, limit, first)))


def logs_id(path: Path) -> str:
    """The id of a log file or folder as it is now."""
    content = log_content_id(path)
    name = placed(content, Place(path, content))
    known = _ids_of_logs.setdefault(path, {})
    known.pop(name, None)
    known[name] = None  # the last one asked for
    while len(known) > MOST_OF_A_LOG:  # of logs that grow there is a new one each second
        forget(next(iter(known)))
        del known[next(iter(known))]
    return name


@shared_resource(entries=2)
def open_model(model_id: str) -> LoadedModel:
    """The model behind an id, its card filled with what could be inferred."""
    loaded = _whole[model_id] = _whole.get(model_id) or _opened(model_id)
    return loaded


def read_model(model_id: str) -> LoadedModel:
    """`open_model`, a large file in the background. May raise Working."""
    if is_large(model_id) and model_id not in _whole:
        title, find = f"Opening {path_of(model_id).name}", partial(_whole.get, model_id)
        demand(f"open {model_id}", title, "", find, partial(_read, model_id), "files")
    return open_model(model_id)


def _read(model_id: str, progress: Progress) -> None:
    open_model(model_id)


@shared_resource(entries=4)
def open_outline(model_id: str) -> LoadedModel:
    """The model behind an id for its names, types and shapes: of a large file the numbers of large
    tensors are not read and are all zero, so the notes say nothing of them."""
    if not is_large(model_id):
        return open_model(model_id)
    try:
        with outlines() as made:
            loaded = _opened(model_id)
    except UserError:  # the whole has the reason, or needs no outline
        return open_model(model_id)
    if not made:  # a format that reads in its own way
        _whole[model_id] = loaded
    return loaded


def is_large(model_id: str) -> bool:
    """Whether reading all weights of a model takes long."""
    return model_ids.is_large(path_of(model_id))


def _opened(model_id: str) -> LoadedModel:
    place = place_of(model_id)
    path, correction = place.path, place.setting
    try:
        loaded, notes = _loaded(path, correction)
    except (UserError, OSError) as error:
        if _changed(place):  # a half that was read gives reasons of its own
            raise _changed_meanwhile(path) from error
        raise
    if _changed(place):
        raise _changed_meanwhile(path)
    size = path.stat().st_size
    told = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
    read = f"Read as {model_format(path)}, {told}."
    return replace(loaded, notes=(read, *notes, *loaded.notes, *_inferred_note(loaded.card)))


def _loaded(path: Path, correction: Card) -> tuple[LoadedModel, tuple[str, ...]]:
    """The model, and notes on the card beside it."""
    beside, notes = card_beside(path)
    form = format_of(path, "core.model_formats")
    if form is None:
        raise UserError(not_known(path, "model"))
    with limited_to(UPLOADED) if is_uploaded(path) else nullcontext():
        return _loading(path, lambda: form.load(path, correction.or_else(beside))), notes


def _changed(place: Place) -> bool:
    try:
        return content_id(place.path) != place.content
    except UserError:  # it is gone
        return True


def _changed_meanwhile(path: Path) -> UserError:
    return UserError(f"{path.name} changed while it was being opened. Choose it again.")


def _inferred_note(card: Card) -> tuple[str, ...]:
    """What no file states, in one sentence."""
    said = [
        f"{key.replace('_', ' ').replace('.', ' ')} {in_words(key, value)}"
        for key, value in card.values().items()
        if key in card.inferred
    ]
    return (
        (f"Inferred, not stated by any file: {', '.join(said)}. Correct it in the model card.",)
        if said
        else ()
    )


@shared_resource(entries=4)
def open_dataset(dataset_id: str) -> DataSet:
    """The data set behind an id; a part of one shares what was opened of the whole."""
    place = place_of(dataset_id)
    if isinstance(place.setting, Shaped):
        return open_dataset(place.setting.whole).in_shape(place.setting.shape)
    if place.setting is not None:
        return part_of(open_dataset(place.setting.whole), place.setting)
    with limited_to(UPLOADED) if is_uploaded(place.path) else nullcontext():
        form = format_of(place.path, "core.dataset_formats")
        if form is None:
            raise UserError(not_known(place.path, "data set"))
        return _loading(place.path, lambda: form.load(place.path))


def _loading(path: Path, load: Callable[[], Any]) -> Any:
    """What `load` reads. Raises UserError also where the system does not give the file."""
    try:
        return load()
    except OSError as error:
        raise cannot_be_read(path.name, error) from error


@shared_resource(entries=4)
def open_logs(logs_id: str) -> Logs:
    """The logs behind an id; of files that grew since they were last opened only what is new is
    read."""
    path = place_of(logs_id).path
    with limited_to(UPLOADED) if is_uploaded(path) else nullcontext(), keeping():
        return read_logs(path)
