"""What a Keras network's config says about its input and output."""

import math

from core.card import Card
from core.files.text_of_files import shown
from core.keras.plan import GraphPlan, LayerPlan

MEANINGS = {"softmax": "probabilities", "sigmoid": "sigmoid", "log_softmax": "log_probabilities",
            "linear": "logits", "Softmax": "probabilities"}


def inferred_card(card: Card, plan: GraphPlan, channels_last: bool) -> tuple[Card, tuple[str, ...]]:
    """The card filled from the plan, and notes on what was inferred."""
    shape = next(iter(plan.inputs.values()))
    (channels, height, width), notes = _picture(shape, channels_last)
    guesses = {"input_channels": channels, "input_height": height, "input_width": width,
               "output": _meaning(plan.last_layer())}
    first = next((leaf for leaf in plan.leaves() if leaf.kind != "Identity"), None)
    if first is not None and first.kind == "Rescaling":
        scale, offset = first.config.get("scale", 1), first.config.get("offset", 0)
        notes.append(f"The network itself rescales its input (Rescaling: {shown(scale)} times the "
                     f"input, plus {shown(offset)}).")
        if isinstance(scale, (int, float)) and 0 < scale < 0.05:
            guesses["input_range"] = (0.0, 255.0)
    if any(leaf.kind == "Embedding" for leaf in plan.leaves()):
        notes.append("It looks numbers up in a table (Embedding), as networks for text do: what is "
                     "worked out of pictures means nothing.")
    if any(leaf.kind == "Normalization" for leaf in plan.leaves()):
        notes.append("The network itself normalises its input (Normalization).")
    if guesses["output"]:
        notes.append(f"Its outputs are {guesses['output']}, by its last layer.")
    return card.infer(**guesses), tuple(notes)


def _picture(shape: tuple[int | None, ...],
             channels_last: bool) -> tuple[tuple[int | None, ...], list[str]]:
    """(channels, height, width) of the input, None where it is open, and notes."""
    if len(shape) == 4:
        return (shape[3], *shape[1:3]) if channels_last else shape[1:], []
    if len(shape) == 3:
        return (1, *shape[1:]), ["Its input has no channels: grey pictures, row by row."]
    for channels in (1, 3):
        side = math.isqrt((shape[1] or 0) // channels)
        if side and side * side * channels == shape[1]:
            return (channels, side, side), [
                f"Its input is a list of {shape[1]:,} numbers, taken for pictures of {side} × "
                f"{side} with {channels} channels."]
    return (None, None, None), ["Its input is a list of numbers; give the pictures' size in a "
                                "card."]


def _meaning(last: LayerPlan | None) -> str | None:
    if last is None or last.operation:
        return MEANINGS.get(last.kind) if last else None
    if last.kind == "Softmax":
        return "probabilities"
    activation = last.config.get("activation")
    if isinstance(activation, LayerPlan):
        return MEANINGS.get(activation.kind)
    if last.kind in ("Dense", "Conv2D", "Activation", "EinsumDense"):
        return MEANINGS.get(activation or "linear")
    return "logits" if last.kind in ("GlobalAveragePooling2D", "BatchNormalization") else None
