"""ONNX: a graph as protobuf, of opset 7 and newer, weights inside or in one file beside it.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto)
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from core.card import Card
from core.errors import UserError
from core.graph.accepted_batches import measured, with_any_batch
from core.graph.evaluation import in_evaluation_mode
from core.graph.module import GraphModule
from core.graph.nodes import Graph
from core.graph.onnx_file import read_model
from core.graph.onnx_functions import without_functions
from core.graph.onnx_lowering import Trial, check_operators
from core.graph.onnx_model import OnnxModel
from core.graph.onnx_sizes_tried import read_graph
from core.graph.onnx_weight_names import folded_layers
from core.graph.outputs import output_meaning
from core.model_formats import Format, LoadedModel
from core.text_of_files import shown

IR_VERSION, GRAPH, NEWEST = 1, 7, 64
FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}  # wire types
MOST_FIELDS = 10_000
AGAIN = "Copy or download it again."
CLASS_NAMES = ("names", "classes", "class_names", "labels", "id2label")
MOST_CLASSES = 100_000


def matches(path: Path) -> bool:
    """Whether the fields are a ModelProto's, with version and graph; the last may be cut off."""
    with path.open("rb") as file:
        found = dict(_fields(file))
    return 0 < found.get(IR_VERSION, 0) <= NEWEST and GRAPH in found and None not in found


def load(path: Path, card: Card) -> LoadedModel:
    """The network as a module whose layers have the names that the exporter left."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if any(end > size for field, end in _fields(file) if FIELDS.get(field) == 2):
            raise UserError(f"{path.name} is an ONNX graph that is cut off or damaged. {AGAIN}")
    try:
        return _loaded(read_model(path), card)
    except UserError as error:
        raise UserError(f"{path.name}: {error}") from error
    except ValueError as error:
        raise UserError(f"{path.name} is not a readable ONNX graph: {shown(error, 100)}. "
                        f"{AGAIN}") from error


def _loaded(model: OnnxModel, card: Card) -> LoadedModel:
    nodes = without_functions(model)
    check_operators(model, nodes)
    graph, trials = read_graph(model, nodes, card.input)
    folded = folded_layers(graph)
    graph, training = in_evaluation_mode(graph)
    module = GraphModule(graph)
    cost = measured(module)
    module, batch_note = with_any_batch(graph, module, cost.multiply_adds)
    by = shown(model.producer or "an unknown program", 40)
    notes = [
        f"Written by {by}, opset {model.opset}: {len(nodes):,} nodes.",
        len(trials) > 1 and f"The network takes {len(trials)} inputs, so only its structure can be "
                            "shown.",
        trials[0].is_nhwc and "The file wants channels last; pictures are given to it channels "
                              "first and turned inside.",
        _sizes_note(model, trials[0]),
        training and f"Exported in training mode: {training} batch norms were set to evaluation "
                     "mode.",
        folded and f"The exporter merged batch norms into convolutions: {len(folded)} layers give "
                   f"what the batch norm gave, with weights of both: {_some(folded)}.",
        model.tensors.has_half and "Stored in half precision, computed in single.",
        _non_finite(graph),
        _same_names(model),
        batch_note,
    ]
    filled = card.infer(**_input_card(trials[0]), output=output_meaning(graph),
                        class_names=_class_names(model.metadata))
    return LoadedModel(module, filled, tuple(note for note in notes if note))


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
    found = [weight.name for weight in graph.weights.values()
             if weight.is_parameter and not torch.isfinite(weight.tensor.sum())
             and not torch.isfinite(weight.tensor).all()]
    return f"{len(found)} tensors have values that are not finite (NaN or inf): {_some(found)}." \
        if found else None


def _same_names(model: OnnxModel) -> str | None:
    names = [node.name for node in model.nodes if node.name]
    return "Several nodes have the same name (duplicate names); each is shown by itself." \
        if len(set(names)) < len(names) else None


def _input_card(trial: Trial) -> dict[str, Any]:
    """What the sizes of a picture (N, C, H, W) say, as far as the file fixes them."""
    if len(trial.shapes[0]) != 4:
        return {}
    names = ("input_channels", "input_height", "input_width")
    pairs = zip(names, trial.shapes[0][1:], trial.shapes[-1][1:], strict=True)
    return {name: low for name, low, high in pairs if low == high}


def _class_names(metadata: dict[str, str]) -> tuple[str, ...] | None:
    """Names in the metadata, as JSON, as a Python dict of numbers and texts, or line by line."""
    said = next((metadata[key] for key in CLASS_NAMES if key in metadata), "")[:10_000_000]
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = [part.strip(" '\"") for part in said.strip("{}[] ").replace("\n", ",").split(",")]
        found = [part.partition(":")[2].strip(" '\"") or part for part in found]
    if isinstance(found, dict):
        found = list(found.values())
    names = tuple(map(str, found)) if isinstance(found, list) else ()
    return names if 1 < len(names) <= MOST_CLASSES and all(names) else None


def _fields(file: BinaryIO) -> Iterator[tuple[int | None, int]]:
    """(field, its number or the offset of its end) of the message's own fields, in order;
    (None, 0) where the bytes are no ModelProto's."""
    for _ in range(MOST_FIELDS):
        if (tag := _varint(file)) is None:
            return
        field, wire = tag >> 3, tag & 7
        value = _varint(file)
        if FIELDS.get(field) != wire or value is None or value < 0:
            yield None, 0
            return
        if wire == 0:
            yield field, value
            continue
        end = file.tell() + value
        yield field, end
        file.seek(min(end, 1 << 62))


def _varint(file: BinaryIO) -> int | None:
    """A number of protobuf, or None where the bytes end or it does not."""
    number = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    return None


FORMAT = Format("ONNX", matches, load)
