"""How long the layer table and the receptive fields take, beside torch's flop counter alone.

    python -m tests.benchmarks.bench_architecture

The networks are built on the meta device, so no arithmetic of theirs is measured. A ratio near 1
means that shapes, parameters and settings of every layer cost nothing beyond counting. all: what
the page waits for before its table, which should be under 2 s.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.measures.architecture_of import architecture_of
from core.measures.receptive_field import fields_of
from tests.benchmarks.networks import SHAPE, on_meta, seconds

NETWORKS = ("resnet18", "resnet152", "vit_l_16", "swin_b", "efficientnet_v2_l")
ROUNDS = 5


def counted(model: nn.Module) -> int:
    """Multiply-adds by torch's counter, no table."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(SHAPE, device="meta"))
    return counter.get_total_flops() // 2


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'network':<20}{'layers':>8}{'table, s':>10}{'counter, s':>12}{'ratio':>8}{'fields, s':>11}"
          f"{'all, s':>8}")
    for name in NETWORKS:
        model = on_meta(name)
        layers = len(architecture_of(model, SHAPE).table)  # the first run pays for imports
        times = [(seconds(lambda m=model: architecture_of(m, SHAPE)),
                  seconds(lambda m=model: counted(m)),
                  seconds(lambda m=model: fields_of(m, SHAPE))) for _ in range(ROUNDS)]
        table, counter, fields = (min(column) for column in zip(*times, strict=True))
        print(f"{name:<20}{layers:>8}{table:>10.3f}{counter:>12.3f}{table / counter:>8.2f}"
              f"{fields:>11.3f}{table + fields:>8.3f}")


if __name__ == "__main__":
    main()
