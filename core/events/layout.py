"""What the bytes of one record mean: tensorflow/core/util/event.proto, read by hand.

A key is a field number << 3 | a wire type: 0 varint, 1 eight bytes, 2 a length and so many bytes,
5 four bytes. Numbers in this file are keys.
"""

from typing import NamedTuple


class Span(NamedTuple):
    """Bytes start to stop of a record; format: a numpy type, "varint", or "" for bytes not read."""

    format: str
    start: int
    stop: int


class Value(NamedTuple):
    """One tagged value. kind: "simple", "tensor", or what it is that has no number here.

    tag, plugin: where those strings are, plugin None without metadata. text: other strings.
    numbers: where the numbers of the type `dtype` are; `dtype` is "" for what is not read.
    """

    kind: str
    tag: Span
    plugin: Span | None
    text: tuple[Span, ...]
    numbers: tuple[Span, ...]
    dtype: str


class Layout(NamedTuple):
    """Where a record has what it says."""

    wall_time: Span | None
    step: Span | None
    values: tuple[Value, ...]


Field = tuple[int, int, int]  # key, start, stop of the content

SUMMARY = 42
OTHER_EVENTS = {26: "file_version", 34: "graph", 50: "log message", 58: "session log",
                66: "run metadata", 74: "meta graph"}
VALUES = {21: "simple", 26: "old histogram", 34: "image", 42: "histogram", 50: "audio",
          66: "tensor"}
SILENT = ("file_version", "session log", "nothing")

# DataType: (numpy type, bytes each, key of the packed list of values, of the unpacked one)
DTYPES = {
    1: ("<f4", 4, 42, 45), 2: ("<f8", 8, 50, 49), 3: ("<i4", 4, 58, 56), 4: ("u1", 1, 58, 56),
    5: ("<i2", 2, 58, 56), 6: ("i1", 1, 58, 56), 9: ("<i8", 8, 82, 80), 10: ("?", 1, 90, 88),
    14: ("bfloat16", 2, 106, 104), 17: ("<u2", 2, 58, 56), 19: ("<f2", 2, 106, 104),
    22: ("<u4", 4, 130, 128), 23: ("<u8", 8, 138, 136),
}
MOST_FIELDS = 100_000  # of one message; a tuple takes fifty times the bytes of the field
FIXED_WIDTH_LISTS = (42, 50)  # all other lists hold varints


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends. Raises ValueError where it does not."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
    raise ValueError("a number without an end")


def fields(data: bytes, at: int, end: int) -> list[Field]:
    """The fields of the message in data[at:end]. Raises ValueError where it is none."""
    found = []
    while at < end:
        key, start = varint(data, at, end)
        wire = key & 7
        if wire == 2:
            length, start = varint(data, start, end)
            at = start + length
        elif wire == 0:
            _, at = varint(data, start, end)
        else:
            at = start + {1: 8, 5: 4}.get(wire, end)
        if at > end or not 8 <= key < 1 << 32 or len(found) > MOST_FIELDS:
            raise ValueError("not a protobuf message")
        found.append((key, start, at))
    return found


def parse_event(data: bytes) -> Layout:
    """The layout of one record. Raises ValueError where it is no event.

    Of several members of a oneof the last counts; equal ones merge.
    """
    wall_time, step, values, member = None, None, [], 0
    for key, start, stop in fields(data, 0, len(data)):
        if key == 9:
            wall_time = Span("<f8", start, stop)
        elif key == 16:
            step = Span("varint", start, stop)
        elif key == SUMMARY:
            values = values if member == SUMMARY else []
            values += [_value(data, *f[1:]) for f in fields(data, start, stop) if f[0] == 10]
            member = key
        elif key in OTHER_EVENTS:
            blob = Span("", start, stop)
            values = [Value(OTHER_EVENTS[key], Span("", start, start), None, (), (blob,), "")]
            member = key
    return Layout(wall_time, step, tuple(values))


def _value(data: bytes, at: int, end: int) -> Value:
    tag = node_name = Span("", at, at)
    plugin, text, member, parts, blob = None, [], 0, [], Span("", at, at)
    for key, start, stop in fields(data, at, end):
        if key == 10:
            tag = Span("", start, stop)
        elif key == 58:
            node_name = Span("", start, stop)
            text.append(node_name)
        elif key == 74:
            plugin, strings = _metadata(data, start, stop, plugin)
            text += strings
        elif key in VALUES:
            parts = parts if member == key else []
            parts += fields(data, start, stop) if key == 66 else [(key, start, stop)]
            member, blob = key, Span("", start, stop)
    if member == 66 and tag.start == tag.stop:
        tag = node_name  # as TensorFlow 1 wrote tensors
    if member == 21:
        _, start, stop = parts[-1]
        return Value("simple", tag, plugin, tuple(text), (Span("<f4", start, stop),), "<f4")
    if member == 66 and (number := _scalar(data, parts)):
        return Value("tensor", tag, plugin, tuple(text), number[1], number[0])
    kind = VALUES.get(member, "metadata" if plugin else "nothing")
    return Value(kind, tag, plugin, tuple(text), (blob,), "")


def _metadata(data: bytes, at: int, end: int,
              plugin: Span | None) -> tuple[Span | None, list[Span]]:
    """The plug-in's name, and the other strings of a value's metadata."""
    text = []
    for key, start, stop in fields(data, at, end):
        if key != 10:
            text += [Span("", start, stop)] if key & 7 == 2 else []
            continue
        for inner, first, last in fields(data, start, stop):
            if inner == 10:
                plugin = Span("", first, last)
            elif inner & 7 == 2:
                text.append(Span("", first, last))
    return plugin, text


def _last(found: list[Field], data: bytes, wanted: int) -> int:
    numbers = [varint(data, start, stop)[0] for key, start, stop in found if key == wanted]
    return numbers[-1] if numbers else 0


def _scalar(data: bytes, parts: list[Field]) -> tuple[str, tuple[Span, ...]] | None:
    """Type and place of the number in a tensor of one element; None for any other tensor."""
    dtype, width, packed, single = DTYPES.get(_last(parts, data, 8), ("", 0, 0, 0))
    sizes = [_last(fields(data, *inner[1:]), data, 8) for key, start, stop in parts if key == 18
             for inner in fields(data, start, stop) if inner[0] == 18]
    if not dtype or any(size != 1 for size in sizes):
        return None
    content = [Span(dtype, s, e) for key, s, e in parts if key == 34 and e > s][-1:]
    listed = "varint" if packed not in FIXED_WIDTH_LISTS else dtype
    spans = content or [Span(listed, s, e) for key, s, e in parts
                        if key in (packed, single) and e > s]
    if len(spans) != 1:
        return None
    _, start, stop = spans[0]
    if spans[0].format == "varint":
        one = varint(data, start, stop)[1] == stop
    else:
        one = stop - start == width
    return (dtype, tuple(spans)) if one else None
