"""ONNX: a graph as protobuf. It is recognised from its fields, and not read yet.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from core.card import Card
from core.errors import UserError
from core.model_formats import Format

IR_VERSION, GRAPH, NEWEST = 1, 7, 64
FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}  # wire types
MOST_FIELDS = 10_000
AGAIN = "Copy or download it again."


def matches(path: Path) -> bool:
    """Whether the fields are a ModelProto's, with version and graph; the last may be cut off."""
    with path.open("rb") as file:
        found = dict(_fields(file))
    return 0 < found.get(IR_VERSION, 0) <= NEWEST and GRAPH in found and None not in found


def load(path: Path, card: Card) -> NoReturn:
    """Raises UserError with what to do instead."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if any(end > size for _, end in _fields(file)):
            raise UserError(f"{path.name} is an ONNX graph that is cut off or damaged. {AGAIN}")
    raise UserError(
        f"{path.name} is an ONNX graph, which Netlens does not read yet; nothing in it was run. "
        "Where the network was trained, export it with torch.export.save(torch.export.export("
        "model, (example,)), 'model.pt2'), or save its weights as safetensors."
    )


def _fields(file: BinaryIO) -> Iterator[tuple[int | None, int]]:
    """(field, its number or the offset of its end) of the message's own fields, in order;
    (None, 0) where the bytes are no ModelProto's."""
    for _ in range(MOST_FIELDS):
        if (tag := _varint(file)) is None:
            return
        field, wire = tag >> 3, tag & 7
        value = _varint(file)
        if FIELDS.get(field) != wire or value is None or value < 0:
            yield None, 0
            return
        if wire == 0:
            yield field, value
            continue
        end = file.tell() + value
        yield field, end
        file.seek(min(end, 1 << 62))


def _varint(file: BinaryIO) -> int | None:
    """A number of protobuf, or None where the bytes end or it does not."""
    number = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    return None


FORMAT = Format("ONNX", matches, load)
