"""An exported graph as a network: layers named, in evaluation mode, its card filled."""

from collections.abc import Sequence
from typing import Any

from core.card import Card
from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.accepted_batches import with_any_batch
from core.graph.evaluation import in_evaluation_mode
from core.graph.export_schema import lowered, network_class
from core.graph.export_tensors import NOT_LOADED, exported_tensors, flat_tensors, read_json
from core.graph.inplace import without_writes
from core.graph.nodes import Input
from core.graph.outputs import network_with_scores, output_meaning
from core.graph.shared_layers import with_shared_layers
from core.model_formats import LoadedModel

FLAT = "serialized_exported_program.json"  # the graph, before archives had several
AGAIN = "Export it again with torch.export.save, or save its state dict."


def network_of(archive: Archive, name: str | None, card: Card) -> LoadedModel:
    """The network of the graph called `name`. Raises UserError."""
    _refuse_code(archive)
    document, tensors = _contents(archive, name)
    graph, second_names = with_shared_layers(lowered(document, tensors))
    if not graph.inputs:
        raise UserError("the network takes no tensor as input. Export it with one picture "
                        "as input.")
    graph, training = in_evaluation_mode(graph)
    graph = without_writes(graph)
    graph, module, cost, outputs_note = network_with_scores(graph, network_class(document))
    module, batch_note = with_any_batch(graph, module, cost.multiply_adds)
    notes = [
        _recorded(document, len(graph.nodes)),
        _inputs_note(module.inputs),
        outputs_note,
        training and f"Exported in training mode: {training} batch norms and dropouts were set to "
                     "evaluation mode.",
        second_names and f"Layers with two names are shown under the first ({_some(second_names)} "
                         "are second names).",
        (lost := graph.layers_lost()) and "Layers that pass their input on or never run are not in "
                                          f"the file ({len(lost)}): {_some(lost)}.",
        module.pieces and "Layers recorded in pieces run once for each piece "
                          f"({len(module.pieces)}): {_some(module.pieces)}.",
        batch_note,
    ]
    filled = card.infer(**_input_card(module.inputs[0]), output=output_meaning(graph),
                        input_range=module.inputs[0].pixel_range)
    return LoadedModel(module, filled, tuple(note for note in notes if note))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _refuse_code(archive: Archive) -> None:
    for name in archive.names:
        if name.startswith("data/aotinductor/") or name.endswith((".so", ".dll", ".dylib")):
            raise UserError(f"it carries compiled native code ({shown(name)}); {NOT_LOADED}")
        if name.startswith(("data/constants/opaque_obj", "data/constants/custom_obj")):
            raise UserError(f"it carries a pickled object ({shown(name)}), which is code; "
                            f"{NOT_LOADED}")


def _contents(archive: Archive, name: str | None) -> tuple[dict, dict]:
    """The JSON document of the graph, and the tensors."""
    if "byteorder" in archive and archive.read("byteorder", 16).strip() == b"big":
        raise UserError(f"saved on a big-endian machine, which is not read here. {AGAIN}")
    if name is not None:
        return read_json(archive, f"models/{name}.json"), exported_tensors(archive, name)
    if FLAT in archive:
        return read_json(archive, FLAT), flat_tensors(archive)
    raise UserError(f"the archive holds no exported graph, or is incomplete. {AGAIN}")


def _recorded(document: dict, nodes: int) -> str:
    schema = document["schema_version"]
    major = f"{schema['major']}.{schema['minor']}" if isinstance(schema, dict) else schema
    version = document.get("torch_version")
    by = shown(version, 30) if version else "older than 2.5"
    return f"Exported by torch {by}, schema {major}: {nodes:,} nodes."


def _inputs_note(inputs: tuple[Input, ...]) -> str | None:
    if len(inputs) > 1:
        return f"The network takes {len(inputs)} inputs, so only its structure can be shown."
    low, high = inputs[0].sizes[0] if inputs[0].sizes else (1, 1)
    return None if low == high else "The batch is dynamic."


def _input_card(given: Input) -> dict[str, Any]:
    """What the sizes of a picture (N, C, H, W) say, as far as the export fixes them."""
    if len(given.sizes) != 4:
        return {}
    names = ("input_channels", "input_height", "input_width")
    return {name: low for name, (low, high) in zip(names, given.sizes[1:], strict=True)
            if low == high}
