"""What a run costs, counted operator by operator, with torch's own formulas where it has one."""

from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from core.graph.shapes import Shapes

aten = torch.ops.aten
LAYER_NORM = aten.native_layer_norm.default
WITH_VECTORS = {aten.mv: 0, aten.dot: 0, aten.vdot: 0, aten.addmv: 1}  # where the matrix is given
# Whole recurrent layers by CPU, CUDA, ROCm and MPS: the operator, and where its weights are given.
RECURRENT = {aten.mkldnn_rnn_layer: slice(1, 3), aten._cudnn_rnn: slice(1, 2),
             aten.miopen_rnn: slice(1, 2), aten._lstm_mps: slice(2, 3)}
OF_TORCH = ("aten", "prim", "prims")
WITHOUT_FORMULA = (aten._trilinear, aten._cdist_forward)  # operators of others have none either


class MultiplyAdds(Shapes):
    """Counts multiply-adds of convolutions and matrix products, attention and recurrent layers
    included; nothing elementwise. uncounted: operators that may multiply, by no known formula."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.uncounted: set[str] = set()

    def __torch_dispatch__(self, operator: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        output = self._output(operator, types, args, kwargs)
        packet = getattr(operator, "_overloadpacket", None)
        if (formula := flop_registry.get(packet)) is not None:
            self.total += formula(*args, **kwargs, out_val=output) // 2
        elif packet in RECURRENT:
            self.total += _of_steps(args[0], tensors_of(args[RECURRENT[packet]]))
        elif packet in WITH_VECTORS:
            self.total += args[WITH_VECTORS[packet]].numel()
        elif packet in WITHOUT_FORMULA or (operator.namespace not in OF_TORCH and tensors_of(args)):
            self.uncounted.add(str(packet or operator))
        return output

    def _output(self, operator: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not without_numbers(args):
            return operator(*args, **kwargs)
        if operator is LAYER_NORM:
            return layer_norm_without_numbers(*args[:2])
        return super().__torch_dispatch__(operator, types, args, kwargs)


def _of_steps(given: torch.Tensor, weights: list[torch.Tensor]) -> int:
    """A recurrent layer multiplies each example of each step with each of its matrices."""
    matrices = sum(weight.numel() for weight in weights if weight.dim() == 2)
    return given.numel() // max(given.shape[-1], 1) * matrices


def tensors_of(args: tuple) -> list[torch.Tensor]:
    """Those that an operator is given, in lists too."""
    return [part for given in args
            for part in (given if isinstance(given, (list, tuple)) else (given,))
            if isinstance(part, torch.Tensor)]


def without_numbers(args: tuple) -> bool:
    """Whether one of the tensors that an operator is given is on the meta device."""
    return any(part.is_meta for part in tensors_of(args))


def layer_norm_without_numbers(
    given: torch.Tensor, normalised: list[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What torch's layer norm gives on the meta device, where it has only a version in Python of
    twenty operators: half of the time that a transformer's dry run took."""
    kept = given.dim() - len(normalised)
    wide = torch.float32 if given.dtype.itemsize == 2 else given.dtype
    moments = given.new_empty((*given.shape[:kept], *[1] * len(normalised)), dtype=wide)
    # torch's empty_like is in Python too, and imports sympy (0.5 s)
    return given.new_empty(given.shape), moments, moments.new_empty(moments.shape)
