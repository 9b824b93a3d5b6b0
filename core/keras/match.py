"""Which stored array belongs to which variable of a Keras network.

Keras 3 keeps a tree of groups named by class (`layers/conv2d_1/vars/0`); Keras 1 and 2, and .h5
files to this day, keep a list of arrays by layer name.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch

from core.files.text_of_files import shown
from core.keras.module import KerasLayer
from core.keras.network import KerasGraph
from core.keras.plan import CannotRunError, GraphPlan, LayerPlan
from core.keras.weights import Tree, arrays_in

CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_layers")
Named = list[tuple[str, np.ndarray]]  # by the name in the file, in its order
Found = dict[int, np.ndarray]  # by the variable's id


def take_tree(network: KerasGraph, tree: Tree) -> None:
    """Gives every layer its arrays from a tree of Keras 3. Raises CannotRunError that says which
    layer's are missing or do not match."""
    for layer, group in _layers_with_groups(network, tree):
        found: Found = {}
        _match_group(layer.held[0], group, layer.type_name, found)
        _give(layer, found)
    _give_nothing(network)


def take_lists(network: KerasGraph, lists: dict[str, Named]) -> None:
    """The same from the lists of an .h5 file, by layer name."""
    for plan in network.plan.layers:
        named = lists.get(plan.name, [])
        layer = network.layer(plan.name)
        if isinstance(layer, KerasLayer):
            _give(layer, _paired(_legacy_order(layer), named, plan.name))
        else:
            _take_inner(layer, named, plan.name)
    _give_nothing(network)


def _layers_with_groups(graph: KerasGraph, tree: Tree) -> Iterator[tuple[KerasLayer, Tree]]:
    """Each layer that has variables, and its group: the first of a class gets the first of that
    class's groups, and so on, as the numbers in the names are not the same in all versions."""
    container: Tree = next((tree[key] for key in CONTAINERS if key in tree), {})
    groups = defaultdict(list)
    for name, group in container.items():
        if isinstance(group, dict) and arrays_in(group):
            base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()
            groups[base.replace("_", "")].append((int(number or 0), group))
    layers = defaultdict(list)
    for plan in graph.plan.layers:
        if _variables(graph.layer(plan.name)):
            layers[plan.saved_as.lower()].append(plan)
    for saved_as, plans in layers.items():
        ordered = [group for _, group in sorted(groups[saved_as], key=lambda found: found[0])]
        if len(ordered) != len(plans):
            raise CannotRunError(f"it has {len(plans)} layers {shown(plans[0].saved_as)} with "
                                 f"weights, and weights of {len(ordered)} are stored, the rest "
                                 "is missing or does not match")
        for plan, group in zip(plans, ordered, strict=True):
            layer = graph.layer(plan.name)
            if isinstance(layer, KerasLayer):
                yield layer, group
            else:
                yield from _layers_with_groups(layer, group)


def _match_group(layer: Any, group: Tree, label: str, found: Found) -> None:
    """A layer's own variables, then those of the layers inside it, by attribute."""
    import keras

    inside = {name: part for name, part in layer.named_children()
              if isinstance(part, keras.Layer) and part.weights}
    inner = {id(variable) for part in inside.values() for variable in part.weights}
    own = [variable for variable in layer.weights if id(variable) not in inner]
    stored = group.get("vars", {})
    numbered = [(name, stored[name]) for name in sorted(stored, key=int)] if own else []
    found |= _paired(own, numbered, label)
    for name, part in inside.items():
        below = group.get(name, group.get(name.lstrip("_")))
        if isinstance(below, dict):
            _match_group(part, below, f"{label}/{name}", found)


def _take_inner(graph: KerasGraph, named: Named, label: str) -> None:
    """An inner network, whose arrays are in one list: by the names of the layers in theirs, else
    in one of the orders that versions of Keras wrote."""
    layers = [layer for layer in _leaf_layers(graph) if layer.variables()]
    by_layer = {plan.name: layer for plan, layer in _planned(graph) if layer.variables()}
    lists: dict[str, Named] = defaultdict(list)
    for name, array in named:
        owner = next((part for part in reversed(name.split("/")[:-1]) if part in by_layer), "")
        lists[owner].append((name, array))
    if all(_fits(_legacy_order(layer), lists[name]) for name, layer in by_layer.items()):
        found = [_paired(_legacy_order(layer), lists[name], name)
                 for name, layer in by_layer.items()]
    else:
        trained = [v for layer in layers for v in layer.held[0].trainable_weights]
        rest = [v for layer in layers for v in layer.held[0].non_trainable_weights]
        plain = [v for layer in layers for v in layer.variables()]
        order = plain if _fits(plain, named) else trained + rest
        found = [_paired(order, named, label)]
    merged = dict(chain.from_iterable(part.items() for part in found))
    for layer in layers:
        _give(layer, merged)


def _paired(variables: list[Any], named: Named, label: str) -> Found:
    if not _fits(variables, named):
        wanted = [tuple(variable.shape) for variable in variables]
        stored = [array.shape for _, array in named]
        raise CannotRunError(f"the weights of its layer {shown(label)} are missing or do not "
                             f"match: it needs the shapes {shown(wanted, 120)}, stored are "
                             f"{shown(stored, 120)}")
    return {id(v): array for v, (_, array) in zip(variables, named, strict=True)}


def _fits(variables: list[Any], named: Named) -> bool:
    return [tuple(variable.shape) for variable in variables] == [a.shape for _, a in named]


def _legacy_order(layer: KerasLayer) -> list[Any]:
    held = layer.held[0]
    return [*getattr(held, "trainable_weights", ()), *getattr(held, "non_trainable_weights", ())]


def _give(layer: KerasLayer, found: Found) -> None:
    if missing := [v.name for v in layer.variables() if id(v) not in found]:
        raise CannotRunError(f"weights of a layer {shown(layer.type_name)} are missing: "
                             f"{shown(', '.join(missing))}")
    layer.take({id(v): torch.from_numpy(np.array(found[id(v)])) for v in layer.variables()})


def _give_nothing(graph: KerasGraph) -> None:
    """Layers without variables are complete as they are; shows that none with was left out."""
    for layer in _leaf_layers(graph):
        if layer.variables() and not hasattr(layer, "named_variables"):
            raise CannotRunError(f"a layer {shown(layer.type_name)} was given no weights")


def _variables(layer: KerasGraph | KerasLayer) -> list[Any]:
    leaves = [layer] if isinstance(layer, KerasLayer) else _leaf_layers(layer)
    return [variable for leaf in leaves for variable in leaf.variables()]


def _leaf_layers(graph: KerasGraph) -> list[KerasLayer]:
    return [module for module in graph.modules() if isinstance(module, KerasLayer)]


def _planned(graph: KerasGraph) -> Iterator[tuple[LayerPlan, KerasLayer]]:
    plan: GraphPlan = graph.plan
    for layer in plan.layers:
        module = graph.layer(layer.name)
        if isinstance(module, KerasLayer):
            yield layer, module
        else:
            yield from _planned(module)
