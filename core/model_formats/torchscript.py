"""TorchScript: a program that torch.jit.save wrote, followed on shapes and never run by torch.

An archive: data.pkl is the tree of modules, data/ their tensors, constants.pkl what the code
calls CONSTANTS, code/ the source of every class, traced_inputs.pkl a trace's example sizes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.archives import Archive, member_names
from core.card import Card
from core.errors import UserError
from core.graph.accepted_batches import measured, with_any_batch
from core.graph.evaluation import in_evaluation_mode
from core.graph.inplace import without_writes
from core.graph.module import GraphModule
from core.graph.outputs import output_meaning
from core.graph.script_network import Followed, Program
from core.graph.script_sizes import Chosen, followed_program
from core.graph.shared_layers import with_shared_layers
from core.model_formats import Format, LoadedModel
from core.text_of_files import shown

OTHER_PROGRAMS = ("models/", "serialized_", "data/weights/")  # torch.export's
BEGINNING = 1 << 16  # bytes in which the first members' names lie
AGAIN = "Save it again with torch.jit.save, or save its state dict."
DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, RuntimeError)


def matches(path: Path) -> bool:
    """A zip with code/ or constants.pkl; of a damaged one the first members tell."""
    if names := member_names(path):
        own = "constants.pkl" in names or any(name.startswith("code/") for name in names)
        return own and not any(name.startswith(OTHER_PROGRAMS) for name in names)
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    is_zip = head.startswith(b"PK\x03\x04")
    return is_zip and (b"/code/__torch__" in head or b"/constants.pkl" in head)


def load(path: Path, card: Card) -> LoadedModel:
    """The program's network as a module whose layers have their own names."""
    try:
        with Archive(path, path.name) as archive:
            return _loaded(archive, card)
    except DAMAGE as error:
        raise UserError(f"{path.name} is TorchScript that cannot be read, it may be damaged: "
                        f"{type(error).__name__} {shown(error, 100)}. {AGAIN}") from error
    except UserError as error:
        if str(error).startswith(path.name):
            raise
        raise UserError(f"{path.name}: {error}") from error


def _loaded(archive: Archive, card: Card) -> LoadedModel:
    if "byteorder" in archive and archive.read("byteorder", 16).strip() == b"big":
        raise UserError(f"saved on a big-endian machine, which is not read here. {AGAIN}")
    program = Program(archive)
    chosen, followed = followed_program(program, card)
    graph, second_names = with_shared_layers(followed.graph)
    graph, training = in_evaluation_mode(graph)
    graph = without_writes(graph)
    module = GraphModule(graph, program.type_name)
    cost = measured(module)
    module, batch_note = _with_batch(followed, graph, module, cost.multiply_adds)
    notes = [
        f"{'Traced' if program.recorded else 'TorchScript'}: {len(graph.nodes):,} operators were "
        "read from the program; its code was not run.",
        chosen.note,
        len(module.inputs) > 1 and f"The network takes {len(module.inputs)} inputs, so only its "
                                   "structure can be shown.",
        (followed.training or training) and "Saved in training mode: batch norms and dropouts "
                                            "were set to evaluation mode.",
        second_names and f"Layers with two names are shown under the first ({_some(second_names)} "
                         "are second names).",
        not graph.layers and "The program was frozen: layers are merged and have no names, batch "
                             "norms may be folded into convolutions.",
        (lost := graph.layers_lost()) and f"{len(lost)} layers pass their input on or never run, "
                                          f"so the program does not hold them: {_some(lost)}.",
        module.pieces and f"{len(module.pieces)} layers were recorded in pieces and run once a "
                          f"piece: {_some(module.pieces)}.",
        batch_note,
    ]
    filled = card.infer(**_input_card(chosen), output=output_meaning(graph))
    return LoadedModel(module, filled, tuple(note for note in notes if note))


def _with_batch(followed: Followed, graph: Any, module: GraphModule,
                multiply_adds: int) -> tuple[GraphModule, str | None]:
    if not followed.any_batch:
        low = module.batch[0]
        return module, (f"The program does other things for another batch, so inputs run in "
                        f"parts of {low}.")
    return with_any_batch(graph, module, multiply_adds)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _input_card(chosen: Chosen) -> dict[str, Any]:
    """The sizes of a picture (N, C, H, W)."""
    shape = chosen.given[0][0]
    if len(shape) != 4:
        return {}
    return dict(zip(("input_channels", "input_height", "input_width"), shape[1:], strict=True))


FORMAT = Format("TorchScript", matches, load)
