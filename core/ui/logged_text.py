"""Text that training logged, as the Markdown that it mostly is: hyperparameters in a table, say."""

import re

import streamlit as st

from core.ui.text import LIVE, joined, visible

AS_WRITTEN = "as_written"
LONGEST = 20_000  # characters that are drawn as Markdown
_MARKED = re.compile(
    r"^ {0,3}(#{1,6} |[-*+] |\d+[.)] |>|```|~~~|\|?[ \t]*:?-+:?[ \t]*\|)|\*\*\S|`\S", re.MULTILINE
)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_CODE = re.compile(r"((?<!`)(`+)(?!`).+?(?<!`)\2(?!`))")
_RULE = re.compile(r"[\s|:-]*")  # below a table's head, or a heading, or by itself
_LEADS_OUT = re.compile(r"\]\(|\]\[|\]:|://|www\.|\S@\S|<[a-z/!?]", re.IGNORECASE)
_ALIVE = re.compile(r"([\\\[\]<&$!])")


def choice() -> None:
    """Whether texts are drawn or shown as they were written."""
    st.toggle("As it was written", key=AS_WRITTEN, bind="query-params",
              help="Else tables, headings, lists and code of a text that is Markdown are drawn; "
                   "its links and pictures never are.")


def draw(text: str) -> None:
    """One text."""
    drawn = None if st.session_state.get(AS_WRITTEN) else as_markdown(text)
    if drawn is None:
        st.code(text, language=None, wrap_lines=True)
    else:
        st.markdown(drawn)


def as_markdown(text: str) -> str | None:
    """Markdown whose tables, headings, lists, emphasis and code are drawn, while links, pictures,
    HTML, formulas and Streamlit's own marks stay text. None of text that shows no such marks, and
    where code holds what might be a link: that is shown as it was written.

    What looks like code here may be none to who draws it (its backtick may belong to an earlier
    one), so it is left as it is only where nothing in it leads out of the page.
    """
    if len(text) > LONGEST or not _MARKED.search(text):
        return None
    lines, fenced = [], False
    for line in text.splitlines():
        fence = _FENCE.match(line)
        whole = fenced or fence or line.startswith(("    ", "\t")) or _RULE.fullmatch(line)
        fenced ^= bool(fence)
        parts = [line] if whole else [part for part in _split(line) if part]
        if any(_as_it_is(part, whole) and _LEADS_OUT.search(part) for part in parts):
            return None
        lines.append("".join(
            _shown(part) if _as_it_is(part, whole) else _still(_shown(part)) for part in parts))
    return "\n".join(lines)


def _split(line: str) -> list[str]:
    """What is code between backticks, and what lies between."""
    found, end = [], 0
    for code in _CODE.finditer(line):
        found += [line[end:code.start()], code.group()]
        end = code.end()
    return [*found, line[end:]]


def _as_it_is(part: str, whole: object) -> bool:
    return bool(whole) or _CODE.fullmatch(part) is not None


def _shown(part: str) -> str:
    return "".join(character if character == "\t" else visible(character) for character in part)


def _still(part: str) -> str:
    return _ALIVE.sub(r"\\\1", joined(LIVE, part))
