"""Lists, tuples, tables and texts of a TorchScript program."""

from collections.abc import Callable
from typing import Any

from core.graph.nodes import DEVICE
from core.graph.script_recorder import Recorder
from core.graph.script_values import EnumMember, Name


def _extended(recorder: Recorder, parts: list, more: list) -> list:
    recorder.step(recorder.checked_length(len(parts) + len(more)) - len(parts))
    parts.extend(list(more))
    return parts


def _joined(recorder: Recorder, one: Any, other: Any) -> Any:
    recorder.step(recorder.checked_length(len(one) + len(other)))
    return one + other


def _repeated(recorder: Recorder, parts: Any, times: Any) -> Any:
    times = recorder.literal(times)
    recorder.step(recorder.checked_length(max(len(parts) * times, 0)))
    return parts * times


def _sliced(recorder: Recorder, parts: Any, *bounds: Any) -> Any:
    start, stop, step = [*map(recorder.literal, bounds), None, None, None][:3]
    return parts[slice(start, stop, step)]


def _inserted(recorder: Recorder, parts: list, place: Any, value: Any) -> None:
    recorder.step(recorder.checked_length(len(parts) + 1) - len(parts))
    parts.insert(recorder.literal(place), value)


def _set(recorder: Recorder, parts: Any, place: Any, value: Any) -> Any:
    parts[recorder.literal(place)] = value
    return parts


def _contains(recorder: Recorder, parts: Any, wanted: Any) -> bool:
    return recorder.literal(wanted) in (parts if isinstance(parts, dict) else
                                        recorder.literal(parts))


def equal(recorder: Recorder, one: Any, other: Any) -> bool:
    """Lists of numbers, texts, devices, members of enumerations."""
    return recorder.literal(one) == recorder.literal(other)


OF_CONTAINERS: dict[Any, dict[str, Callable[..., Any]]] = {
    list: {
        "append": lambda recorder, parts, value: _extended(recorder, parts, [value]),
        "extend": _extended, "insert": _inserted, "mul": _repeated,
        "pop": lambda recorder, parts, *place: parts.pop(*map(recorder.literal, place)),
        "reverse": lambda recorder, parts: parts.reverse(),
    },
    (list, tuple, str): {"add": _joined, "slice": _sliced,
                         "list": lambda recorder, parts: list(parts),
                         "copy": lambda recorder, parts: list(parts)},
    dict: {"keys": lambda recorder, table: list(table),
           "values": lambda recorder, table: list(table.values()),
           "items": lambda recorder, table: list(table.items()),
           "get": lambda recorder, table, key, other=None: table.get(
               recorder.literal(key), other),
           "dict": lambda recorder, table: dict(table)},
    (list, tuple, str, dict): {
        "len": lambda recorder, parts: len(parts), "__contains__": _contains,
        "_set_item": _set,
        "__getitem__": lambda recorder, parts, place: parts[recorder.literal(place)]},
    (list, tuple, str, type(DEVICE), Name, EnumMember, type(None)): {
        "eq": equal, "ne": lambda recorder, one, other: not equal(recorder, one, other)},
}
