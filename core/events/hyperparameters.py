"""Hyperparameters in event files: tensorboard/plugins/hparams/plugin_data.proto, read by hand."""

import struct

from core.events.layout import SUMMARY, fields, varint

PLUGIN = "hparams"
MOST = 1000  # hyperparameters; TensorBoard shows as many


def session_settings(record: bytes) -> dict[str, float | str | bool]:
    """What the start of a session states, by name; {} for any other record."""
    try:
        found = {}
        for content in _contents(record):
            for start in _messages(content, 26):  # session_start_info
                for entry in _messages(start, 10)[:MOST]:  # a map of names to values
                    found |= _entry(entry)
    except (ValueError, UnicodeDecodeError, struct.error):  # no such message: nothing is stated
        return {}
    return found


def _messages(data: bytes, key: int) -> list[bytes]:
    return [data[start:stop] for found, start, stop in fields(data, 0, len(data)) if found == key]


def _contents(record: bytes) -> list[bytes]:
    """The plug-in's content of each value: Event, summary, value, metadata, plugin_data."""
    level = [record]
    for key in (SUMMARY, 10, 74, 10, 18):
        level = [inner for data in level for inner in _messages(data, key)]
    return level


def _entry(data: bytes) -> dict[str, float | str | bool]:
    name, value = "", None
    for key, start, stop in fields(data, 0, len(data)):
        if key == 10:
            name = data[start:stop].decode()
        elif key == 18:
            value = _value(data[start:stop])
    return {} if value is None else {name: value}


def _value(data: bytes) -> float | str | bool | None:
    """A google.protobuf.Value; None for null, a list or a structure."""
    found = None
    for key, start, stop in fields(data, 0, len(data)):
        if key == 17:
            found = struct.unpack("<d", data[start:stop])[0]
        elif key == 26:
            found = data[start:stop].decode()
        elif key == 32:
            found = bool(varint(data, start, stop)[0])
    return found
