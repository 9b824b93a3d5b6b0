"""Arrays of an HDF5 file that nobody vouches for: links, sizes and shapes are checked first.

HDF5 follows links to other files, stores parts elsewhere, and declares any size for nothing.
"""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from core.errors import UserError
from core.files.limits import MB, current_limits
from core.files.text_of_files import shown

if TYPE_CHECKING:
    import h5py

DEEPEST = 32
MOST_OBJECTS = 100_000
MOST_NAMES = 100_000
AGAIN = "It may be cut off or damaged: copy or download it again."
UNREAD = "It was not opened further. Save the model again with Keras."
NOT_WEIGHTS = ("optimizer_weights", "optimizer", "_optimizer", "compile_metrics", "metrics")

Tree = dict[str, Any]  # groups as dicts, data sets as arrays


class Hdf5:
    """An open HDF5 file; `name` is what messages call it. Use it as a context."""

    def __init__(self, path_or_bytes: Path | bytes, name: str) -> None:
        import h5py

        self.name = name
        self.limits = current_limits()
        source: Path | BinaryIO
        source = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
        try:
            self.file = h5py.File(source, "r", locking=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise self.damage(error) from error
        self._elements = self._objects = 0
        self.skipped: list[str] = []

    def __enter__(self) -> "Hdf5":
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def damage(self, error: Exception | str) -> UserError:
        """The message on a file that HDF5 cannot read."""
        return UserError(f"{self.name}: the HDF5 data are damaged or incomplete "
                         f"({shown(error, 90)}). {AGAIN}")

    def refusal(self, reason: str) -> UserError:
        """The message on what an honest file does not have."""
        return UserError(f"{self.name}: {reason}. {UNREAD}")

    def attribute(self, name: str, group: "h5py.Group | None" = None) -> Any:
        """An attribute's value, or None. Raises UserError where it cannot be read."""
        attributes = (self.file if group is None else group).attrs
        try:
            if name not in attributes:
                return None
            if math.prod(attributes.get_id(name).shape or ()) > MOST_NAMES:
                raise self.refusal(f"its attribute {shown(name)} is too large")
            return attributes[name]
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise self.damage(error) from error

    def text(self, name: str) -> bytes | None:
        """A text attribute as bytes, or None."""
        value = self.attribute(name)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        return None if value is None else bytes(value)

    def names(self, name: str, group: "h5py.Group") -> list[str]:
        """A list of texts; long ones are stored in pieces NAME0, NAME1, …"""
        whole = self.attribute(name, group)
        pieces = [whole] if whole is not None else []
        while whole is None:
            if (piece := self.attribute(f"{name}{len(pieces)}", group)) is None:
                break
            pieces.append(piece)
        texts = [text for piece in pieces for text in np.atleast_1d(piece).tolist()]
        return [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in texts]

    def tree(self) -> Tree:
        """Every array of numbers, except the optimizer's, as float32 or whole numbers."""
        try:
            return self._group(self.file, 0, frozenset())
        except UserError:
            raise
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise self.damage(error) from error

    def _group(self, group: "h5py.Group", depth: int, above: frozenset[Any]) -> Tree:
        import h5py

        here = h5py.h5o.get_info(group.id).addr
        if depth > DEEPEST or here in above:
            raise self.refusal("its groups are nested too deep, or one holds itself")
        tree: Tree = {}
        for name in group:
            self._objects += 1
            if self._objects > MOST_OBJECTS:
                raise self.refusal(f"it holds more than {MOST_OBJECTS:,} objects, the limit")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self.refusal(f"{shown(name)} is a link to another place or another file, "
                                   "which is not followed")
            if depth == 0 and name in NOT_WEIGHTS:
                continue
            entry = group[name]
            if isinstance(entry, h5py.Group):
                tree[name] = self._group(entry, depth + 1, above | {here})
            elif isinstance(entry, h5py.Dataset) and (array := self._array(entry)) is not None:
                tree[name] = array
        return tree

    def _array(self, data: "h5py.Dataset") -> np.ndarray | None:
        label = shown(data.name)
        if data.is_virtual or data.external:
            raise self.refusal(f"{label} keeps its numbers in another file (external storage)")
        if data.shape is None or data.dtype.kind not in "fiub":
            self.skipped.append(label)
            return None
        declared, stored = data.size * data.dtype.itemsize, data.id.get_storage_size()
        self._elements += data.size
        if self._elements > self.limits.elements or declared > self.limits.unpacked_bytes:
            raise self.refusal(f"{label} declares {declared / MB:,.0f} MB in the shape "
                               f"{data.shape}, more than the limit")
        if declared > max(self.limits.ratio_floor, self.limits.ratio * stored):
            raise self.refusal(f"{label} declares {declared / MB:,.0f} MB and stores "
                               f"{stored:,} bytes, like a compression bomb")
        array = data[()]
        return np.asarray(array, np.float32 if data.dtype.kind == "f" else None)


def arrays_in(tree: Tree, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays by their path, its parts joined by dots."""
    found: dict[str, np.ndarray] = {}
    for name, entry in tree.items():
        path = f"{prefix}.{name}" if prefix else name
        found |= arrays_in(entry, path) if isinstance(entry, dict) else {path: entry}
    return found
