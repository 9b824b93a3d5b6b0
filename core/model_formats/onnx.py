"""ONNX: a graph as protobuf, of opset 7 and newer, weights inside or in one file beside it.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.card import Card
from core.errors import UserError
from core.files.text_of_files import shown
from core.model_formats import Format, LoadedModel

IR_VERSION, GRAPH, NEWEST = 1, 7, 64
FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}  # wire types
MOST_FIELDS = 10_000
AGAIN = "Copy or download it again."


def matches(path: Path) -> bool:
    """Whether the fields are a ModelProto's, with version and graph; the last may be cut off."""
    with path.open("rb") as file:
        found = dict(_fields(file))
    return 0 < found.get(IR_VERSION, 0) <= NEWEST and GRAPH in found and None not in found


def load(path: Path, card: Card) -> LoadedModel:
    """The network as a module whose layers have the names that the exporter left."""
    from core.graph.onnx_file import read_model
    from core.graph.onnx_network import network_of

    size = path.stat().st_size
    with path.open("rb") as file:
        if any(end > size for field, end in _fields(file) if FIELDS.get(field) == 2):
            raise UserError(f"{path.name} is an ONNX graph that is cut off or damaged. {AGAIN}")
    try:
        return network_of(read_model(path), card)
    except UserError as error:
        raise UserError(f"{path.name}: {error}") from error
    except ValueError as error:
        raise UserError(f"{path.name} is not a readable ONNX graph: {shown(error, 100)}. "
                        f"{AGAIN}") from error


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
