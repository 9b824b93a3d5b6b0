"""Which batches a frozen network takes: many exports fix the one they were recorded with."""

from core.errors import UserError
from core.graph.meta import Cost, cost
from core.graph.module import GraphModule
from core.graph.nodes import UNBOUNDED

ANY = (1, UNBOUNDED)


def measured(module: GraphModule) -> Cost:
    """What a run on the recorded sizes takes. Raises UserError where it cannot run or is too large."""
    return cost(module, [(given.example, given.dtype) for given in module.inputs])


def widened(module: GraphModule) -> str | None:
    """Lets a network with a fixed batch take any where its operators do; a note on what was found."""
    low, high = module.batch
    if low != high:
        return None
    module.batch = ANY
    if _takes(module, low + 1) and _takes(module, 1):
        return None
    module.batch = (low, high)
    return (f"The export fixes the batch at {low}: other batches run in parts of {low}, the last one filled "
            "up. Export it with a dynamic batch to run faster.")


def _takes(module: GraphModule, batch: int) -> bool:
    """Whether a run on so many examples gives as many outputs."""
    try:
        found = cost(module, [((batch, *given.example[1:]), given.dtype) for given in module.inputs])
    except UserError:
        return False
    return all(shape[:1] == (batch,) for shape in found.output_shapes)
