"""TorchScript: a program that torch.jit.save wrote. It is recognised, and not read yet."""

from pathlib import Path
from typing import NoReturn

from core.archives import Archive, member_names
from core.card import Card
from core.errors import UserError
from core.model_formats import Format

OTHER_PROGRAMS = ("models/", "serialized_", "data/weights/")  # torch.export's
BEGINNING = 1 << 16  # bytes in which the first members' names lie


def matches(path: Path) -> bool:
    """A zip with code/ or constants.pkl; of a damaged one the first members tell."""
    if names := member_names(path):
        own = "constants.pkl" in names or any(name.startswith("code/") for name in names)
        return own and not any(name.startswith(OTHER_PROGRAMS) for name in names)
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    is_zip = head.startswith(b"PK\x03\x04")
    return is_zip and (b"/code/__torch__" in head or b"/constants.pkl" in head)


def load(path: Path, card: Card) -> NoReturn:
    """Raises UserError with what to do instead, or with what is wrong with the archive."""
    with Archive(path, path.name):
        raise UserError(
            f"{path.name} is TorchScript, a program: it was not run and not loaded. Netlens does "
            "not read these files yet. Where the network was trained, export it with "
            "torch.export.save(torch.export.export(model, (example,)), 'model.pt2'), or save its "
            "weights with torch.save(model.state_dict(), 'weights.pt')."
        )


FORMAT = Format("TorchScript", matches, load)
