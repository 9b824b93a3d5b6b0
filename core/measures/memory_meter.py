"""How much memory a run holds at once, beside its multiply-adds."""

import weakref
from typing import Any

import torch

from core.measures.multiply_adds import MultiplyAdds


class Meter(MultiplyAdds):
    """Measures memory too: bytes by the life of each storage."""

    def __init__(self, owned: list[torch.Tensor]) -> None:
        super().__init__()
        self.held = self.peak = 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in owned}  # weights do not count

    def __torch_dispatch__(self, operator: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        output = super().__torch_dispatch__(operator, types, args, kwargs)
        for tensor in output if isinstance(output, (tuple, list)) else (output,):
            if isinstance(tensor, torch.Tensor):
                self.hold(tensor)
        return output

    def hold(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if (key := storage._cdata) in self.seen:
            return
        self.seen.add(key)
        self.held += storage.nbytes()
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._release, key, storage.nbytes())

    def _release(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.held -= size
