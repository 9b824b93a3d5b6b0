"""Where what an id stands for lies. Ids are made in core.library; pages pass them on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import store
from core.errors import UserError
from core.files.cache_space import in_use


@dataclass(frozen=True)
class Place:
    """What an id stands for. content: a digest of what lies there, wherever that is; setting: a
    card's corrections, or the part of a data set that is meant."""

    path: Path
    content: str
    setting: Any = None


_places: dict[str, Place] = {}  # by id


def placed(said: str, place: Place) -> str:
    """An id for what is said of a place, known from now on."""
    name = hashlib.sha256(f"{said}\0{place.path}".encode("utf-8", "surrogateescape")).hexdigest()[
        :32
    ]
    _places[name] = place
    if is_uploaded(place.path):
        in_use(place.path)
    return name


def forget(any_id: str) -> None:
    """Lets go of an id that nobody will ask for again."""
    _places.pop(any_id, None)


def path_of(any_id: str) -> Path:
    """The file or folder behind an id."""
    return place_of(any_id).path


def content_of(any_id: str) -> str:
    """A digest of what lies behind an id, the same wherever it lies."""
    return place_of(any_id).content


def place_of(any_id: str) -> Place:
    """Raises UserError where it was not made here, or is forgotten."""
    if any_id not in _places:
        raise UserError("What this page showed is no longer open. Choose it again in the sidebar.")
    return _places[any_id]


def is_uploaded(path: Path) -> bool:
    """Whether a file came through the browser: limits for strangers' files hold for it."""
    return path.resolve().is_relative_to(store.uploads().resolve())
