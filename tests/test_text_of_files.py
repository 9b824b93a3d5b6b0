"""Names and texts of files in a message: on one line, short, nothing in them acts."""

import pytest

from core.files.text_of_files import shown


@pytest.mark.parametrize(("text", "expected"), [
    ("conv1.weight", "'conv1.weight'"),
    ("größe π 层", "'größe π 层'"),
    ("a\nb\tc\0", "'a\\u000ab\\u0009c\\u0000'"),
    ("a\u202eb\u200b", "'a\\u202eb\\u200b'"),
    ("\x7f\x1b[31m", "'\\u007f\\u001b[31m'"),
    ("", "''"),
    (12.5, "'12.5'"),
])
def test_control_and_direction_characters_are_spelled_out(text, expected):
    assert shown(text) == expected


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_long_text_is_cut(letter):
    assert shown(letter * 60) == f"'{letter * 60}'"
    assert shown(letter * 61) == f"'{letter * 59}…'"
    assert shown(letter * 61, 10) == f"'{letter * 9}…'"
