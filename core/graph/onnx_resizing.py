"""ONNX's Resize and Upsample: torch's interpolation where it is the same, else by index and weight.

https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_reductions import axes_of
from core.graph.onnx_sizes import Size, UndecidedError
from core.graph.onnx_values import Value

LARGEST_SIDE = 1 << 16
_TORCH = {"nearest": "upsample_nearest", "linear": "upsample_{}linear", "cubic": "upsample_bicubic"}
_HALF = ("half_pixel", "pytorch_half_pixel")


def _resize(b: Builder, x: Value, roi: Value | None = None, scales: Value | None = None,
            sizes: Value | None = None, *, mode: str = "nearest",
            coordinate_transformation_mode: str = "half_pixel",
            nearest_mode: str = "round_prefer_floor", cubic_coeff_a: float = -0.75,
            exclude_outside: int = 0, extrapolation_value: float = 0.0,
            axes: list[int] | None = None, antialias: int = 0,
            keep_aspect_ratio_policy: str = "stretch") -> Value:
    if b.opset < 11:  # Resize 10 has no region, and one way to place pixels
        return _upsample(b, x, roi, mode=mode)
    if antialias or exclude_outside or keep_aspect_ratio_policy != "stretch":
        refused(b, "resizing with antialiasing, an aspect policy or without the border")
    found = axes_of(b, x, axes) or list(range(x.rank))
    wanted = b.numbers(sizes, "sizes") if sizes is not None and sizes.shape != (0,) else None
    factors = b.whole(scales, "scales") if wanted is None else None
    return _Resizing(b, mode, coordinate_transformation_mode, nearest_mode,
                     cubic_coeff_a).resized(x, found, wanted, factors)


def _upsample(b: Builder, x: Value, factors: Value | None = None, *, mode: str = "nearest",
              scales: list[float] | None = None) -> Value:
    factors = b.whole(factors, "scales") if factors is not None else scales
    resizing = _Resizing(b, mode, "asymmetric", "simple", -0.75)
    return resizing.resized(x, list(range(x.rank)), None, factors)


def _grid_sample(b: Builder, x: Value, grid: Value, *, mode: str = "linear",
                 padding_mode: str = "zeros", align_corners: int = 0) -> Value:
    modes = {"linear": 0, "bilinear": 0, "nearest": 1, "cubic": 2, "bicubic": 2}
    paddings = {"zeros": 0, "border": 1, "reflection": 2}
    if mode not in modes or padding_mode not in paddings:
        refused(b, "sampling of this kind")
    return b.node("grid_sampler.default", x, b.tensor(grid), modes[mode], paddings[padding_mode],
                  bool(align_corners))


class _Resizing:
    def __init__(self, builder: Builder, mode: str, placing: str, rounding: str,
                 cubic: float) -> None:
        self.builder = builder
        self.mode = {"bilinear": "linear", "trilinear": "linear"}.get(mode, mode)
        self.placing = placing
        self.rounding = rounding
        self.cubic = cubic

    def resized(self, x: Value, axes: list[int], sizes: list | None, scales: list | None) -> Value:
        own = self.builder.sizes(x)
        told = zip(axes, sizes or [None] * len(axes), scales or [None] * len(axes), strict=True)
        changed = [(axis, size, scale) for axis, size, scale in told
                   if (scale != 1 if size is None else self._differs(size, own[axis]))]
        if not changed:
            return x
        is_spatial = x.rank in (3, 4, 5) and all(axis >= 2 for axis, *_ in changed)
        if is_spatial and self._as_torch(scales):
            return self._by_torch(x, {axis: rest for axis, *rest in changed})
        for axis, size, scale in changed:
            x = self._along(x, axis, own[axis], size, scale)
        return x

    @staticmethod
    def _differs(size: Any, own: Any) -> bool:
        if isinstance(size, Size) or isinstance(own, Size):
            return not (isinstance(size, Size) and isinstance(own, Size) and size.name == own.name)
        return size != own

    def _as_torch(self, scales: list | None) -> bool:
        if self.mode == "nearest":
            enlarging = self.rounding == "simple" and all(scale >= 1 for scale in scales or [0])
            return self.placing == "asymmetric" and (self.rounding == "floor" or enlarging)
        if self.mode == "cubic" and self.cubic != -0.75:
            return False
        return self.placing in (*_HALF, "align_corners")

    def _by_torch(self, x: Value, changed: dict[int, list]) -> Value:
        """torch's own operator for 1, 2 or 3 axes, told sizes or factors."""
        spatial, own = x.rank - 2, self.builder.sizes(x)
        name = _TORCH[self.mode].format({1: "", 2: "bi", 3: "tri"}[spatial])
        told = [changed.get(axis, [own[axis], 1.0]) for axis in range(2, x.rank)]
        sizes = None if any(size is None for size, _ in told) else [size for size, _ in told]
        factors = None if sizes else [scale for _, scale in told]
        if self.mode == "cubic" and spatial != 2:
            refused(self.builder, f"cubic resizing of {spatial} axes")
        corners = [] if self.mode == "nearest" else [self.placing == "align_corners"]
        return self.builder.node(f"{name}{spatial}d.vec", x, sizes, *corners, factors)

    def _along(self, x: Value, axis: int, own: Any, size: Any, scale: float | None) -> Value:
        """One axis, as weighted sums of elements that are picked."""
        if isinstance(own, Size) or isinstance(size, Size):
            raise UndecidedError
        size = int(own * scale) if size is None else size
        if not 0 < size <= LARGEST_SIDE:
            raise ValueError(f"it resizes to {size:,}, the limit is {LARGEST_SIDE:,}")
        places = self._places(own, size, scale or size / own)
        if self.mode == "nearest":
            rounding = self.rounding
            if rounding == "simple":  # before opset 11; onnxruntime's, the standard is silent
                rounding = "ceil" if scale is not None and scale < 1 else "floor"
            return self._picked(x, axis, _ROUNDED[rounding](places), own)
        start = np.floor(places)
        result = None
        for step, weight in self._weights(places - start).items():
            shape = (size, *[1] * (x.rank - axis - 1))
            weighed = self.builder.node("mul.Tensor", self._picked(x, axis, start + step, own),
                                        self._factors(weight, x, shape))
            result = weighed if result is None else self.builder.node("add.Tensor", result, weighed)
        return result

    def _picked(self, x: Value, axis: int, places: np.ndarray, own: int) -> Value:
        index = self.builder.known(places.clip(0, own - 1).astype(np.int64).tolist(), torch.int64)
        return self.builder.node("index_select.default", x, axis, index)

    def _factors(self, weight: np.ndarray, x: Value, shape: tuple[int, ...]) -> Value:
        return self.builder.known(weight.astype(object).reshape(shape), x.dtype)

    def _places(self, own: int, size: int, scale: float) -> np.ndarray:
        """Where in the input each element of the output lies."""
        nth = np.arange(size, dtype=np.float64)
        if self.placing == "align_corners":
            return nth * ((own - 1) / (size - 1)) if size > 1 else nth * 0
        if self.placing == "asymmetric":
            return nth / scale
        if self.placing == "pytorch_half_pixel" and size == 1:
            return nth * 0
        if self.placing in _HALF:
            return (nth + 0.5) / scale - 0.5
        if self.placing == "half_pixel_symmetric":
            centre = own / 2 * (1 - size / (scale * own))
            return centre + (nth + 0.5) / scale - 0.5
        if self.placing == "tf_half_pixel_for_nn":
            return (nth + 0.5) / scale
        return refused(self.builder, f"resizing by {self.placing[:30]!r}")

    def _weights(self, past: np.ndarray) -> dict[int, np.ndarray]:
        """By the step from the element before: how much of it flows in."""
        if self.mode == "linear":
            return {0: 1 - past, 1: past}
        a = self.cubic

        def near(s: np.ndarray) -> np.ndarray:
            return ((a + 2) * s - (a + 3)) * s * s + 1

        def far(s: np.ndarray) -> np.ndarray:
            return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

        return {-1: far(past + 1), 0: near(past), 1: near(1 - past), 2: far(2 - past)}


_ROUNDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
    "floor": np.floor, "ceil": np.ceil,
}
OPERATORS: dict[str, Callable[..., Any]] = {"Resize": _resize, "Upsample": _upsample,
                                            "GridSample": _grid_sample}
