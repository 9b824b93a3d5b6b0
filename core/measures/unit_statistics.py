"""What the units of one layer do over many examples: a unit is a channel of maps, or a feature of
tokens and vectors."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from core.layers import layer_type
from core.measures.number_counts import BINS, counted, histogram, quantiles

PER_EXAMPLE = 4096  # numbers of each example whose distribution is counted
HISTOGRAM = 40  # bins
LEVELS = (0.01, 0.25, 0.5, 0.75, 0.99)
ENDS = {"sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
        "hardtanh": (-1.0, 1.0)}  # what these activations cannot leave
NEAR = 0.01  # of the distance between the ends
NEARLY_ALL = 0.99  # of a unit's numbers


def ends_of(module: nn.Module) -> tuple[float, float] | None:
    """The ends of a layer's activation where it has two, as sigmoid and tanh have."""
    settings = getattr(module, "settings", None) or {}
    known = settings.get("activation") if "recurrent_activation" not in settings else None
    for name in (layer_type(module), getattr(known, "kind", known)):
        if isinstance(name, str) and (ends := ENDS.get(name.lower().replace("_", ""))):
            return ends
    return None


class UnitStatistics:
    """One layer, batch after batch: extremes of each unit from all its numbers; the distribution
    from numbers drawn at random, always the same."""

    def __init__(self, module: nn.Module, output: torch.Tensor) -> None:
        """output: the first, as `add` takes it."""
        place, units = output.device, _by_unit(output).shape[1]
        self.kind = "maps" if output.dim() > 3 else "tokens" if output.dim() == 3 else "vector"
        self.type, self.ends = layer_type(module), ends_of(module)
        self.low = torch.full((units,), math.inf, device=place)
        self.high = -self.low
        self.near = torch.zeros(units, dtype=torch.int64, device=place)
        self.numbers = 0  # of each unit
        self.counts = torch.zeros(BINS, dtype=torch.int64, device=place)
        self.drawn = self.zeros = self.total = 0.0
        self.random = torch.Generator().manual_seed(0)

    def add(self, output: torch.Tensor, examples: int) -> None:
        """What the layer gave for a batch, channels first. Batches in which it has other units
        than before do not count."""
        numbers = _by_unit(output).float()
        if numbers.shape[1] != len(self.low) or numbers.numel() == 0:
            return
        self.low = torch.minimum(self.low, numbers.amin((0, 2)))
        self.high = torch.maximum(self.high, numbers.amax((0, 2)))
        self.numbers += numbers.shape[0] * numbers.shape[2]
        if self.ends:
            low, high = self.ends
            near = NEAR * (high - low)
            at_end = (numbers <= low + near) | (numbers >= high - near)
            self.near += at_end.sum((0, 2))
        self._count(numbers.flatten(), examples)

    def _count(self, numbers: torch.Tensor, examples: int) -> None:
        if len(numbers) > PER_EXAMPLE * examples:
            places = torch.randint(len(numbers), (PER_EXAMPLE * examples,), generator=self.random)
            numbers = numbers[places.to(numbers.device)]
        finite = numbers[torch.isfinite(numbers)]
        self.counts += counted(finite)
        self.drawn += len(finite)
        self.zeros += int((finite == 0).sum())
        self.total += float(finite.sum(dtype=torch.float64 if _has_double(finite) else None))

    def row(self) -> dict[str, Any]:
        """kind, type, units; dead: units that are always zero; saturated: units at an end of their
        activation, None where that has no two ends; not_finite: units with NaN or infinity;
        min, max; of the distribution mean, zeros (share), quantiles (of LEVELS), and counts
        (HISTOGRAM equal bins, zeros left out) from `low` to `high`."""
        low, high = self.low.cpu().numpy(), self.high.cpu().numpy()
        fine = np.isfinite(low) & np.isfinite(high)
        row: dict[str, Any] = {
            "kind": self.kind, "type": self.type, "units": len(low),
            "dead": np.flatnonzero((low == 0) & (high == 0)).tolist(),
            "saturated": self._saturated(), "not_finite": int((~fine).sum()),
            "min": float(low[fine].min()) if fine.any() else None,
            "max": float(high[fine].max()) if fine.any() else None,
        }
        return row | self._distribution(row["min"], row["max"])

    def _saturated(self) -> list[int] | None:
        if self.ends is None:
            return None
        return np.flatnonzero(self.near.cpu().numpy() >= NEARLY_ALL * self.numbers).tolist()

    def _distribution(self, least: float | None, most: float | None) -> dict[str, Any]:
        empty = {"mean": None, "zeros": None, "quantiles": None, "counts": [], "low": None,
                 "high": None}
        if not self.drawn or least is None or most is None:
            return empty
        counts = self.counts.cpu().numpy()
        found = [min(max(number, least), most) for number in quantiles(counts, LEVELS)]
        low, high = found[0], found[-1]
        if low == high:
            low, high = least, most
        return {"mean": self.total / self.drawn, "zeros": self.zeros / self.drawn,
                "quantiles": found, "low": low, "high": high,
                "counts": [round(c) for c in histogram(counts, low, high, HISTOGRAM).tolist()]}


def _by_unit(output: torch.Tensor) -> torch.Tensor:
    """(A, units, B) of maps (N, C, ...), tokens (N, T, C) or vectors (N, C)."""
    if output.dim() > 3:
        return output.flatten(2)
    if output.dim() == 3:
        return output.flatten(0, 1)[..., None]
    return output.reshape(len(output) if output.dim() else 1, -1)[..., None]


def _has_double(numbers: torch.Tensor) -> bool:
    return numbers.device.type != "mps"  # Apple's devices have no float64
