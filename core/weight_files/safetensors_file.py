"""Reads safetensors: a JSON header, then raw tensors. https://huggingface.co/docs/safetensors"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError
from core.files.file_map import FileMap
from core.files.json_depth import json_depth
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.weight_files.checkpoint_weights import Weights
from core.weight_files.stored_tensors import tensor_over

LENGTH_BYTES = 8
DTYPES = {  # name in torch, bytes
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2),
    "I64": ("int64", 8), "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1),
    "U64": ("uint64", 8), "U32": ("uint32", 4), "U16": ("uint16", 2), "U8": ("uint8", 1),
    "BOOL": ("bool", 1), "C64": ("complex64", 8),
    "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1),
}
METADATA = "__metadata__"


class BadHeaderError(ValueError):
    """What the format forbids; the text ends a sentence."""


def read_safetensors(path: Path) -> tuple[Weights, Callable[[], None]]:
    """The tensors of a file, and what gives back the memory of pages that were only read. Raises
    UserError."""
    mapped = FileMap(path)
    try:
        entries, metadata, start = _header(mapped)
        tensors = {name: _tensor(mapped, start, entry) for name, entry in entries.items()}
    except ValueError as error:
        raise UserError(f"{path.name} is not a valid safetensors file: {error}. It may be cut "
                        "off or damaged: copy or download it again.") from error
    told = [item for item in metadata.items() if item != ("format", "pt")]  # as all of torch's say
    said = ", ".join(f"{shown(key)}: {shown(value)}" for key, value in told[:8])
    return Weights(tensors, notes=[f"Metadata in the file: {said}."] if said else []), mapped.forget


def _header(mapped: FileMap) -> tuple[dict[str, dict], dict[str, str], int]:
    """Entries by name, metadata, and where the tensors start. Raises BadHeaderError."""
    length = int.from_bytes(mapped.view(0, LENGTH_BYTES), "little")
    largest = min(current_limits().header_bytes, len(mapped) - LENGTH_BYTES)
    if not 2 <= length <= largest:
        raise BadHeaderError(f"its header says it has {length:,} bytes, possible are {largest:,}")
    text = bytes(mapped.view(LENGTH_BYTES, length))
    if json_depth(text) > current_limits().json_depth:
        raise BadHeaderError("its header is nested too deep")
    try:
        header = json.loads(text, object_pairs_hook=_once, parse_int=_count)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadHeaderError(f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise BadHeaderError("its header is not a JSON object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise BadHeaderError("the metadata in its header is not text")
    _check_layout(header, len(mapped) - LENGTH_BYTES - length)
    return header, metadata, LENGTH_BYTES + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise BadHeaderError("a name appears twice in its header")
    return found


def _count(digits: str) -> int:
    if len(digits) > 19:
        raise BadHeaderError("a number in its header is too large")
    return int(digits)


def _check_layout(entries: dict[str, Any], available: int) -> None:
    """Every entry complete, and the tensors one after the other without overlap or hole."""
    limits, total = current_limits(), 0
    if len(entries) > limits.tensors:
        raise BadHeaderError(f"it holds too many tensors ({len(entries):,}, the limit is "
                             f"{limits.tensors:,})")
    spans = sorted(_span(name, entry) for name, entry in entries.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            raise BadHeaderError(f"in its header the offsets of {shown(name)} overlap or skip")
        end = stop
        total += math.prod(entries[name]["shape"])
    if end != available:
        raise BadHeaderError(f"its header describes {end:,} bytes of tensors, the file has "
                             f"{available:,}")
    if total > limits.elements:
        raise BadHeaderError(f"it holds {total:,} numbers, the limit is {limits.elements:,}")


def _span(name: str, entry: Any) -> tuple[int, int, str]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BadHeaderError(f"the entry of {shown(name)} in its header is incomplete")
    dtype, shape, offsets = DTYPES.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    if dtype is None:
        raise BadHeaderError(f"its header gives {shown(name)} an unknown type, "
                             f"{shown(entry['dtype'])}")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if not lists or any(type(n) is not int or not 0 <= n < 1 << 62 for n in (*shape, *offsets)):
        raise BadHeaderError(f"in its header the shape or offsets of {shown(name)} are not counts")
    start, stop = offsets
    if stop - start != math.prod(shape) * dtype[1]:
        raise BadHeaderError(f"the shape of {shown(name)} in its header does not fit its offsets")
    return start, stop, name


def _tensor(mapped: FileMap, start: int, entry: dict) -> torch.Tensor:
    first, last = entry["data_offsets"]
    dtype, _ = DTYPES[entry["dtype"]]
    flat = tensor_over(mapped.view(start + first, last - first), getattr(torch, dtype))
    return flat.reshape(entry["shape"])
