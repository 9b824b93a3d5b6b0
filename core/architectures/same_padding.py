"""Convolutions that pad as TensorFlow does.

https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

import torch
from torch import nn
from torch.nn import functional

UNSAID = ("No config.json says how pictures are padded; as TensorFlow does is taken, which the "
          "published ones have (tf_padding true).")


class SamePaddedConv2d(nn.Conv2d):
    """Padded as far as the stride reaches, an odd pixel below and right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high, wide = (max(kernel - (side % stride or stride), 0) for side, kernel, stride in
                      zip(x.shape[2:], self.kernel_size, self.stride, strict=True))
        return super().forward(functional.pad(
            x, (wide // 2, wide - wide // 2, high // 2, high - high // 2)))


class EvenPaddedConv2d(nn.Conv2d):
    """Padded as for even sides, whatever the side: a pixel less above and left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high, wide = (kernel // 2 for kernel in self.kernel_size)
        return super().forward(functional.pad(x, (wide - 1, wide, high - 1, high)))


def set_same_padding(module: nn.Module) -> None:
    """Of every convolution without bias whose stride is 2; where it is 1 both paddings are one."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            module.set_submodule(name, SamePaddedConv2d(
                layer.in_channels, layer.out_channels, layer.kernel_size, 2,
                groups=layer.groups, bias=False))
