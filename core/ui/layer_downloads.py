"""The table of layers as files, and the summary of the network to copy."""

import pandas as pd
import streamlit as st

from core.architecture_export import markdown_table, summary_text
from core.measures.architecture_record import Architecture


def downloads(table: pd.DataFrame, found: Architecture) -> None:
    """The rows that are shown as CSV and Markdown, and the summary of the whole network."""
    csv, markdown, text = st.columns(3)
    csv.download_button("Download as CSV", table.to_csv(index=False), "layers.csv", "text/csv",
                        width="stretch")
    markdown.download_button("Download as Markdown", lambda: markdown_table(table), "layers.md",
                             "text/markdown", width="stretch", on_click="ignore")
    summary = summary_text(found.table, found.totals, found.type, found.input_shape,
                           found.output_shape)
    text.download_button("Download the summary", summary, "summary.txt", "text/plain",
                         width="stretch")
    with st.expander("Summary to copy"):
        st.caption("As torchinfo prints it, all levels; but a layer that runs several times or "
                   "shares its weights is counted once, the products of attention count, and "
                   "layers that never run are there too.")
        st.code(summary, language=None)


