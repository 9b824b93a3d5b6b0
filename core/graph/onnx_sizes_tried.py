"""For which input sizes an ONNX graph is read: as declared; by trial where it leaves them open."""

from collections.abc import Iterator
from dataclasses import replace

from core.card import InputSpec
from core.errors import UserError
from core.graph.nodes import Graph
from core.graph.onnx_branches import UnfoldedError
from core.graph.onnx_builder import Builder
from core.graph.onnx_lowering import STATE_DICT, Trial, lowered
from core.graph.onnx_model import Declared, OnnxModel, OnnxNode
from core.graph.onnx_names import LayerNames
from core.graph.onnx_sizes import UndecidedError

SIDES = (224, 64, 32, 28, 299, 128, 96, 256, 384)  # what pictures are usually scaled to
CHANNELS = (3, 1)
PLANAR = ("Conv", "MaxPool", "BatchNormalization", "Resize", "Upsample", "LRN")  # channels second
BATCH, LARGER = 2, 3
GROWTH = 64  # of an open side, in the larger trial
MOST_EFFORT = 20_000  # nodes that run while sizes are tried; then the last failure is said


def read_graph(model: OnnxModel, nodes: tuple[OnnxNode, ...], known: InputSpec
               ) -> tuple[Graph, tuple[Trial, ...]]:
    """The graph, and the sizes it was read for: as much left open as its operators allow."""
    if not model.inputs:
        raise UserError("the network takes no input. Export it with one picture as input.")
    failure: Exception | None = None
    names = _layer_names(model, nodes)
    effort = 0
    for trials in _trials(model, nodes, known):
        builder = Builder(model.tensors, len(trials[0].shapes))
        try:
            return lowered(model, nodes, trials, builder, names.calls()), trials
        except UnfoldedError as decided:
            model_taken = replace(model, weights=model.weights | decided.weights)
            names_taken = _layer_names(model_taken, decided.nodes)
            builder = Builder(model.tensors, len(trials[0].shapes))
            return lowered(model_taken, decided.nodes, trials, builder, names_taken.calls()), trials
        except UndecidedError:
            failure = failure or UserError(f"what it does depends on sizes that it leaves open. "
                                           f"{STATE_DICT}")
        except UserError as error:
            failure = error
        effort += builder.effort + len(nodes)
        if effort > MOST_EFFORT:
            break
    raise failure


def _layer_names(model: OnnxModel, nodes: tuple[OnnxNode, ...]) -> LayerNames:
    filled = (made for node in nodes if node.operator == "ConstantOfShape"
              for made in node.outputs)
    return LayerNames(nodes, {*model.weights, *filled})


def _trials(model: OnnxModel, nodes: tuple[OnnxNode, ...], known: InputSpec
            ) -> Iterator[tuple[Trial, ...]]:
    first, *others = model.inputs
    sizes = first.sizes if first.sizes is not None else (None,) * 4
    nhwc = len(sizes) == 4 and _is_nhwc(first.name, sizes, nodes)
    if nhwc:
        sizes = (sizes[0], sizes[3], sizes[1], sizes[2])
    for example in _examples(sizes, known):
        for is_open in _openings(sizes):
            larger = tuple(_larger(size, place) if free else size
                           for place, (size, free) in enumerate(zip(example, is_open, strict=True)))
            shapes = (example, larger) if any(is_open) else (example,)
            said = all(size or free for size, free in zip(sizes[1:], is_open[1:], strict=True))
            picture = Trial(first.name, shapes, first.dtype, nhwc, said)
            yield (picture, *(_beside(other, picture) for other in others))


def _larger(size: int, place: int) -> int:
    return LARGER if place == 0 else size + GROWTH


def _is_nhwc(name: str, sizes: tuple[int | None, ...], nodes: tuple[OnnxNode, ...]) -> bool:
    """Whether channels come last, as TensorFlow has them."""
    readers = [node for node in nodes if name in node.inputs]
    turned = bool(readers) and all(node.attributes.get("perm") == [0, 3, 1, 2] for node in readers)
    looks_so = sizes[3] in (1, 3, 4) and all(size is None or size > 4 for size in sizes[1:3])
    return turned or (looks_so and all(node.operator not in PLANAR for node in readers))


def _examples(sizes: tuple[int | None, ...], known: InputSpec) -> Iterator[tuple[int, ...]]:
    """Sizes to try, the declared ones kept, the card's first."""
    batch = sizes[0] if sizes and sizes[0] else BATCH
    if len(sizes) != 4:
        yield (batch, *(size or CHANNELS[0] for size in sizes[1:])) if sizes else ()
        return
    for channels in [sizes[1] or known.channels] if sizes[1] or known.channels else CHANNELS:
        sides = [(known.height, known.width)] if known.height and known.width else []
        sides += [(side, side) for side in SIDES]
        tried = dict.fromkeys((sizes[2] or high, sizes[3] or wide) for high, wide in sides)
        yield from ((batch, channels, *side) for side in tried)


def _openings(sizes: tuple[int | None, ...]) -> Iterator[tuple[bool, ...]]:
    """Which sizes to leave open: all that the file does, then the batch alone, then none."""
    free = tuple(size is None for size in sizes)
    if len(free) == 4:
        free = (free[0], False, *free[2:])
    batch = (*free[:1], *(False for _ in free[1:]))
    yield from dict.fromkeys([free, batch, (False,) * len(free)])


def _beside(other: Declared, picture: Trial) -> Trial:
    """Another input: its open batch as the picture's, what else is open 1."""
    sizes = other.sizes or ()
    shapes = tuple(tuple(size or (shape[0] if place == 0 and shape else 1)
                         for place, size in enumerate(sizes)) for shape in picture.shapes)
    return Trial(other.name, shapes, other.dtype)
