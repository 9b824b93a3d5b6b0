"""What to say where a file holds weights and not the network they belong to."""

import re

from core.errors import UserError
from core.trusted_code import VARIABLE

USUAL_INPUT = (1, 3, 224, 224)


class MissingNetworkError(UserError):
    """Says what needs the network, and how to give it; `code` are lines to copy, which end the
    message."""

    def __init__(self, source: str, input_shape: tuple[int, ...] | None = None) -> None:
        self.code = export_lines(source, input_shape)
        super().__init__(
            f"{source} holds weights only: the architecture they belong to is not in the file and "
            "was not recognised. Embeddings, Hard examples, Saliency and all figures on "
            "predictions need it; Architecture and Training curves do not. To give it: (1) name a "
            'known one in a card beside the file, {"architecture": "resnet18"}; or (2) name your '
            'own code there, {"architecture": "package.module:callable"}, if the server runs with '
            f"{VARIABLE}=1; or (3) export the network by torch.export where it was trained, "
            f"with these three lines, and open that file:\n{self.code}"
        )


def export_lines(source: str, input_shape: tuple[int, ...] | None = None) -> str:
    """Three lines of Python that export a network named `model`."""
    name = re.sub(r"[^\w.-]", "_", source.rpartition(".")[0] or source)[:80]
    shape = input_shape or USUAL_INPUT
    remark = "" if input_shape else "  # one input of the size it was trained with"
    return (
        f"import torch\n"
        f"program = torch.export.export(model.eval(), (torch.zeros{shape},)){remark}\n"
        f'torch.export.save(program, "{name}.pt2")'
    )
