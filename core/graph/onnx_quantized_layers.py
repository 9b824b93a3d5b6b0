"""Which nodes of a quantized ONNX file were one layer before it was quantized."""

import re
from collections.abc import Container, Sequence
from itertools import takewhile

from core.graph.onnx_model import OnnxNode

PRODUCTS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
PLAIN = {**PRODUCTS, "QGemm": "Gemm", "MatMulIntegerToFloat": "MatMul",
         "DynamicQuantizeMatMul": "MatMul"}
ROUNDING = frozenset(["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"])
FOLLOWING = ("Cast", "Mul", "Add")  # what makes a product of whole numbers the layer's result
BESIDE = ("Mul", "Reshape")  # of scales, and of the bias
# Which inputs may be tensors that the file stores as whole numbers.
STORED = {"DequantizeLinear": (0,), "QLinearConv": (3, 8), "QLinearMatMul": (3,), "QGemm": (3, 6),
          "ConvInteger": (1,), "MatMulInteger": (1,), "MatMulIntegerToFloat": (1,),
          "DynamicQuantizeMatMul": (1,)}
ROUNDS = re.compile("QuantizeLinear|DynamicQuantize.*|QLinear.*|QGemm")


def quantized_note(nodes: Sequence[OnnxNode], weights: Container[str]) -> str | None:
    """What is to know of a quantized network."""
    places = sum(bool(ROUNDS.fullmatch(node.operator)) for node in nodes)
    stored = len({node.inputs[place] for node in nodes for place in STORED.get(node.operator, ())
                  if place < len(node.inputs) and node.inputs[place] in weights})
    if not places and not stored:
        return None
    dynamic = any(node.operator.startswith("DynamicQuantize") for node in nodes)
    return (f"Quantized: values are rounded at {places} places, as the file says, and {stored} "
            "tensors are stored as whole numbers. Weights and activations are shown as the "
            "numbers they stand for, where the file tells their scale; gradients pass through the "
            "rounding as if it were not there." + dynamic * (
                " How finely is measured on each batch as a whole: an example's outputs depend on "
                "those beside it."))


def products_together(nodes: tuple[OnnxNode, ...]) -> tuple[OnnxNode, ...]:
    """The nodes with those that were one layer in a row, so that it runs once."""
    delayed: dict[int, list[int]] = {}
    for parts in whole_products(nodes):
        delayed[parts[-1]] = parts[:-1]
    moved = {part for parts in delayed.values() for part in parts}
    return tuple(nodes[place] for last in range(len(nodes)) if last not in moved
                 for place in (*delayed.get(last, ()), last))


def whole_products(nodes: Sequence[OnnxNode]) -> list[list[int]]:
    """For each product of whole numbers: what makes its scale and bias, itself, what follows."""
    readers: dict[str, list[int]] = {}
    makers = {name: place for place, node in enumerate(nodes) for name in node.outputs}
    for place, node in enumerate(nodes):
        for name in node.inputs:
            readers.setdefault(name, []).append(place)
    found: list[list[int]] = []
    taken: set[int | None] = {None}
    for place, node in enumerate(nodes):
        if node.key not in PRODUCTS or place in taken:
            continue
        parts = [place]
        for operator in FOLLOWING:
            after = readers.get(nodes[parts[-1]].outputs[0], []) if nodes[parts[-1]].outputs else []
            if len(after) != 1 or nodes[after[0]].key != operator or after[0] in taken:
                break
            if operator == "Add" and any(_is_computed(name, parts[-1], nodes, makers)
                                         for name in nodes[after[0]].inputs):
                break
            parts += after
        beside = {makers.get(name) for part in parts[2:] for name in nodes[part].inputs}
        lone = [one for one in sorted(beside - taken - {*parts}) if nodes[one].key in BESIDE
                and len(readers[nodes[one].outputs[0]]) == 1]
        found.append([*lone, *parts])
        taken.update(found[-1])
    return found


def _is_computed(name: str, product: int, nodes: Sequence[OnnxNode],
                 makers: dict[str, int]) -> bool:
    """Whether a summand is neither the product nor a bias of the file."""
    place = makers.get(name)
    if place is None or place == product:
        return False
    return nodes[place].key != "Reshape" or any(part in makers for part in nodes[place].inputs[:1])


def quantized_paths(nodes: Sequence[OnnxNode], told: Sequence[list[str]],
                    paths: list[list[str]]) -> list[list[str]]:
    """The layers around each node: a layer's parts lie in it, roundings between layers.

    told: what scopes and weights say, empty where nothing does.
    """
    paths = list(paths)
    for parts in whole_products(nodes):
        product = next(part for part in parts if nodes[part].key in PRODUCTS)
        best = next((part for part in (product, *reversed(parts)) if told[part]), product)
        for part in parts:
            paths[part] = paths[best]
    following: list[list[str]] = []
    after: list[str] = []
    for node, path in zip(reversed(nodes), reversed(paths), strict=True):
        following.append(after)
        after = after if _is_between(node, path) else path
    before: list[str] = []
    for place, node in enumerate(nodes):
        if _is_between(node, paths[place]):
            around = zip(before, following[-1 - place], strict=False)
            paths[place] = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], around)]
        else:
            before = paths[place]
    return paths


def _is_between(node: OnnxNode, path: list[str]) -> bool:
    """Whether the file does not say which layer it was in."""
    return node.key in ROUNDING or (not path and node.operator.startswith("QLinear"))


def plain_operators(operators: set[str]) -> tuple[str, ...]:
    """What a layer's operators were before it was quantized."""
    if product := next((PLAIN[name] for name in operators if name in PRODUCTS), None):
        operators = operators - {*PRODUCTS, *FOLLOWING, *BESIDE} | {product}
    kept = operators - ROUNDING or operators
    return tuple(sorted({PLAIN.get(name, name.removeprefix("QLinear")) for name in kept}))
