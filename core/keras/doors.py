"""What no Keras config may hold: classes that run code or read files, JSON that never ends."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from core.errors import UserError
from core.files.json_depth import json_depth
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.keras.layers import DOORS, FILES

BUILT_IN = "Replace it by layers that Keras itself has, or export the model to ONNX."
DAMAGED = "It is damaged: save the model again with Keras."


def checked_config(text: bytes, name: str) -> Any:
    """A config's JSON. Raises UserError where it is none, and where it names code or files."""
    try:
        if json_depth(text) > current_limits().json_depth:
            raise UserError(f"{name}: its JSON is nested too deep, models inside models. "
                            f"{BUILT_IN}")
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: the model's config is not valid JSON ({shown(error)}). "
                        f"{DAMAGED}") from error
    _refuse_doors(config, name)
    return config


def _refuse_doors(config: Any, name: str) -> None:
    """Raises UserError for classes that run code or read files, wherever they stand."""
    for entry in _dicts(config):
        kind, module, inside = entry.get("class_name"), entry.get("module"), entry.get("config")
        root = str(module or "").split(".")[0]
        if isinstance(kind, str) and kind in DOORS:
            raise UserError(f"{name}: it contains {shown(kind)}, which would run Python code or "
                            f"open files that the model file chooses; nothing was run. {BUILT_IN}")
        if root in sys.stdlib_module_names and not (root == "builtins" and kind == "function"):
            raise UserError(f"{name}: it names {shown(kind)} of Python's module {shown(module)}, "
                            "which is no layer: unsafe code, not loaded. Open a file that "
                            "you trust.")
        for key in FILES if isinstance(inside, dict) else ():
            if isinstance(inside.get(key), str):
                raise UserError(f"{name}: its layer {shown(kind)} wants to read the file "
                                f"{shown(inside[key])} ({key}): unsafe, not loaded. {BUILT_IN}")


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            yield entry
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry
