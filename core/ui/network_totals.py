"""What a network costs, in one line, and in memory at the batch that is wanted."""

import streamlit as st

from core.architecture import architecture, peak_memory
from core.measures.architecture_record import Architecture
from core.measures.disk_size import size_on_disk
from core.ui.boundary import boundary
from core.ui.text import compact, count, file_size, md_escape, plural

LARGEST_BATCH = 65_536


def totals(model_id: str, dataset_id: str | None) -> None:
    """The answer in one line, the peak of memory, and what could not be measured."""
    found = architecture(model_id, dataset_id)
    words = [f"{compact(found.totals['parameters'])} parameters in {_parts(found, model_id)}"]
    if "multiply_adds" in found.totals:
        words.append(f"{compact(found.totals['multiply_adds'])} multiply-adds for one image")
    st.markdown(f"#### {' · '.join(words)}")
    st.caption(_sizes(found, model_id))
    for note in found.notes:
        st.caption(md_escape(note, longest=1000))
    if found.code:
        with st.expander("Lines to copy"):
            st.code(found.code, language="python")
    if "multiply_adds" in found.totals:
        with boundary("The memory of a batch"):
            _peak(model_id, dataset_id)


def _parts(found: Architecture, model_id: str) -> str:
    """Layers; tensors of weights alone, whose layers nobody knows, and of a file without any."""
    layers = int((~found.table["is_tensor"]).sum())
    if found.is_network and layers:
        return plural(layers, "layer")
    from core.weights import shapes_of  # torch is imported with it

    return plural(len(shapes_of(model_id)), "tensor")


def _sizes(found: Architecture, model_id: str) -> str:
    size, files = size_on_disk(model_id)
    words = [
        f"{file_size(found.totals['weight_bytes'])} of weights in memory",
        f"{file_size(size)} on disk" + (f" in {count(files)} files" if files > 1 else ""),
        _trainable(found),
    ]
    return " · ".join(words)


def _trainable(found: Architecture) -> str:
    if "trainable" not in found.totals:
        return "which parameters were trained is not said in the file"
    frozen = found.totals["parameters"] - found.totals["trainable"]
    return f"{compact(found.totals['trainable'])} parameters trainable, {compact(frozen)} not"


def _peak(model_id: str, dataset_id: str | None) -> None:
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    batch = left.number_input("Images at once", 1, LARGEST_BATCH, 1, key="batch",
                              bind="query-params")
    found = peak_memory(model_id, dataset_id, int(batch))
    right.markdown(f"**{file_size(found.bytes)}** of activations at the peak")
    st.caption("The peak is what must be in memory at the same time when the network predicts: "
               "the input and the results that are still needed. Weights, what an operator needs "
               "for itself, and what training would keep for gradients come on top.")
    for note in found.notes:
        st.caption(md_escape(note))
