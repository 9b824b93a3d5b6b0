"""The index of weights in several files: JSON that names the file of each tensor."""

import json
from pathlib import Path

from core.errors import UserError
from core.files.json_depth import json_depth
from core.files.limits import current_limits
from core.files.text_of_files import shown

PLACES = "weight_map"
AGAIN = "Copy or download it again."


def read_index(index: Path) -> dict[str, str]:
    """The name of a file in the same folder for each tensor. Raises UserError."""
    limits, name = current_limits(), index.name
    if (size := index.stat().st_size) > limits.header_bytes:
        raise UserError(f"{name} has {size:,} bytes, the limit of an index is "
                        f"{limits.header_bytes:,}. {AGAIN}")
    text = index.read_bytes()
    if json_depth(text) > limits.json_depth:
        raise UserError(f"{name}: its JSON is nested too deep for an index. {AGAIN}")
    try:
        said = json.loads(text)
    except ValueError as error:  # a number of thousands of digits too
        raise UserError(f"{name} is damaged: it is not JSON ({error}). {AGAIN}") from error
    places = said.get(PLACES) if isinstance(said, dict) else None
    if not isinstance(places, dict) or not places:
        raise UserError(f'{name} has no "{PLACES}", which lists the file of each tensor. {AGAIN}')
    if len(places) > limits.tensors:
        raise UserError(f"{name} lists too many tensors ({len(places):,}, the limit is "
                        f"{limits.tensors:,}).")
    for file in set(map(str, places.values())):
        _check_name(name, file)
    return {key: str(file) for key, file in places.items()}


def _check_name(index: str, name: str) -> None:
    """Raises UserError for what is not the plain name of a file beside the index."""
    plain = name and not name.startswith(".") and not set(name) & set("/\\:\0")
    if not plain or len(name.encode("utf-8", "surrogatepass")) > 255 or not name.isprintable():
        raise UserError(f"{index} names the file {shown(name)}, which is not one of its own "
                        f"folder, so it is not opened. {AGAIN}")
