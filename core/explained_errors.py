"""What a network raises on an input that does not suit it, in a person's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.batches import out_of_memory
from core.errors import UserError
from core.forward_pass import FAULTS


@contextmanager
def network_fault(inputs: torch.Tensor) -> Iterator[None]:
    """Around a run of a network: its faults become a UserError that says why."""
    try:
        yield
    except UserError:
        raise
    except FAULTS as error:
        shape = " × ".join(map(str, inputs.shape[1:]))
        if out_of_memory(error):
            raise UserError("There is too little memory on this device for this network and "
                            f"{len(inputs)} inputs of {shape}. Close other programs.") from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
        raise UserError(f"The network does not run on an input of {shape}: {reason}. Correct the "
                        "input's size and channels in the model card.") from error
