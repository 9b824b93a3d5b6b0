"""The run on torch's meta device: shapes, memory and work are known before anything is computed."""

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from core.graph.shapes import Shapes

GB = 1 << 30
LARGEST_VALUE = 1 << 30  # elements of one value; an expanded view costs no memory, but time
LARGEST_PEAK = 8 * GB
MOST_WORK = 10**13  # multiply-adds, and elements read and written
MOST_CALLS = 200_000  # torch's own operators; the largest real network that was met runs 7,000


@dataclass(frozen=True)
class Cost:
    """What one run takes. peak_bytes: of values alive at once, weights not counted.

    output_shapes, output_types: of each output tensor, in order.
    """

    peak_bytes: int
    multiply_adds: int
    output_shapes: tuple[tuple[int, ...], ...]
    output_types: tuple[torch.dtype, ...]


def cost(module: nn.Module, inputs: list[tuple[tuple[int, ...], torch.dtype]]) -> Cost:
    """What a run on inputs of these shapes and types takes; the module is left untouched.

    Raises UserError that names the node which fails, or is too large.
    """
    tensors = {name: torch.empty_like(tensor, device="meta")
               for name, tensor in (*module.named_parameters(remove_duplicate=False),
                                    *module.named_buffers(remove_duplicate=False))}
    given = tuple(torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in inputs)
    with torch.no_grad(), _Meter(tensors.values()) as meter:
        output = functional_call(module, tensors, given, tie_weights=False)
    made = list(_tensors(output))
    return Cost(meter.peak, meter.multiply_adds, tuple(tuple(part.shape) for part in made),
                tuple(part.dtype for part in made))


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from _tensors(part)


class _Meter(Shapes):
    """Sees each of torch's own operators, also those inside of others, and bounds what it makes.

    Memory is counted by storage, since views share one.
    """

    def __init__(self, weights: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.calls = self.work = self.multiply_adds = self.bytes = self.peak = 0
        self.storages: dict[int, weakref.ref | None] = {
            weight.untyped_storage()._cdata: None for weight in weights}

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        result = super().__torch_dispatch__(function, types, args, kwargs)
        self.calls += 1
        made = list(_tensors(result))
        for tensor in made:
            self._count(tensor)
        if made:
            macs = _multiply_adds(function.overloadpacket.__name__, args, made[0])
            self.multiply_adds += macs
            self.work += macs + sum(tensor.numel() for tensor in made)
        if self.calls > MOST_CALLS:
            raise ValueError(f"the network takes more than {MOST_CALLS:,} operators, the limit")
        if self.work > MOST_WORK:
            raise ValueError(f"the network takes more than {MOST_WORK:,} operations, the limit")
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        if tensor.numel() > LARGEST_VALUE:
            raise ValueError(f"it makes {tensor.numel():,} elements, too large: the limit is "
                             f"{LARGEST_VALUE:,}")
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.storages:
            return

        def freed(_: weakref.ref) -> None:
            self.bytes -= size
            self.storages.pop(key, None)

        self.storages[key] = weakref.ref(storage, freed)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        if self.peak > LARGEST_PEAK:
            raise ValueError(f"the network needs more than {LARGEST_PEAK // GB} GB at once, "
                             "too large")


def _multiply_adds(operator: str, args: tuple, made: torch.Tensor) -> int:
    """Of the operators that multiply matrices; window sizes for pooling, 0 for the rest."""
    if operator in ("mm", "bmm", "addmm", "baddbmm", "mv", "dot"):
        first = args[1] if operator in ("addmm", "baddbmm") else args[0]
        return made.numel() * first.shape[-1]
    if operator in ("convolution", "_convolution"):
        image, weight, transposed = args[0], args[1], args[6]
        return (image if transposed else made).numel() * weight[0].numel()
    if "pool" in operator and "adaptive" not in operator and len(args) > 1:
        return made.numel() * torch.Size(args[1]).numel() ** (1 if len(args[1]) > 1 else 2)
    if operator.startswith("_scaled_dot_product"):
        return 2 * args[0].numel() * args[1].shape[-2]
    return 0
