"""How deep JSON is nested, before a parser recurses into it."""

import re

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]+|[\]}]+', re.DOTALL)


def json_depth(text: bytes) -> int:
    """The deepest level of brackets outside of texts."""
    deepest = depth = 0
    for mark in _MARKS.finditer(text):
        first, length = text[mark.start()], mark.end() - mark.start()
        if first in b"[{":
            depth += length
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= length
    return deepest
