"""An ONNX graph as a network: lowered, tried out, its layers named, its card filled."""

import json
from collections.abc import Sequence
from typing import Any

import torch

from core.card import Card
from core.files.file_map import outlined
from core.files.text_of_files import shown
from core.graph.accepted_batches import MOST_CHECKING, with_any_batch
from core.graph.evaluation import in_evaluation_mode
from core.graph.meta import Cost
from core.graph.nodes import Graph
from core.graph.onnx_functions import without_functions
from core.graph.onnx_lowering import Trial, check_operators
from core.graph.onnx_model import OnnxModel, OnnxNode, in_order
from core.graph.onnx_quantized_layers import products_together, quantized_note
from core.graph.onnx_sizes_tried import read_graph
from core.graph.onnx_weight_names import folded_layers
from core.graph.outputs import network_with_scores, output_meaning
from core.model_formats import LoadedModel

CLASS_NAMES = ("names", "classes", "class_names", "labels", "id2label")
MOST_CLASSES = 100_000
LONGEST_CLASSES = 4_000_000  # letters
MOST_CHECKED_BYTES = 100 << 20  # of one run, so that a check on a larger batch fits any machine
PIECE = 1 << 22  # elements looked at together


def network_of(model: OnnxModel, card: Card) -> LoadedModel:
    nodes = products_together(in_order(without_functions(model)))
    check_operators(model, nodes)
    graph, trials = read_graph(model, nodes, card.input)
    folded = folded_layers(graph)
    graph, training = in_evaluation_mode(graph)
    graph, module, cost, outputs_note = network_with_scores(graph)
    module, batch_note = with_any_batch(graph, module, _work(graph, cost))
    by = shown(model.producer or "an unknown program", 40)
    notes = [
        f"Written by {by}, opset {model.opset}: {len(nodes):,} nodes.",
        len(trials) > 1 and f"The network takes {len(trials)} inputs, so only its structure can be "
                            "shown.",
        trials[0].is_nhwc and "The file wants channels last; pictures are given to it channels "
                              "first and turned inside.",
        outputs_note,
        _sizes_note(model, trials[0]),
        training and f"Exported in training mode: {training} batch norms were set to evaluation "
                     "mode.",
        folded and f"The exporter merged batch norms into convolutions: {len(folded)} layers give "
                   f"what the batch norm gave, with weights of both: {_some(folded)}.",
        quantized_note(nodes, model.weights),
        model.tensors.has_half and "Stored in half precision, computed in single.",
        _non_finite(graph),
        _same_names(model),
        _unnamed(nodes),
        batch_note,
    ]
    filled = card.infer(**_input_card(trials[0]), input_range=module.inputs[0].pixel_range,
                        output=output_meaning(graph),
                        class_names=_class_names(model.metadata))
    return LoadedModel(module, filled, tuple(note for note in notes if note))


def _work(graph: Graph, cost: Cost) -> int:
    """Multiply-adds of one run, what only moves memory among them; too many where it is large."""
    if cost.peak_bytes > MOST_CHECKED_BYTES:
        return MOST_CHECKING
    return cost.multiply_adds + len(graph.nodes) * cost.peak_bytes // 16


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _sizes_note(model: OnnxModel, trial: Trial) -> str | None:
    """Where the file leaves sizes open that its operators fix."""
    declared = model.inputs[0].sizes or (None,) * len(trial.shapes[0])
    fixed = trial.shapes[0] == trial.shapes[-1] or trial.shapes[0][1:] == trial.shapes[-1][1:]
    if len(declared) != 4 or None not in declared[1:] or not fixed:
        return None
    sizes = " × ".join(map(str, trial.shapes[0][1:]))
    return ("The file leaves the input's size open, but what it does depends on it: read for "
            f"{sizes}. Set another in the model card.")


def _non_finite(graph: Graph) -> str | None:
    """Weights with NaN or infinite numbers, by name."""
    if outlined():
        return None
    found = [weight.name for weight in graph.weights.values()
             if weight.is_parameter and not _is_finite(weight.tensor)]
    return f"{len(found)} tensors have values that are not finite (NaN or inf): {_some(found)}." \
        if found else None


def _is_finite(tensor: torch.Tensor) -> bool:
    """Looks at each number once, also where one number was expanded to many."""
    tensor = tensor[tuple(slice(1) if stride == 0 else slice(None) for stride in tensor.stride())]
    return bool(torch.isfinite(tensor.sum())) or all(
        bool(torch.isfinite(piece).all()) for piece in tensor.reshape(-1).split(PIECE))


def _same_names(model: OnnxModel) -> str | None:
    names = [node.name for node in model.nodes if node.name]
    return "Several nodes have the same name (duplicate names); each is shown by itself." \
        if len(set(names)) < len(names) else None


def _unnamed(nodes: Sequence[OnnxNode]) -> str | None:
    """Where the file names neither nodes nor the layers around them."""
    count = sum(not node.name and not node.metadata and not node.operator.startswith("Constant")
                for node in nodes)
    return (f"{count:,} nodes have no names in the file: their layers are named for the weights "
            "they read, or for their operator and place (Relu_3)." if count else None)


def _input_card(trial: Trial) -> dict[str, Any]:
    """What the sizes of a picture (N, C, H, W) say, as far as the file fixes them."""
    if len(trial.shapes[0]) != 4:
        return {}
    names = ("input_channels", "input_height", "input_width")
    pairs = zip(names, trial.shapes[0][1:], trial.shapes[-1][1:], strict=True)
    return {name: low for name, low, high in pairs if low == high}


def _class_names(metadata: dict[str, str]) -> tuple[str, ...] | None:
    """Names in the metadata, as JSON, as a Python dict of numbers and texts, or line by line."""
    said = next((metadata[key] for key in CLASS_NAMES if key in metadata), "")[:LONGEST_CLASSES]
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = [part.strip(" '\"") for part in said.strip("{}[] ").replace("\n", ",").split(",")]
        found = [part.partition(":")[2].strip(" '\"") or part for part in found]
    if isinstance(found, dict):
        found = list(found.values())
    names = tuple(map(str, found)) if isinstance(found, list) else ()
    return names if 1 < len(names) <= MOST_CLASSES and all(names) else None
