"""Text from files is text, escaped for Markdown; and numbers as people say them."""

import re
import unicodedata
from collections.abc import Iterable

# Streamlit makes icons, colours and links of these, escaped or not, and arrows and dashes; a word
# joiner behind them stops it. Behind "www." it would not: a browser drops it from a server's name.
_LIVE = r":(?=[\w+-]*[:\[])|(?<=http):|(?<=https):|w(?=ww\.)|(?<=\S)@(?=\S)"
LIVE, _LIVE_OR_ARROW = (
    re.compile(signs, re.IGNORECASE) for signs in (_LIVE, rf"{_LIVE}|-(?=>)|-(?=-)|<(?=-)")
)
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&=^@/\"'])")
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # control, direction, private, surrogate, separators


def md_escape(text: object, longest: int = 200) -> str:
    """Text from a file as Markdown that shows it literally: no markup, picture, link or emoji."""
    shown = shorten("".join(visible(character) for character in str(text)), longest)
    return _PUNCTUATION.sub(r"\\\1", joined(_LIVE_OR_ARROW, shown))


def joined(signs: re.Pattern, text: str) -> str:
    """Text with a word joiner behind each of these signs."""
    return signs.sub(lambda found: found.group() + "\u2060", text)


def visible(character: str) -> str:
    """The character, or a name for what cannot be seen; line ends and tabs are spaces."""
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return " " if character in "\n\t\r" else f"\\u{ord(character):04x}"


def shorten(text: str, longest: int) -> str:
    """A long name cut in the middle, where names differ least."""
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def headings(columns: Iterable[str]) -> dict[str, str]:
    """What stands above a table's columns: "best_step" as "Best step"."""
    return {name: name.replace("_", " ").capitalize() for name in columns}


def count(number: float) -> str:
    """Thousands with separators: 1,824."""
    return f"{number:,.0f}"


def compact(number: float) -> str:
    """Three significant digits and a unit: 11.7 M, 62.3 k, 512."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}" if number % 1 else f"{number:.0f}"


def three_digits(number: float) -> str:
    """Three significant digits, as charts write them: 0.376, 1.80, 11.0."""
    return f"{number:#.3g}".removesuffix(".")


def file_size(size: float) -> str:
    """Bytes as 44.7 MB."""
    return "0 B" if size < 1 else f"{compact(size)}B" if size >= 1000 else f"{size:.0f} B"


def percent(share: float) -> str:
    """A share with one decimal: 91.2 %."""
    return f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """Time as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(number: int, word: str, words: str | None = None) -> str:
    """1 picture, 2 pictures."""
    return f"{count(number)} {word if number == 1 else words or word + 's'}"
