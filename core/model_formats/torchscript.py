"""TorchScript: a program that torch.jit.save wrote, followed on shapes and never run by torch.

An archive: data.pkl is the tree of modules, data/ their tensors, constants.pkl what the code
calls CONSTANTS, code/ the source of every class, traced_inputs.pkl a trace's example sizes.
"""

from pathlib import Path

from core.card import Card
from core.dataset_files.archives import Archive, member_names
from core.errors import UserError
from core.files.text_of_files import shown
from core.model_formats import Format, LoadedModel

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
    from core.graph.script_module import network_of

    try:
        with Archive(path, path.name) as archive:
            return network_of(archive, card)
    except DAMAGE as error:
        raise UserError(f"{path.name} is TorchScript that cannot be read, it may be damaged: "
                        f"{type(error).__name__} {shown(error, 100)}. {AGAIN}") from error
    except UserError as error:
        if str(error).startswith(path.name):
            raise
        raise UserError(f"{path.name}: {error}") from error


FORMAT = Format("TorchScript", matches, load)
