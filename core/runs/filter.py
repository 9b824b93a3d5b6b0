"""Names found by a regular expression that cannot run for ever.

Python's `re` holds the whole server while it searches, and some short patterns take it years. So
the ways in which a pattern can match a name are counted before it runs: each repetition multiplies
them by the number of ways to share out the characters.
"""

import re
import time
from collections.abc import Sequence
from math import comb
from re import _constants, _parser
from typing import Any

MOST_WAYS = 20_000_000  # for one name: some tenths of a second
SECONDS = 1.0  # for all names
REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
REFUSED = {_constants.GROUPREF, _constants.GROUPREF_EXISTS}


class _Slow(Exception):  # noqa: N818 - a verdict, no error
    """The pattern can take too long."""


def found(pattern: str, names: Sequence[str]) -> tuple[list[str], str]:
    """The names in which a regular expression is found, upper or lower case alike, in their order;
    and a sentence where it was not used as one, else "".

    A pattern that is invalid or can be slow is looked for as plain text.
    """
    if not pattern:
        return list(names), ""
    reason = _refusal(pattern, max(map(len, names), default=0))
    if reason:
        return _plain(pattern, names), f"{reason} It is looked for as plain text."
    search, end, kept = re.compile(pattern, re.IGNORECASE).search, time.monotonic() + SECONDS, []
    for name in names:
        if search(name):
            kept.append(name)
        if time.monotonic() > end:
            return _plain(pattern, names), (
                "This expression takes too long here. It is looked for as plain text.")
    return kept, ""


def _plain(words: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if words.lower() in name.lower()]


def _refusal(pattern: str, length: int) -> str:
    """Why a pattern is not run as a regular expression, "" where it is."""
    try:
        re.compile(pattern, re.IGNORECASE)
        parsed = _parser.parse(pattern, re.IGNORECASE)
        stars, ways = _ways(list(parsed), length)
    except (re.error, OverflowError, RecursionError) as error:
        return f"This is no regular expression ({error})."
    except _Slow as slow:
        return str(slow)
    if comb(length + stars + 1, stars + 1) * ways > MOST_WAYS:
        return "This expression has too many repetitions and could take very long."
    return ""


def _ways(parts: list[tuple[Any, Any]], length: int) -> tuple[int, int]:
    """(repetitions without an end, product of the other choices) of a parsed pattern."""
    stars, ways = 0, 1
    for kind, inner in parts:
        if kind in REFUSED:
            raise _Slow("This expression refers back to a group, which can take very long.")
        found_stars, found_ways = 0, 1
        if kind in REPEATS:
            found_stars, found_ways = _repeated(*inner, length)
        elif kind is _constants.BRANCH:
            choices = [_ways(list(choice), length) for choice in inner[1]]
            found_stars = max(more for more, _ in choices)
            found_ways = sum(count for _, count in choices)
        elif kind in (_constants.SUBPATTERN, _constants.ASSERT, _constants.ASSERT_NOT,
                      _constants.ATOMIC_GROUP):
            found_stars, found_ways = _ways(list(inner if kind is _constants.ATOMIC_GROUP
                                                 else inner[-1]), length)
        stars, ways = stars + found_stars, ways * found_ways
    return stars, ways


def _repeated(low: int, high: int, body: Any, length: int) -> tuple[int, int]:
    stars, ways = _ways(list(body), length)
    high = min(int(high), length + 1)
    if (stars or ways > 1) and high > 1:
        raise _Slow("This expression repeats something that can itself match in several ways, "
                    "which can take very long.")
    if high > 10 and high > low:
        return stars + 1, ways
    return stars, ways * max(1, high - low + 1)
