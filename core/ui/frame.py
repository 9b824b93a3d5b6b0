"""The frame around every page: navigation, sidebar, and a boundary for errors."""

import ast
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import streamlit as st

from core.ui import page_settings
from core.ui.added import settle
from core.ui.boundary import boundary, following_jobs
from core.ui.idle import running
from core.ui.sidebar import Chosen, refused, sidebar

PAGES = Path(__file__).parent.parent.parent / "pages"
ICON = Path(__file__).parent / "icon.svg"  # a named icon would be fetched from the network
STYLE = Path(__file__).with_name("frame.css")
_in_frame: ContextVar[bool] = ContextVar("in_frame", default=False)


def main() -> None:
    """One run of the app: the frame, then the page that the address names."""
    st.set_page_config(layout="wide", page_icon=str(ICON))
    page = st.navigation(
        [
            st.Page(file, title=title, help=question, default=position == 0)
            for position, (file, title, question) in enumerate(_pages())
        ]
    )
    st.html(STYLE)
    page_settings.follow(page.title)
    with running(), following_jobs():
        st.session_state["_chosen"] = Chosen(None, None, None, ())
        with boundary("The sidebar"):
            st.session_state["_chosen"] = sidebar()
        with boundary("What was added"):
            settle()
        for error in refused():
            with boundary("What was chosen"):
                raise error
        token = _in_frame.set(True)
        try:
            with boundary(page.title):
                page.run()
        finally:
            _in_frame.reset(token)
            page_settings.note()


@cache
def _pages() -> list[tuple[str, str, str]]:
    """(file, title, the question that the page answers), in the order of the file names."""
    files = sorted(PAGES.glob("*.py"))
    questions = [ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) for file in files]
    titles = [file.stem.partition("_")[2].replace("_", " ") for file in files]
    return [
        (str(file), title, question.partition("\n")[0])
        for file, title, question in zip(files, titles, questions, strict=True)
    ]


def page() -> Chosen:
    """First line of every page: what was chosen in the sidebar.

    The first request after a start may be a deep link, which Streamlit answers by running the
    page's file without Home.py: then the whole frame is run from here.
    """
    if not _in_frame.get():
        main()
        st.stop()
    return st.session_state["_chosen"]
