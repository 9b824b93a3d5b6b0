"""Names and texts that files brought, as they may stand in a message."""

import os
import unicodedata


def shown(text: object, longest: int = 60) -> str:
    """Text in quotes, on one line, short, control and direction characters spelled out."""
    start = plain = str(text)[:longest + 1]
    if not (start.isascii() and start.isprintable()):
        plain = "".join(c if unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}"
                        for c in start)
    return f"'{plain}'" if len(start) <= longest else f"'{plain[:longest - 1]}…'"


def as_text(name: str) -> str:
    """A file's name, in which bytes that are no UTF-8 are spelled out: caf\\xe9.png."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode(errors="backslashreplace")
    return name
