"""The machine that a pickle's opcodes drive: a stack, marks into it, and a memo."""

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.pickles.names import called, global_named, is_known
from core.pickles.values import Global, Placeholder

LONGEST_NUMBER = 64  # bytes; no shape, seed or counter is longer
RESAVE = "Save only the weights: torch.save(model.state_dict(), 'weights.pt'), or use safetensors."
PLAIN_KEYS = (str, bytes, int, float, bool, type(None), complex, Global, Placeholder)
PersistentLoad = Callable[[Any], Any]


class BadPickleError(Exception):
    """The opcodes contradict each other or themselves; the text ends a sentence."""


class Machine:
    """A pickle machine: a stack, marks into it, and a memo."""

    def __init__(self, stream: BinaryIO, name: str, persistent_load: PersistentLoad,
                 next_step: str = RESAVE) -> None:
        self.stream, self.name, self.persistent_load = stream, name, persistent_load
        self.next_step = next_step  # what a person does about a file that is refused
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Global] = {}
        self.classes: dict[str, None] = {}
        self.bytes_left = current_limits().pickle_bytes

    def read(self, count: int) -> bytes:
        """The next `count` bytes of the pickle."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise UserError(f"{self.name}: the pickle inside is larger than the limit of "
                            f"{current_limits().pickle_bytes >> 20} MB. {self.next_step}")
        data = self.stream.read(count)
        if len(data) != count:
            raise BadPickleError("it ends early")
        return data

    def number(self, layout: struct.Struct) -> int | float:
        """One number of a fixed layout."""
        return layout.unpack(self.read(layout.size))[0]

    def line(self) -> str:
        """Text up to the end of the line."""
        data = self.stream.readline(1 << 16)
        self.bytes_left -= len(data)
        if not data.endswith(b"\n"):
            raise BadPickleError("a line in it does not end")
        return data[:-1].decode("utf-8")

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken off the stack."""
        mark = self.marks.pop()
        if mark > len(self.stack):
            raise BadPickleError("a mark lies above the stack")
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_global(self, module: str, name: str) -> Any:
        if (found := self.names.get((module, name))) is None:
            found = global_named(module, name)
            if found is None:
                raise self.code(f"{module}.{name}")
            if not is_known(found.name):
                self.classes[found.name] = None
            self.names[module, name] = found
        self.stack.append(found)

    def push_call(self, maker: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise BadPickleError("a call has no tuple of arguments")
        if not isinstance(maker, (Global, Placeholder)):
            raise BadPickleError(f"it calls a {type(maker).__name__}")
        made = called(maker, arguments)
        if made is NotImplemented:
            raise self.code(maker.name)
        self.push(made)

    def code(self, name: str) -> UserError:
        return UserError(f"{self.name}: the file contains code that would run while loading "
                         f"({shown(name)}). It was not loaded; nothing was executed. "
                         f"If it is yours, save it anew. {self.next_step}")

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Placeholder) else target
        if not isinstance(items, dict):
            raise BadPickleError(f"SETITEM is applied to a {type(target).__name__}")
        keys = map(plain_key, pairs[::2])
        items.update(zip(keys, pairs[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, set):
            target.update(plain_key(value) for value in values)
        elif isinstance(target, Placeholder):
            target.items.update((len(target.items) + i, value) for i, value in enumerate(values))
        else:
            raise BadPickleError(f"APPEND is applied to a {type(target).__name__}")

    def build(self) -> None:
        """BUILD: the state of a placeholder is kept; a plain container's attributes are not."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Placeholder):
            target.state = state
        elif not isinstance(target, dict):
            raise BadPickleError(f"BUILD is applied to a {type(target).__name__}")

    def long(self, count: int) -> int:
        if not 0 <= count <= LONGEST_NUMBER:
            raise BadPickleError(f"a number has {count:,} bytes, too large")
        return int.from_bytes(self.read(count), "little", signed=True)

    def decimal(self) -> int | bool:
        text = self.line()
        if len(text) > 3 * LONGEST_NUMBER:
            raise BadPickleError("a number in it is too large")
        return text == "01" if text in ("00", "01") else int(text.rstrip("L"))

    def top(self, count: int) -> tuple:
        """The last `count` values, taken off the stack."""
        if count > len(self.stack):
            raise BadPickleError("the stack is empty")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def instance(self) -> None:
        """INST: a name in the opcode itself, its arguments since the mark."""
        module, name = self.line(), self.line()
        arguments = tuple(self.since_mark())
        self.push_global(module, name)
        self.push_call(self.stack.pop(), arguments)

    def object(self) -> None:
        """OBJ: class and arguments since the mark."""
        maker, *arguments = self.since_mark()
        self.push_call(maker, tuple(arguments))

    def new_object(self, count: int) -> None:
        """NEWOBJ and NEWOBJ_EX: class, arguments, and keywords, which placeholders do without."""
        maker, arguments, *_ = self.top(count)
        self.push_call(maker, arguments)

    def dictionary(self) -> None:
        """DICT: keys and values since the mark."""
        pairs = self.since_mark()
        self.push({})
        self.set_items(pairs)

    def text(self, count: int) -> None:
        self.push(self.read(count).decode("utf-8", "surrogatepass"))


def plain_key(key: Any) -> Any:
    """A key that hashes without recursion. Raises BadPickleError for any other."""
    if not isinstance(key, PLAIN_KEYS) and not (
        isinstance(key, tuple) and all(isinstance(part, PLAIN_KEYS) for part in key)
    ):
        raise BadPickleError(f"a {type(key).__name__} is used as a key")
    return key
