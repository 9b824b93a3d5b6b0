"""Text from files is shown literally; numbers as people say them. (In a browser: tests/browser.)"""

import pytest

from core.ui.text import (
    compact,
    count,
    duration,
    file_size,
    md_escape,
    percent,
    plural,
    shorten,
    three_digits,
)


@pytest.mark.parametrize(
    "hostile",
    [
        "![x](http://127.0.0.1:9/x.png)",
        "[a](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "**bold**",
        "`code`",
        "$x^2$",
        "# title",
        "~~x~~",
        "a|b",
    ],
)
def test_every_sign_of_markdown_is_escaped(hostile):
    found = md_escape(hostile)
    for position, sign in enumerate(found):
        if sign in "\\`*_{}[]()<>#+-.!|~$":
            escaped = (
                (position
                and found[position - 1] == "\\")
                or (found[position + 1 : position + 2]
                and sign == "\\")
            )
            assert escaped, (found, position)


def test_streamlits_own_signs_are_broken_up():
    assert ":smile:" not in md_escape(":smile:").replace("\\", "")
    assert ":red[" not in md_escape(":red[x]").replace("\\", "")
    assert "http:" + "//" not in md_escape("http://x").replace("\\", "")
    assert "http:" + "//" not in md_escape("HTTP://x").replace("\\", "").lower()
    assert "www." not in md_escape("www.x.y WWW.x.y").replace("\\", "").lower()
    assert "->" not in md_escape("a -> b").replace("\\", "")


def test_hidden_characters_are_made_visible():
    assert "202e" in md_escape("a\u202eb")
    assert "\n" not in md_escape("a\nb")


def test_long_names_are_cut_in_the_middle():
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert shorten("abc", 5) == "abc"


def test_numbers():
    assert (count(1824), compact(11_700_000), compact(512), compact(62_300)) == (
        "1,824",
        "11.7 M",
        "512",
        "62.3 k",
    )
    assert [three_digits(value) for value in (0.3756, 1.8, 11, 100.2, 0.0)] == [
        "0.376",
        "1.80",
        "11.0",
        "100",
        "0.00",
    ]
    assert (percent(0.912), file_size(44_700_000), file_size(12)) == ("91.2 %", "44.7 MB", "12 B")
    assert (duration(0.44), duration(12.2), duration(200), duration(7500)) == (
        "0.4 s",
        "12 s",
        "3 min 20 s",
        "2 h 5 min",
    )
    assert (plural(1, "class", "classes"), plural(1200, "class", "classes")) == (
        "1 class",
        "1,200 classes",
    )
