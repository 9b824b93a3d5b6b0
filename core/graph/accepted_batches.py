"""Which batches a frozen network takes: many exports fix the one they were recorded with."""

import torch

from core.errors import UserError
from core.files.file_map import outlined
from core.graph.free_batch import with_free_batch
from core.graph.meta import Cost, cost
from core.graph.module import GraphModule
from core.graph.nodes import UNBOUNDED, Graph

MOST_CHECKING = 5 * 10**10  # multiply-adds; beyond, a check would delay opening by seconds
AGREEMENT = 1e-3  # of what tells the examples' outputs apart


def measured(module: GraphModule) -> Cost:
    """What a run on the recorded sizes takes. Raises UserError where it fails or is too large."""
    return cost(module, [(given.example, given.dtype) for given in module.inputs])


def with_any_batch(graph: Graph, module: GraphModule, multiply_adds: int
                   ) -> tuple[GraphModule, str | None]:
    """The network taking any batch where its operators do, and a note where that took changes.

    Where sizes in the graph had to be freed, both forms are run and must agree, unless they do for
    certain. multiply_adds: of one run on the recorded batch.
    """
    low, high = module.batch
    if low != high or _takes_any(module):
        return module, None
    freed = with_free_batch(graph)
    if freed is not None and (freed.is_sure or 4 * multiply_adds <= MOST_CHECKING):
        if outlined() and not freed.is_sure:
            raise UserError("it has no outline: what it takes is found with its numbers.")
        wider = GraphModule(freed.graph, module.type_name)
        if _takes_any(wider) and (freed.is_sure or _agree(module, wider)):
            reason = "" if freed.is_sure else ", and a check gave the same outputs"
            return wider, (f"The export fixes the batch at {low}; sizes in it that hold the batch "
                           f"were freed{reason}.")
    return module, (f"The export fixes the batch at {low}: larger batches run in parts of {low}, "
                    "and activations are those of one part. Export it with a dynamic batch.")


def _takes_any(module: GraphModule) -> bool:
    """Whether runs on other batches give as many outputs; if so the module accepts them."""
    low, high = module.batch
    module.batch = (1, UNBOUNDED)
    recorded = module.inputs[0].example[0]
    if _takes(module, recorded + 1) and _takes(module, 1):
        return True
    module.batch = (low, high)
    return False


def _takes(module: GraphModule, batch: int) -> bool:
    shapes = [((batch, *given.example[1:]), given.dtype) for given in module.inputs]
    try:
        found = cost(module, shapes)
    except UserError:
        return False
    return all(shape[:1] == (batch,) for shape in found.output_shapes)


@torch.no_grad()
def _agree(module: GraphModule, wider: GraphModule) -> bool:
    """Whether both give the same for random inputs, far closer than these are to each other."""
    given = module.inputs[0]
    batch = given.example[0] + 1
    if len(module.inputs) > 1 or not given.dtype.is_floating_point:
        return False
    pictures = torch.randn(batch, *given.example[1:], generator=torch.Generator().manual_seed(0))
    pairs = [_first(form(pictures.to(given.dtype))).float() for form in (module, wider)]
    apart = (pairs[0] - pairs[0][:1]).abs().max()
    return bool((pairs[0] - pairs[1]).abs().max() <= AGREEMENT * apart and apart > 0)


def _first(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
