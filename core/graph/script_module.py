"""A TorchScript program as a network: followed, in evaluation mode, its card filled."""

from collections.abc import Sequence
from typing import Any

from core.card import Card
from core.dataset_files.archives import Archive
from core.errors import UserError
from core.graph.accepted_batches import with_any_batch
from core.graph.evaluation import in_evaluation_mode
from core.graph.inplace import without_writes
from core.graph.module import GraphModule
from core.graph.nodes import Graph
from core.graph.outputs import network_with_scores, output_meaning
from core.graph.script_network import Followed, Program
from core.graph.script_sizes import Chosen, followed_program
from core.graph.shared_layers import with_shared_layers
from core.graph.unnamed_layers import CONSTANT, with_made_up_layers
from core.model_formats import LoadedModel

AGAIN = "Save it again with torch.jit.save, or save its state dict."


def network_of(archive: Archive, card: Card) -> LoadedModel:
    """The network that the program in the archive is. Raises UserError."""
    if "byteorder" in archive and archive.read("byteorder", 16).strip() == b"big":
        raise UserError(f"saved on a big-endian machine, which is not read here. {AGAIN}")
    program = Program(archive)
    chosen, followed = followed_program(program, card)
    graph, second_names = with_shared_layers(followed.graph)
    graph, training = in_evaluation_mode(graph)
    recorded = without_writes(graph)
    graph = with_made_up_layers(recorded)
    graph, module, cost, outputs_note = network_with_scores(graph, program.type_name)
    module, batch_note = _with_batch(followed, graph, module, cost.multiply_adds)
    notes = [
        f"{'Traced' if program.recorded else 'TorchScript'}: {len(graph.nodes):,} operators were "
        "read from the program; its code was not run.",
        chosen.note,
        outputs_note,
        len(module.inputs) > 1 and f"The network takes {len(module.inputs)} inputs, so only its "
                                   "structure can be shown.",
        (followed.training or training) and "Saved in training mode: batch norms and dropouts "
                                            "were set to evaluation mode.",
        second_names and f"Layers with two names are shown under the first ({_some(second_names)} "
                         "are second names).",
        _unnamed(recorded),
        (lost := graph.layers_lost()) and f"{len(lost)} layers pass their input on or never run, "
                                          f"so the program does not hold them: {_some(lost)}.",
        module.pieces and f"{len(module.pieces)} layers were recorded in pieces and run once a "
                          f"piece: {_some(module.pieces)}.",
        batch_note,
    ]
    filled = card.infer(**_input_card(chosen), output=output_meaning(graph),
                        input_range=module.inputs[0].pixel_range)
    return LoadedModel(module, filled, tuple(note for note in notes if note))


def _with_batch(followed: Followed, graph: Graph, module: GraphModule,
                multiply_adds: int) -> tuple[GraphModule, str | None]:
    if not followed.any_batch:
        low = module.batch[0]
        return module, (f"The program does other things for another batch, so inputs run in "
                        f"parts of {low}.")
    return with_any_batch(graph, module, multiply_adds)


def _unnamed(graph: Graph) -> str | None:
    """What is to know where the program names no layers."""
    if any(node.calls for node in graph.nodes):
        return None
    made_up = "Their names (conv2d_1, relu_1, …) are made up: the operator, counted."
    if any(weight.name.startswith(CONSTANT) for weight in graph.weights.values()):
        return ("The program was frozen: the layers' names are lost, and batch norms may be folded "
                f"into convolutions. Each operator is shown as a layer. {made_up}")
    return f"The program names no layers, so each operator is shown as one. {made_up}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _input_card(chosen: Chosen) -> dict[str, Any]:
    """The sizes of a picture (N, C, H, W)."""
    shape = chosen.given[0][0]
    if len(shape) != 4:
        return {}
    return dict(zip(("input_channels", "input_height", "input_width"), shape[1:], strict=True))
