"""The weights of an .h5 file of Keras 1 and 2: lists by layer, in the shapes of Keras 3."""

import numpy as np

from core.keras.match import Named
from core.keras.plan import GraphPlan
from core.keras.weights import Hdf5, Tree

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def weight_lists(file: Hdf5, tree: Tree) -> dict[str, Named]:
    """By layer, its arrays in the order that the file gives; `tree` is what was read of it."""
    root = file.file["model_weights"] if "model_weights" in tree else file.file
    arrays = tree.get("model_weights", tree)
    lists: dict[str, Named] = {}
    for layer in file.names("layer_names", root):
        if isinstance(arrays.get(layer), dict):
            group = root[layer]
            lists[layer] = [(name, array) for name in file.names("weight_names", group)
                            if (array := _at(arrays[layer], name)) is not None]
    return lists


def _at(tree: Tree, path: str) -> np.ndarray | None:
    for part in path.split("/"):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree if isinstance(tree, np.ndarray) else None


def in_todays_shapes(lists: dict[str, Named], plan: GraphPlan, major_version: int,
                     backend: str) -> tuple[dict[str, Named], tuple[str, ...]]:
    """Kernels turned as Keras 3 wants them, and notes on it. Keras 1 stored kernels of Theano's
    dimension order with the filters first, and Theano convolves with kernels turned around."""
    notes: list[str] = []
    for layer in plan.layers:
        named = lists.get(layer.name)
        if layer.kind not in CONVOLUTIONS or not named:
            continue
        (name, kernel), rest = named[0], named[1:]
        if major_version == 1:
            kernel = _kernel_of_keras_1(kernel, layer.kind, layer.config)
        if backend == "theano":
            kernel = np.flip(kernel, tuple(range(kernel.ndim - 2)))
            notes.append("Kernels turned by 180°: Theano convolves with turned kernels.")
        lists[layer.name] = [(name, kernel), *rest]
    return lists, tuple(dict.fromkeys(notes))


def _kernel_of_keras_1(kernel: np.ndarray, kind: str, config: dict) -> np.ndarray:
    first = config["data_format"] == "channels_first"
    if kind == "Conv1D" and kernel.ndim == 4:  # (length, 1, input, filters), or Theano's order
        length = config["kernel_size"]
        length = length[0] if isinstance(length, list) else length
        if kernel.shape[:2] != (length, 1) or kernel.shape[3] != config["filters"]:
            kernel = kernel.transpose(2, 3, 1, 0)
        return kernel[:, 0]
    if kind == "Conv2DTranspose" and kernel.ndim == 4:
        return kernel.transpose(2, 3, 0, 1) if first else kernel.transpose(0, 1, 3, 2)
    if first and kernel.ndim == 4:
        return kernel.transpose(2, 3, 1, 0)
    if first and kernel.ndim == 5:
        return kernel.transpose(2, 3, 4, 1, 0)
    return kernel
