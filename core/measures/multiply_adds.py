"""What a run costs, counted operator by operator with torch's own formulas."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class MultiplyAdds(TorchDispatchMode):
    """Counts multiply-adds of convolutions and matrix products, attention included; nothing
    elementwise."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler for the first operator: 1.5 s

    def __torch_dispatch__(self, operator: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        output = operator(*args, **kwargs)
        formula = flop_registry.get(getattr(operator, "_overloadpacket", None))
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=output) // 2
        return output
