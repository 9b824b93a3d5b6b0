"""Tensors of ONNX files (TensorProto), over the file's own bytes or those of one file beside it."""

from math import prod
from pathlib import Path

import numpy as np
import torch

from core.errors import UserError
from core.files.file_map import FEW, outlined
from core.files.file_span import Data, content_of
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.graph.onnx_external import ExternalFiles, Place
from core.graph.onnx_wire import Message, Wire, floats, numbers
from core.weight_files.stored_tensors import tensor_over

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16,
    6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64,
    12: torch.uint32, 13: torch.uint64, 16: torch.bfloat16,
}
HALF = (torch.float16, torch.bfloat16)  # slow on a CPU, so they become float32
WORKING = {code: torch.float32 if dtype in HALF else dtype for code, dtype in DTYPES.items()}
FIELDS = {1: "dims", 2: "type", 3: "segment", 4: "floats", 5: "int32s", 6: "strings", 7: "int64s",
          8: "name", 9: "raw", 10: "doubles", 11: "uint64s", 13: "external", 14: "location"}
ENTRY = {1: "key", 2: "value"}
HELD = ("floats", "int32s", "strings", "int64s", "raw", "doubles", "uint64s", "external")
AS_BITS = {torch.float16: np.int16, torch.bfloat16: np.int16}  # how int32_data holds them
MOST_AXES = 32
MOST_DECODED = 1 << 28  # bytes of numbers that are stored one by one, several times smaller


class Tensors:
    """Reads the tensors of one file; their number of elements is bounded over all of them."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        self._wire = wire
        self._beside = ExternalFiles(folder)
        self._from_beside: dict[tuple[Place, int], torch.Tensor] = {}
        self._elements = self._decoded = 0
        self.has_half = False

    def read(self, data: Data) -> tuple[str, torch.Tensor]:
        """A tensor and its name. Raises UserError that names it."""
        said = self._wire.message(data, FIELDS)
        name = self._wire.text(said["name"][-1]) if said["name"] else ""
        try:
            return name, self._tensor(said)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"the tensor {shown(name)}: {error}. Export it again.") from error

    def check(self, elements: int) -> None:
        """Raises ValueError where all tensors and these elements are larger than the limit."""
        if self._elements + elements > (limit := current_limits().elements):
            raise ValueError(f"too large: with it the file has {self._elements + elements:,} "
                             f"elements, the limit is {limit:,}")

    def _tensor(self, said: Message) -> torch.Tensor:
        shape = numbers(said["dims"], 10 * MOST_AXES).tolist()
        code = said["type"][-1] if said["type"] else 0
        if len(shape) > MOST_AXES:
            raise ValueError(f"it has {len(shape)} dimensions, the limit is {MOST_AXES}")
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape {shape[:8]} has a negative dimension, which is invalid")
        if code not in DTYPES:
            raise ValueError(f"its element type {code} is unknown or unsupported")
        count = prod(shape)
        self.check(count)
        self._elements += count
        flat = self._flat(said, code, count)
        if len(flat) != count:
            raise ValueError(f"its shape {shape[:8]} has {count:,} elements, which does not match "
                             f"the {len(flat):,} in the file")
        self.has_half |= DTYPES[code] in HALF
        return flat.reshape(shape)

    def _flat(self, said: Message, code: int, count: int) -> torch.Tensor:
        dtype = DTYPES[code]
        if said["segment"]:
            raise ValueError("it is stored in segments, which is unsupported")
        if sum(map(bool, (any(map(_is_something, said[key])) for key in HELD))) > 1:
            raise ValueError("its values are in the file twice, it is damaged")
        if said["external"] or 1 in said["location"]:
            return self._external(said, code, count * dtype.itemsize)
        if said["raw"]:
            return _working(_raw(said["raw"][-1], dtype, count), code)
        if not said["floats"] and not said["doubles"]:
            self._decoded += min(count, sum(map(_bytes, _listed(said)))) * max(dtype.itemsize, 4)
        if self._decoded > MOST_DECODED:
            raise ValueError(f"too large: numbers that are stored one by one would take "
                             f"{self._decoded:,} bytes, the limit is {MOST_DECODED:,}")
        return _typed(said, dtype, count).to(WORKING[code])

    def _external(self, said: Message, code: int, size: int) -> torch.Tensor:
        """Over the bytes of a file beside this one; the same bytes are one tensor."""
        place = self._beside.place(pairs(self._wire, said["external"]), size)
        if (place, code) not in self._from_beside:
            flat = tensor_over(self._beside.view(place), DTYPES[code])
            self._from_beside[place, code] = _working(flat, code)
        return self._from_beside[place, code]


def pairs(wire: Wire, said: list[Data],
          wanted: frozenset[str] = frozenset()) -> dict[str, str]:
    """Entries of a key and a value; those of other keys than `wanted`, if any, are not read."""
    found = {}
    for data in said:
        entry = wire.message(data, ENTRY)
        if entry["key"] and entry["value"]:
            key = wire.text(entry["key"][-1])
            if not wanted or key in wanted:
                found[key] = wire.text(entry["value"][-1])
    return found


def _is_something(value: int | Data) -> bool:
    return isinstance(value, int) or len(value) > 0


def _bytes(value: int | Data) -> int:
    return 1 if isinstance(value, int) else len(value)


def _listed(said: Message) -> list[int | Data]:
    """The field of whole numbers that holds the elements."""
    return said["int32s"] or said["int64s"] or said["uint64s"]


def _raw(data: Data, dtype: torch.dtype, count: int) -> torch.Tensor:
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"its {len(data):,} bytes do not match the {count:,} elements of its "
                         "shape")
    return tensor_over(content_of(data), dtype)


def _working(flat: torch.Tensor, code: int) -> torch.Tensor:
    if flat.dtype in HALF and outlined() and flat.nbytes > FEW:
        return torch.from_numpy(np.zeros(len(flat), np.float32))  # which take no memory
    return flat.to(WORKING[code])


def _typed(said: Message, dtype: torch.dtype, count: int) -> torch.Tensor:
    """Elements in the field of their kind, as older files hold them."""
    for field, kind in (("floats", "<f4"), ("doubles", "<f8")):
        if said[field]:
            return torch.from_numpy(floats(said[field], count, kind, content_of)).to(dtype)
    if dtype in AS_BITS:
        return torch.from_numpy(numbers(_listed(said), count, AS_BITS[dtype])).view(dtype)
    kind = np.int64 if dtype.is_floating_point else np.dtype(str(dtype).removeprefix("torch."))
    return torch.from_numpy(numbers(_listed(said), count, kind)).to(dtype)
