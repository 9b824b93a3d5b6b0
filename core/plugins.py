"""Finds the formats, families and methods that live one to a file in a package."""

from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import UserError


def knows(form: Any, path: Path) -> bool:
    """Whether a format knows a file or folder for its own; none knows what is closed to this
    account."""
    try:
        return form.matches(path)
    except OSError:
        return False
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            return False
        raise


def discover(package: str, name: str) -> dict[str, Any]:
    """The object called `name` of each module in `package`, by module name, in name order.

    Modules that lack it are not plug-ins and are left out.
    """
    folder = Path(import_module(package).__file__).parent
    modules = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    found = {stem: getattr(import_module(f"{package}.{stem}"), name, None) for stem in modules}
    return {stem: plugin for stem, plugin in found.items() if plugin is not None}
