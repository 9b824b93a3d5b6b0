"""Hyperparameters in the flat YAML that loggers write beside a log: one `name: value` a line."""

import re
from pathlib import Path

from core.log_files.csv import NUMBER
from core.log_formats import Settings

LARGEST = 1 << 20  # bytes
LINE = re.compile(r"([^\s:#\-'\"][^:#]*): +([^\s#&*!{\[|>].*?)(?: +#.*)?")
WORDS = {"true": True, "false": False}


def settings_beside(log: Path, name: str) -> Settings:
    """The plain values at the top level of a file beside the log; {} where there is none.

    Lists, maps and anything else that YAML can say are left out.
    """
    path = log.with_name(name)
    if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST:
        return {}
    lines = map(LINE.fullmatch, path.read_text("utf-8", errors="replace").splitlines())
    pairs = ((line[1].strip(), line[2].strip()) for line in lines if line)
    return {key: _value(text) for key, text in pairs if text.lower() not in ("null", "~")}


def _value(text: str) -> float | str | bool:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if NUMBER.fullmatch(text):
        return float(text)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
