"""Tensors of ONNX files (TensorProto), over the file's own bytes or those of one file beside it."""

from math import prod
from pathlib import Path

import numpy as np
import torch

from core.errors import UserError
from core.file_map import FileMap
from core.graph.onnx_wire import Message, Wire, floats, numbers, text
from core.limits import current_limits
from core.stored_tensors import tensor_over
from core.text_of_files import shown

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
EXTERNAL_KEYS = {"location", "offset", "length", "checksum"}
AS_BITS = {torch.float16: np.int16, torch.bfloat16: np.int16}  # how int32_data holds them
ONE_FILE = "export it as one file: torch.onnx.export(..., external_data=False)"


class Tensors:
    """Reads the tensors of one file; their number of elements is bounded over all of them."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        self._wire = wire
        self._folder = folder
        self._files: dict[str, FileMap] = {}
        self._elements = 0
        self.has_half = False

    def read(self, data: memoryview) -> tuple[str, torch.Tensor]:
        """A tensor and its name. Raises UserError that names it."""
        said = self._wire.message(data, FIELDS)
        name = text(said["name"][-1]) if said["name"] else ""
        try:
            return name, self._tensor(said)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"the tensor {shown(name)}: {error}. Export it again.") from error

    def count(self, elements: int) -> None:
        """Raises ValueError where all tensors together are larger than the limit."""
        self._elements += elements
        if self._elements > (limit := current_limits().elements):
            raise ValueError(f"too large: with it the file has {self._elements:,} elements, the "
                             f"limit is {limit:,}")

    def _tensor(self, said: Message) -> torch.Tensor:
        shape = numbers(said["dims"]).tolist()
        code = said["type"][-1] if said["type"] else 0
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape {shape[:8]} has a negative dimension, which is invalid")
        if code not in DTYPES:
            raise ValueError(f"its element type {code} is unknown or unsupported")
        dtype, count = DTYPES[code], prod(shape)
        self.count(count)
        if said["segment"]:
            raise ValueError("it is stored in segments, which is unsupported")
        if said["external"] or 1 in said["location"]:
            flat = tensor_over(self._external(said, count * dtype.itemsize), dtype)
        elif said["raw"]:
            flat = _raw(said["raw"][-1], dtype, count)
        else:
            flat = _typed(said, dtype)
        if len(flat) != count:
            raise ValueError(f"its shape {shape[:8]} has {count:,} elements, which does not match "
                             f"the {len(flat):,} in the file")
        self.has_half |= dtype in HALF
        return flat.reshape(shape).to(WORKING[code])

    def _external(self, said: Message, size: int) -> memoryview:
        """The bytes of a tensor kept in a file beside this one, never in another folder."""
        values = pairs(self._wire, said["external"])
        if unknown := values.keys() - EXTERNAL_KEYS:
            raise ValueError(f"its external data has the unknown key {shown(min(unknown))}")
        name = values.get("location", "")
        if not name or name in (".", "..") or any(c in name for c in "/\\:\0"):
            raise ValueError(f"its external data lies outside the file's own folder "
                             f"({shown(name)}), which is not opened")
        offset, length = (_whole(values.get(key), default) for key, default in
                          (("offset", 0), ("length", size)))
        file = self._file(name)
        if length != size or offset + length > len(file):
            raise ValueError(f"its external data, {length:,} bytes from offset {offset:,} on, does "
                             f"not match its size of {size:,} bytes or the file {shown(name)}")
        return file.view(offset, length)

    def _file(self, name: str) -> FileMap:
        if name not in self._files:
            path = self._folder / name
            if path.is_symlink() or not path.is_file():
                raise ValueError(f"its values are in a separate file (external data), "
                                 f"{shown(name)}, which is missing here. Put it into the same "
                                 f"folder, or {ONE_FILE}")
            if not path.stat().st_size:
                raise ValueError(f"the separate file {shown(name)} is empty")
            self._files[name] = FileMap(path)
        return self._files[name]


def pairs(wire: Wire, said: list[memoryview]) -> dict[str, str]:
    """Entries of a key and a value."""
    entries = [wire.message(data, ENTRY) for data in said]
    return {text(entry["key"][-1]): text(entry["value"][-1]) for entry in entries
            if entry["key"] and entry["value"]}


def _whole(said: str | None, default: int) -> int:
    if said is None:
        return default
    if not (said.isascii() and said.isdigit() and len(said) < 19):
        raise ValueError(f"its external data has the offset or length {shown(said)}, which is none")
    return int(said)


def _raw(data: memoryview | int, dtype: torch.dtype, count: int) -> torch.Tensor:
    if isinstance(data, int) or len(data) != count * dtype.itemsize:
        size = 0 if isinstance(data, int) else len(data)
        raise ValueError(f"its {size:,} bytes do not match the {count:,} elements of its shape")
    return tensor_over(data, dtype)


def _typed(said: Message, dtype: torch.dtype) -> torch.Tensor:
    """Elements in the field of their kind, as older files hold them."""
    if said["floats"]:
        return torch.from_numpy(floats(said["floats"])).to(dtype)
    if said["doubles"]:
        return torch.from_numpy(floats(said["doubles"], "<f8")).to(dtype)
    field = next((key for key in ("int32s", "int64s", "uint64s") if said[key]), None)
    whole = numbers(said[field]) if field else np.zeros(0, np.int64)
    if dtype in AS_BITS:
        return torch.from_numpy(whole.astype(AS_BITS[dtype])).view(dtype)
    return torch.from_numpy(whole).to(dtype)
