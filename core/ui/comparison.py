"""Two models side by side on the page: which other, what became of each tensor, and accuracy."""

import pandas as pd
import streamlit as st

from core import library
from core.compare import compared
from core.files import found_files
from core.labels import class_mismatch
from core.measures.pairings import SHAPES
from core.model_facts import model_facts
from core.outcomes import truth
from core.overview import summary
from core.places import path_of
from core.ui.add_file import uploads
from core.ui.boundary import boundary
from core.ui.layers import times
from core.ui.setup import classes_note
from core.ui.sidebar import Chosen
from core.ui.text import count, md_escape, percent, plural, three_digits

SHOWN = {
    "name": "Tensor",
    "change": "Change",
    "relative_change": "Relative change",
    "cosine": "Cosine",
    "parameters": "Parameters",
    "shape": "Shape",
    "other_name": "Name in the other",
    "sure": "Paired by",
    "other_shape": "Shape in the other",
    "other_dtype": "Dtype in the other",
}
OPTIONAL = ("other_name", "sure", "other_shape", "other_dtype")  # left out where nothing is new
STATISTICS = r"(?:^|\.)(?:running|moving)_(?:mean|var|variance)$"  # of batch normalisation
NORMALISED = 4  # tensors of such names that a network with batch normalisation has at least


def other_model(chosen: Chosen) -> str | None:
    """The id of the model to compare with, chosen among those listed."""
    paths = found_files.listing("models").paths | uploads("models")
    paths.pop(chosen.model_name, None)
    if st.session_state.get("other") not in paths:
        st.session_state["other"] = None
    name = st.selectbox(
        "Compare with",
        list(paths),
        None,
        key="other",
        bind="query-params",
        placeholder="another checkpoint",
    )
    return None if name is None else library.model_id(paths[name])


def comparison(chosen: Chosen, other_id: str) -> None:
    """What became of each tensor, in numbers."""
    table = compared(chosen.model_id, other_id)
    kinds = table["change"].value_counts()
    st.markdown("#### " + " · ".join(f"{count(n)} {kind}" for kind, n in kinds.items()))
    st.write(verdict(table))
    picked = st.pills(
        "Show", list(kinds.index), selection_mode="multi", key="changes", bind="query-params",
        help="None chosen shows all.",
    )
    shown = table[table["change"].isin(picked)] if picked else table
    drawn = shown.assign(
        shape=shown["shape"].map(times),
        other_name=[
            there if isinstance(there, str) and there != here else ""
            for here, there in zip(shown["name"], shown["other_name"], strict=True)
        ],
        sure=shown["sure"].where(shown["name"] != shown["other_name"], ""),
        other_shape=[
            times(there) if there != here else ""
            for here, there in zip(shown["shape"], shown["other_shape"], strict=True)
        ],
        other_dtype=[
            there if isinstance(here, str) and isinstance(there, str) and there != here else ""
            for here, there in zip(shown["dtype"], shown["other_dtype"], strict=True)
        ],
    )
    columns = {c: t for c, t in SHOWN.items()
               if drawn[c].notna().any() and (c not in OPTIONAL or (drawn[c] != "").any())}
    st.dataframe(
        drawn[list(columns)].rename(columns=columns),
        hide_index=True,
        placeholder="",
        height=min(560, 38 + 35 * len(drawn)),
        key="compared",
        column_config={
            "Tensor": st.column_config.TextColumn(width=176, pinned=True),  # three fit a phone
            "Change": st.column_config.TextColumn(width=74),
            "Shape": st.column_config.TextColumn(width=130),
            "Relative change": st.column_config.NumberColumn(
                width=104, format="%.3g", help="‖other − this‖ / ‖this‖, Euclidean."
            ),
            "Cosine": st.column_config.NumberColumn(
                format="%.4f", help="Of the two as vectors: 1 where they point the same way."
            ),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Paired by": st.column_config.Column(
                help="What says that the two are one: that their numbers are equal is certain, "
                     "that only their shapes are, in the same order, is a guess. Empty: the name."
            ),
        },
    )
    _most_moved(table)
    if (table["sure"] == SHAPES).any():
        st.caption(f"{plural(int((table['sure'] == SHAPES).sum()), 'tensor')} paired by shape and "
                   "order alone: how far those moved means something only if the pair is right.")
    if _folded(table):
        st.caption("One of the two has no batch normalisation. An export folds it into the "
                   "convolution before it: the weights then differ where the networks do the same. "
                   "The accuracy of both tells.")
    st.download_button("Download as CSV", table.to_csv(index=False), "compared.csv", "text/csv")


def verdict(table: pd.DataFrame) -> str:
    """In a sentence, how much of the two is the same; for what core.compare gives."""
    pairs = table[~table["change"].isin(("added", "removed"))]
    same = int(((pairs["relative_change"] == 0) | (pairs["change"] == "equal")).sum())
    if pairs.empty:
        return ("Nothing in common: no tensor has the numbers, the name, or the shape and place of "
                "one in the other.")
    if same < len(table):
        have = "has" if len(pairs) == 1 else "have"
        return (f"{plural(len(pairs), 'tensor')} of one {have} a match in the other; in "
                f"{count(same) if same else 'none'} of these all numbers are the same.")
    renamed = (table["change"] == "renamed").any()
    return f"The weights of both are the same{', under other names' if renamed else ''}."


def _folded(table: pd.DataFrame) -> bool:
    """Whether, of two that have something in common, one alone has batch normalisation."""
    of_norms = table["name"].str.contains(STATISTICS) | table["other_name"].str.contains(
        STATISTICS, na=False)
    kinds = set(table["change"][of_norms])
    alone = kinds in ({"added"}, {"removed"}) and of_norms.sum() >= NORMALISED
    return alone and not table["change"].isin(("added", "removed")).all()


def _most_moved(table: pd.DataFrame) -> None:
    moved = table.dropna(subset="relative_change")
    if not moved.empty and (top := moved.loc[moved["relative_change"].idxmax()]).relative_change:
        far = _far(top.relative_change)
        st.caption(f"Moved most: {md_escape(top['name'])}, by {far} its norm.")


def _far(relative: float) -> str:
    """A distance as a share of a norm, or as several."""
    if relative < 0.001:
        return "less than 0.1 % of"
    return f"{percent(relative)} of" if relative < 10 else f"{count(relative)} times"


def accuracies(chosen: Chosen, other_id: str) -> None:
    """Both models on the chosen data, once that is asked for."""
    if not (chosen.dataset_id and st.toggle("Accuracy of both on the chosen data", key="both",
                                              bind="query-params")):
        return
    told: list[float] = []
    for column, title, model_id in zip(
        st.columns(2), ("This model", "The other"), (chosen.model_id, other_id), strict=True
    ):
        with column, boundary(title):
            found = summary(model_id, chosen.dataset_id)
            agree = _classes_agree(model_id, chosen.dataset_id)
            moved = points(found.accuracy - told[0]) if told and agree else None
            st.metric(f"{title}: {md_escape(path_of(model_id).name)}",
                      percent(found.accuracy), moved, border=True)
            said = f"{count(found.right)} right of {plural(found.scored, 'labelled example')}"
            st.caption(f"{said}, mean loss {three_digits(found.mean_loss)}")
            classes_note(model_id, chosen.dataset_id)
            told += [found.accuracy] if agree else []
    st.caption("Each is given pictures as its card says, or as was assumed where there is none: "
               "Overview tries whether another set-up is clearly better.")


def points(moved: float) -> str | None:
    """A difference of two shares; none where there is none."""
    digits = ".1f" if abs(moved) >= 0.001 else ".1g"
    return f"{100 * moved:+{digits}} points" if moved else None


def _classes_agree(model_id: str, dataset_id: str) -> bool:
    """Whether the classes of a model are those of the data: else its accuracy says little."""
    outputs = len(truth(model_id, dataset_id).class_names)
    stated = model_facts(model_id).card.class_names
    data = library.open_dataset(dataset_id)
    return class_mismatch(outputs, stated, data.class_names, data.labels) is None
