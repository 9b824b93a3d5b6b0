"""Weights on the page: the tree of tensors with their statistics, and one tensor looked into."""

import altair as alt
import pandas as pd
import streamlit as st

from core.measures.tensor_statistics import Distribution
from core.ui.charts import CANVAS, RIGHT
from core.ui.layers import matching, times
from core.ui.text import compact, count, file_size, md_escape, plural
from core.ui.weight_pictures import weight_picture
from core.ui.weight_tree import weight_tree
from core.weights import distribution, npy_file, parts_of, spectral_norm, weight_statistics

LARGEST_DOWNLOAD = 1 << 30  # bytes
SIDES = ("rows", "columns")  # of a matrix


def weights_table(model_id: str, below: str, key: str) -> None:
    """The tensors of a model, or of one module; a click on one opens it below the table."""
    table = weight_statistics(model_id, below)
    if table.empty:
        st.write("No weights here.")
        return
    words = _search(key) if len(table) > 12 else ""
    found = table[matching([table["name"], table["dtype"]], [table["shape"]], words)]
    if found.empty:
        st.write("No tensor matches. Remove a letter, or look for a part of the name.")
        return
    _line(found)
    name = weight_tree(found, below, bool(words), key)
    if name is None and len(found) == 1:
        name = found["name"].iloc[0]
    if name is None:
        st.caption("Click a tensor for its histogram, its picture and its file, an arrow to open "
                   "or close a module, a heading to sort.")
    else:
        tensor_details(model_id, table.set_index("name", drop=False).loc[name], key)
    label, csv = "Download the statistics as CSV", found.to_csv(index=False)
    st.download_button(label, csv, "weights.csv", "text/csv", key=f"{key}-csv")


def _search(key: str) -> str:
    return st.text_input(
        "Find tensors",
        key=f"{key}-find",
        bind="query-params",
        placeholder="name, dtype or shape",
        help='For example conv, "float16" (quotes: the whole word), 64,3,7,7 or 64.',
    )


def _line(table: pd.DataFrame) -> None:
    """How many, and what is wrong with them."""
    own = table[table["same_as"] == ""]
    words = [
        plural(len(own), "tensor"),
        f"{compact(own['parameters'].sum())} numbers",
        file_size(own["bytes"].sum()),
    ]
    words += [
        f"{count(own[column].sum())} {said}"
        for column, said in (("nan", "NaN"), ("infinite", "infinite"))
        if own[column].any()
    ]
    st.markdown(f"**{' · '.join(words)}**")


def tensor_details(model_id: str, row: pd.Series, key: str) -> None:
    """One tensor: its histogram and quantiles beside its picture, and its file."""
    name, shape = row["name"], row["shape"]
    st.subheader(md_escape(name), anchor=False)
    st.caption(f"{times(shape) or 'one number'} · {row['dtype']} · {file_size(row['bytes'])}")
    if parts := parts_of(model_id, name):
        st.caption("; ".join(f"{SIDES[part.axis]} {count(part.start)} to {count(part.stop - 1)}: "
                             f"{part.name}" for part in parts))
    elif row["attention"]:
        st.caption(f"Attention: {row['attention']}.")
    left, right = st.columns(2, gap="large")
    with left:
        _distribution(distribution(model_id, name))
        if sum(side > 1 for side in shape) > 1 and not row["dtype"].startswith("complex"):
            _spectral_norm(model_id, name, key)
    with right:
        weight_picture(model_id, name, shape, key)
    if row["bytes"] <= LARGEST_DOWNLOAD:
        file = f"{name[-100:]}.npy"
        st.download_button("Download as .npy", lambda: npy_file(model_id, name), file,
                           "application/octet-stream", key=f"{key}-npy", on_click="ignore")


def _spectral_norm(model_id: str, name: str, key: str) -> None:
    """The norm of every tensor that is looked at, from when it is asked for."""
    asked = st.toggle(
        "Spectral norm",
        key=f"{key}-spectral",
        help="The largest singular value; a convolution is taken as a matrix of outputs by all the "
        "rest. Seconds for a large matrix.",
    )
    if asked:
        st.markdown(f"Spectral norm **{spectral_norm(model_id, name):.4g}**")


def _distribution(found: Distribution) -> None:
    for note in found.notes:
        st.caption(note)
    if not found.quantiles:
        return
    bars = pd.DataFrame({"from": found.edges[:-1], "to": found.edges[1:], "numbers": found.counts})
    chart = (
        alt.Chart(bars)
        .mark_bar(color=RIGHT, binSpacing=0.5)
        .encode(
            x=alt.X("from:Q", bin="binned", title="weight", axis=alt.Axis(format="~g")),
            x2="to:Q",
            y=alt.Y("numbers:Q", title="numbers", axis=alt.Axis(format="~s")),
            tooltip=[alt.Tooltip("from:Q", format=".4g"), alt.Tooltip("to:Q", format=".4g"),
                     alt.Tooltip("numbers:Q", format=",")],
        )
        .properties(height=220, usermeta=CANVAS)
        .configure(aria=False)
        .configure_axis(gridOpacity=0.4)
        .configure_view(strokeOpacity=0)
    )
    st.altair_chart(chart)
    said = [f"{100 * level:g} %: {value:.3g}" for level, value in found.quantiles.items()]
    st.caption(f"Quantiles: {' · '.join(said)}")
