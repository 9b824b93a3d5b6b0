"""What a network raises on an input that does not suit it, in a person's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import UserError
from core.one_pass.batches import out_of_memory

FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NotImplementedError,
)  # what a forward pass raises on an input that does not suit it


@contextmanager
def network_fault(inputs: torch.Tensor) -> Iterator[None]:
    """Around a run of a network: its faults become a UserError that says why."""
    try:
        yield
    except UserError:
        raise
    except FAULTS as error:
        raise UserError(why_it_failed(error, inputs)) from error


def why_it_failed(error: Exception, inputs: torch.Tensor) -> str:
    """Why a run on these inputs failed, and what to do."""
    shape = " × ".join(map(str, inputs.shape[1:]))
    if out_of_memory(error):
        number = "one input" if len(inputs) == 1 else f"{len(inputs)} inputs"
        return (f"There is too little memory on this device for this network and {number} of "
                f"{shape}. Close other programs.")
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
    return (f"The network does not run on an input of {shape}: {reason}. Correct the input's size "
            "and channels in the model card.")
