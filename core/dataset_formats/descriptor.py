"""The tiny JSON that stands for a sample data set: {"netlens_data": "shapes", "split": "test"}."""

import hashlib
import json
from pathlib import Path
from typing import Any

from core.errors import UserError

LARGEST = 4096  # bytes; a descriptor has about 60


def names(path: Path, data: str) -> bool:
    """Whether a file is a descriptor of `data`, be it whole or damaged."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return False
    compact = b"".join(path.read_bytes().split())
    return compact.startswith(b"{") and f'"netlens_data":"{data}"'.encode() in compact


def read(path: Path, splits: tuple[str, ...]) -> dict[str, Any]:
    """A descriptor with `split` one of `splits` and `seed` from 0 to 2**32 - 1, 0 if unsaid.

    Raises UserError that names the file and the key.
    """
    try:
        said = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path.name} is not readable JSON. Write it again, like "
                        f'{{"netlens_data": "shapes", "split": "test", "seed": 0}}.') from error
    if unknown := said.keys() - {"netlens_data", "split", "seed"}:
        raise UserError(f"{path.name}: the key {min(unknown)[:40]!r} is not one of netlens_data, "
                        "split, seed. Remove it.")
    if said.get("split") not in splits:
        raise UserError(f"{path.name}: 'split' is one of {', '.join(splits)}, "
                        f"not {str(said.get('split'))[:40]!r}. Correct it.")
    if type(said.setdefault("seed", 0)) is not int or not 0 <= said["seed"] < 2**32:
        raise UserError(f"{path.name}: 'seed' is a whole number from 0 to 4,294,967,295. "
                        "Correct it.")
    return said


def digest(said: dict[str, Any], version: int) -> str:
    """A digest of a descriptor and of the version of the code that draws it."""
    return hashlib.sha256(json.dumps([said, version], sort_keys=True).encode()).hexdigest()
