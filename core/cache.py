"""Results kept in memory: bounded, shared by all sessions, keyed by ids, names and numbers only."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

Function = TypeVar("Function", bound=Callable[..., Any])
for part in (
    "cache_data_api",
    "cache_resource_api",
):  # on the command line it says that no server runs
    logging.getLogger(f"streamlit.runtime.caching.{part}").setLevel(logging.ERROR)


def cached_result(function: Function) -> Function:
    """Each caller gets a copy of the table or record; errors are not kept."""
    return st.cache_data(function, max_entries=128, max_size="256MB", show_spinner=False)


def shared_resource(entries: int) -> Callable[[Function], Function]:
    """One object for everybody, never to be written to; the `entries` last used are kept."""
    return st.cache_resource(max_entries=entries, show_spinner=False)
