"""Reads pickles by their opcodes: plain values, tensors as places in a storage, placeholders for
the rest. Nothing that a pickle names is imported or called.

Opcodes: https://github.com/python/cpython/blob/3.11/Lib/pickletools.py
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.pickles.machine import RESAVE, BadPickleError, Machine, PersistentLoad, plain_key

BYTE, SHORT, COUNT, LARGE = map(struct.Struct, ("<B", "<H", "<I", "<Q"))
INT, DOUBLE = struct.Struct("<i"), struct.Struct(">d")


@dataclass(frozen=True)
class Pickled:
    """The value of a pickle. classes: the names in it that placeholders stand for."""

    value: Any
    classes: tuple[str, ...]


def read_pickle(stream: BinaryIO, name: str, persistent_load: PersistentLoad,
                next_step: str = RESAVE) -> Pickled:
    """Reads one pickle and leaves `stream` behind its end. `name` is the file's, and `next_step`
    what to do about it, for messages.

    Raises UserError for code, damage, and more objects than the limits allow.
    """
    machine = Machine(stream, name, persistent_load, next_step)
    try:
        return Pickled(_value(machine), tuple(machine.classes))
    except (BadPickleError, IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise UserError(f"{name}: the pickle inside is damaged or cannot be read "
                        f"({shown(error, 100)}). {next_step}") from error


def _value(machine: Machine) -> Any:
    """Runs the opcodes up to STOP."""
    read = machine.stream.read
    most = current_limits().pickle_objects
    for _ in range(most):
        opcode = read(1)
        if opcode == b".":
            return machine.stack.pop()
        if opcode not in OPCODES:
            raise BadPickleError(f"unknown opcode {opcode!r}" if opcode else "it ends early")
        OPCODES[opcode](machine)
    raise UserError(f"{machine.name}: the structure inside holds too many objects, more than "
                    f"{most:,}, the limit. {machine.next_step}")


def _put(machine: Machine, slot: int) -> None:
    machine.memo[slot] = machine.stack[-1]


OPCODES: dict[bytes, Callable[[Machine], Any]] = {
    b"\x80": lambda m: m.read(1),  # PROTO
    b"\x95": lambda m: m.read(8),  # FRAME
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.since_mark(),
    b"2": lambda m: m.push(m.stack[-1]),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.push(m.decimal()),
    b"L": lambda m: m.push(m.decimal()),
    b"J": lambda m: m.push(m.number(INT)),
    b"K": lambda m: m.push(m.number(BYTE)),
    b"M": lambda m: m.push(m.number(SHORT)),
    b"\x8a": lambda m: m.push(m.long(m.number(BYTE))),
    b"\x8b": lambda m: m.push(m.long(m.number(INT))),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(m.number(DOUBLE)),
    b"S": lambda m: m.push(m.line().strip("'\"")),
    b"V": lambda m: m.push(m.line()),
    b"T": lambda m: m.push(m.read(m.number(COUNT)).decode("latin-1")),
    b"U": lambda m: m.push(m.read(m.number(BYTE)).decode("latin-1")),
    b"X": lambda m: m.text(m.number(COUNT)),
    b"\x8c": lambda m: m.text(m.number(BYTE)),
    b"\x8d": lambda m: m.text(m.number(LARGE)),
    b"B": lambda m: m.push(m.read(m.number(COUNT))),
    b"C": lambda m: m.push(m.read(m.number(BYTE))),
    b"\x8e": lambda m: m.push(m.read(m.number(LARGE))),
    b"\x96": lambda m: m.push(m.read(m.number(LARGE))),  # BYTEARRAY8
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push(m.top(1)),
    b"\x86": lambda m: m.push(m.top(2)),
    b"\x87": lambda m: m.push(m.top(3)),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.since_mark()),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"d": Machine.dictionary,
    b"s": lambda m: m.set_items(list(m.top(2))),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.append(m.since_mark()),
    b"\x91": lambda m: m.push(frozenset(map(plain_key, m.since_mark()))),
    b"p": lambda m: _put(m, int(m.line()[:20])),
    b"q": lambda m: _put(m, m.number(BYTE)),
    b"r": lambda m: _put(m, m.number(COUNT)),
    b"\x94": lambda m: _put(m, len(m.memo)),
    b"g": lambda m: m.push(m.memo[int(m.line()[:20])]),
    b"h": lambda m: m.push(m.memo[m.number(BYTE)]),
    b"j": lambda m: m.push(m.memo[m.number(COUNT)]),
    b"c": lambda m: m.push_global(m.line(), m.line()),
    b"\x93": lambda m: m.push_global(*m.top(2)),
    b"i": Machine.instance,
    b"o": Machine.object,
    b"\x81": lambda m: m.new_object(2),
    b"\x92": lambda m: m.new_object(3),
    b"R": lambda m: m.push_call(*m.top(2)),
    b"b": Machine.build,
    b"Q": lambda m: m.push(m.persistent_load(m.stack.pop())),
    b"P": lambda m: m.push(m.persistent_load(m.line())),
}

