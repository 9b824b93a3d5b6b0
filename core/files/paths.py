"""Paths as people type them: what is there, and how a message calls it."""

from pathlib import Path

from core.errors import cannot_be_read
from core.files.text_of_files import shown


def exists(path: Path) -> bool:
    """Whether there is such a file or folder. Raises UserError where the system does not say."""
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that is closed
        raise cannot_be_read(named(path), error) from error


def named(path: Path) -> str:
    """A path's name as it may stand in a message, in quotes where it is odd or long."""
    name = path.name or str(path)  # the topmost folder has none
    return name if shown(name) == f"'{name}'" and name.strip() == name else shown(name)
