"""Logged text is drawn as Markdown, and whatever it says, nothing in it leads out of the page."""

import random

import pytest
from markdown_it import MarkdownIt

from core.ui.logged_text import AS_WRITTEN, LONGEST, as_markdown

TABLE = "|param|value|\n|---|:--:|\n|lr|0.001|\n|env|`a[0]`|"
PIECES = ("`", "``", "```", "~~~", "\n", "\n\n", "    ", "![x](y)", "[a](b)", "[a]: b", "[a]", "!",
          "<b>", "<!--", "http://a.b", "word", "**b**", "\\", "# ", "- ", "|", "|-|-|\n", "]", "(", " ")
LIVE = {"link_open", "image", "html_inline", "html_block"}


def kinds(text: str) -> set[str]:
    """What CommonMark, by a reader that is not the browser's, makes of a text."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return {part.type for token in tokens for part in [token, *(token.children or ())]}


@pytest.mark.parametrize(("text", "kind"), [
    (TABLE, "table_open"),
    ("|a|b|\n|-|-|\n|1|2|", "table_open"),
    ("a | b\n--- | ---\n1 | 2", "table_open"),
    ("# Title\nwords", "heading_open"),
    ("- one\n- two", "bullet_list_open"),
    ("the **best** one", "strong_open"),
    ("```\nfor a in b: c[0]\n```", "fence"),
    ("run `python -m x`", "code_inline"),
])
def test_what_is_markdown_is_drawn(text, kind):
    assert kind in kinds(as_markdown(text))


def test_code_is_left_as_it_is():
    assert as_markdown(TABLE) == TABLE
    assert as_markdown("**x**\n\n    a[0] < b") == "**x**\n\n    a[0] < b"


@pytest.mark.parametrize("text", [
    "plain words\nin lines", '{"lr": 0.1}', "", "# T\n" + "x" * LONGEST,
    "`a\n`![x](http://a.b/c.png)` b",
])
def test_what_is_none_or_might_lead_out_is_shown_as_it_was_written(text):
    assert as_markdown(text) is None


def test_nothing_that_is_drawn_is_a_link_a_picture_or_html():
    draw, seen = random.Random(0), 0
    for _ in range(20_000):
        text = "".join(draw.choices(PIECES, k=draw.randint(2, 14)))
        drawn = as_markdown(text)
        if drawn is not None:
            seen += 1
            assert not kinds(drawn) & LIVE, (text, drawn)
    assert seen > 3_000


def test_streamlits_marks_and_formulas_stay_text():
    drawn = as_markdown("**x** :red[y] :smile: $z$ http://a.b")
    assert ":red" not in drawn and ":smile" not in drawn and "\\$z\\$" in drawn
    assert "http://" not in drawn
    assert "www." not in as_markdown("**x** www.a.b WWW.a.b").lower()


def test_a_person_may_see_it_as_it_was_written():
    from streamlit.testing.v1 import AppTest
    app = AppTest.from_string(
        f"from core.ui import logged_text\nlogged_text.choice()\nlogged_text.draw({TABLE!r})").run()
    assert [part.value for part in app.markdown] == [TABLE] and not app.code
    app.toggle(key=AS_WRITTEN).set_value(True).run()
    assert [part.value for part in app.code] == [TABLE] and not app.markdown
