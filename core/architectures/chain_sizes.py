"""What the tensors of a convolutional chain leave open: input size, padding, strides, pooling.

The numbers that the first Linear layer sees tell the height and width after the convolutions. Every
usual way there from a usual size is a plan; what is commoner costs less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

from core.card import InputSpec

USUAL_SIDES = {  # of pictures, the commonest first, by channels
    1: (28, 32, 64, 48, 128, 224, 96, 256, 100, 150, 50, 80, 112, 512, 299, 8),
    3: (32, 64, 224, 128, 28, 96, 256, 150, 100, 48, 84, 299, 227, 160, 180, 200, 300, 112, 50,
        512),
    4: (84, 32, 64, 28, 128, 224),  # the last four frames of a game, in reinforcement learning
}
PADDINGS = {"same": 0.0, "0": 0.4, "1": 1.2, "2": 1.4, "same, then 0": 1.1}
STRIDES = {"1": 0.0, "2 each": 0.8, "2 first": 1.0, "kernel / 2": 0.3, "4 first": 1.1}
EVEN_KERNEL = 1.0  # costs of a stride of 1 under a kernel of 4, 6 or 8
LEFT_OVER = 0.3  # costs of pooling an odd number of places
WHOLE = -1.0  # costs of a last kernel that covers just all that is left, as in LeNet-5
POOLS = {2: 0.0, 3: 0.7}  # sides of the window; both have stride 2
AVERAGE = 0.6  # costs of a last pooling that averages to one number a channel, ...
TO_SIZE = 3.0  # ... and of one that averages to whatever size the Linear layer wants
MOST_FREE = 8  # convolutions of which every choice to pool after is tried
MOST_PLANS = 12
DEAREST = 3.5  # plans that cost more are not looked at

Size = tuple[int, int]  # height, width
Choices = list[tuple[float, tuple[int, ...]]]  # convolutions to pool after, with what it costs


@dataclass(frozen=True)
class Step:
    """One convolution as the tensors say it. pooled: what its name says of pooling after it, as
    costs of no pooling and of pooling."""

    kernel: Size
    out: int
    pooled: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """One way from picture to Linear. size: None where any will do. pools: after which
    convolutions, from 0. average: the size that a last adaptive pooling gives, if there is one."""

    cost: float
    size: Size | None
    paddings: tuple[Size, ...]
    strides: tuple[int, ...]
    pools: tuple[int, ...]
    window: int = 2
    average: Size | None = None


def plans(steps: list[Step], channels: int, features: int | None, spec: InputSpec) -> list[Plan]:
    """Plans that give `features` numbers, the cheapest first; None is for any, averaged."""
    area = 1 if features is None else features // steps[-1].out
    found: dict[tuple, Plan] = {}
    choices = sorted(_pool_choices(steps))
    for size_cost, size in _sizes(channels, spec):
        for plan, after in _ways(steps, choices, size, size_cost):
            if after[0] * after[1] == area and (spec.height or after[0] == after[1]):
                key = (plan.size, plan.paddings, plan.strides, plan.pools, plan.window)
                found[key] = min(plan, found.get(key, plan), key=_cost)
    known = list(found.values()) if features is not None else []
    return sorted([*known, *_averaged(steps, area, channels, spec)], key=_cost)[:MOST_PLANS]


def _cost(plan: Plan) -> float:
    return plan.cost


def _sizes(channels: int, spec: InputSpec) -> list[tuple[float, Size]]:
    """Sizes of the picture, with what each costs; only the card's where it says one."""
    if spec.height and spec.width:
        return [(0.0, (spec.height, spec.width))]
    sides = USUAL_SIDES.get(channels, USUAL_SIDES[3])
    return [(0.6 * number ** 0.5, (side, side)) for number, side in enumerate(sides)]


def _ways(steps: list[Step], choices: Choices, size: Size,
          cost: float) -> Iterator[tuple[Plan, Size]]:
    """Every plan from one size, and the size that it ends with."""
    for (paddings, strides), base in _convolution_choices(steps).items():
        for window, (pool_cost, pools) in product(POOLS, choices):
            total = cost + base + POOLS[window] + pool_cost
            if total > DEAREST:
                continue
            walk = _walk(steps, size, paddings, strides, pools, window)
            if walk and (pools or window == 2):
                after, extra = walk
                yield Plan(total + extra, size, paddings, strides, pools, window), after


def _convolution_choices(steps: list[Step]) -> dict[tuple[tuple, tuple], float]:
    """Paddings and strides of all convolutions, with what each choice costs."""
    choices: dict[tuple[tuple, tuple], float] = {}
    for padding, stride in product(PADDINGS, STRIDES):
        paddings = tuple(_padding(step.kernel, padding, n == 0) for n, step in enumerate(steps))
        strides = tuple(_stride(step.kernel, stride, n == 0) for n, step in enumerate(steps))
        cost = PADDINGS[padding] + STRIDES[stride]
        cost += EVEN_KERNEL * any(max(step.kernel) in (4, 6, 8) and moved == 1
                                  for step, moved in zip(steps, strides, strict=True))
        choices[paddings, strides] = min(cost, choices.get((paddings, strides), cost))
    return choices


def _padding(kernel: Size, rule: str, first: bool) -> Size:
    if rule == "same" or (rule == "same, then 0" and first):
        return (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
    if rule in ("1", "2"):
        return int(rule), int(rule)
    return 0, 0


def _stride(kernel: Size, rule: str, first: bool) -> int:
    side = max(kernel)
    if rule == "2 each":
        return 2 if side > 1 else 1
    if rule == "kernel / 2":
        return max(1, side // 2) if side % 2 == 0 else 1
    if rule in ("2 first", "4 first"):
        return int(rule[0]) if first and side >= 2 * int(rule[0]) - 1 else 1
    return 1


def _walk(steps: list[Step], size: Size, paddings: tuple[Size, ...], strides: tuple[int, ...],
          pools: tuple[int, ...], window: int) -> tuple[Size, float] | None:
    """Height and width after all steps, and what is unusual on the way costs; None where they come
    to nothing."""
    sides, cost, inside = list(size), 0.0, 0
    for number, step in enumerate(steps):
        for axis in (0, 1):
            inside = sides[axis] + 2 * paddings[number][axis] - step.kernel[axis]
            side = inside // strides[number] + 1 if inside >= 0 else 0
            if number in pools:
                cost += LEFT_OVER / 2 * (side % 2)
                side = (side - window) // 2 + 1
            if side < 1:
                return None
            sides[axis] = side
    if inside == 0 and steps[-1].kernel > (1, 1) and sides == [1, 1]:
        cost += WHOLE
    return (sides[0], sides[1]), cost


def _pool_choices(steps: list[Step]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Convolutions to pool after, with what each choice costs."""
    told = tuple(n for n, step in enumerate(steps) if step.pooled[0] > step.pooled[1])
    regular = {tuple(range(every - 1, len(steps), every)) for every in (1, 2, 3, 4)}
    wider = tuple(n for n, step in enumerate(steps)
                  if n + 1 == len(steps) or steps[n + 1].out > step.out)
    subsets = regular | {(), told, wider, wider[:-1]}
    if len(steps) <= MOST_FREE:
        subsets |= {chosen for number in range(len(steps) + 1)
                    for chosen in combinations(range(len(steps)), number)}
    for chosen in sorted(subsets):
        said = sum(step.pooled[n in chosen] for n, step in enumerate(steps))
        cost = 0.0 if told and chosen == told else _irregularity(chosen, len(steps), regular)
        yield said + (min(cost, 0.4) if chosen == wider[:-1] else cost), chosen


def _irregularity(chosen: tuple[int, ...], steps: int, regular: set[tuple[int, ...]]) -> float:
    if len(chosen) == steps:
        return 0.0
    if chosen in regular:
        return 0.3
    if not chosen:
        return 0.6
    early = chosen == tuple(range(len(chosen)))  # the last ones go without
    return 0.5 if early else 0.8


def _averaged(steps: list[Step], area: int, channels: int, spec: InputSpec) -> list[Plan]:
    """Plans that end in an average, for any size of picture; dearer where it is not to 1 × 1."""
    side = round(area ** 0.5)
    if side * side != area:
        return []
    same = tuple(_padding(step.kernel, "same", False) for step in steps)
    strides = (1,) * len(steps)
    size = (spec.height, spec.width) if spec.height and spec.width else None
    smallest = size or (USUAL_SIDES.get(channels, USUAL_SIDES[3])[0],) * 2
    base = AVERAGE if side == 1 else TO_SIZE
    return [Plan(base + cost, size, same, strides, pools, 2, (side, side))
            for cost, pools in sorted(_pool_choices(steps))
            if _walk(steps, smallest, same, strides, pools, 2)][:4]
