"""Keras files as networks: .keras and .h5.

The config is checked and read into a plan (core/keras/config.py), the weights are read with limits
(core/keras/weights.py), and only then are Keras's own layers built, on its torch backend.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from core.card import Card
from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.text_of_files import shown
from core.keras.card import inferred_card
from core.keras.config import read_plan
from core.keras.lists import in_todays_shapes, weight_lists
from core.keras.match import CONTAINERS, take_lists, take_tree
from core.keras.network import KerasNetwork, built
from core.keras.plan import CannotRunError, GraphPlan
from core.keras.weights import Hdf5, Tree, arrays_in
from core.model_formats import LoadedModel
from core.weight_files.weights_only import WeightsOnly

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Gives a network its weights; says what was changed about them.
Take = Callable[[KerasNetwork, GraphPlan], tuple[str, ...]]
OTHER_PRECISION = (b'"mixed_', b'"float16"', b'"bfloat16"', b'"float64"')


def network_in_zip(path: Path, card: Card) -> LoadedModel:
    """The network of a .keras file. Raises UserError."""
    with Archive(path, path.name) as archive:
        if CONFIG not in archive:
            raise UserError(f"{path.name}: {CONFIG} is missing, so this is not a Keras file that "
                            "can be opened. Save the model again with model.save('model.keras').")
        config = archive.read(CONFIG, archive.limits.header_bytes)
        said = archive.read(METADATA, archive.limits.header_bytes) if METADATA in archive else b"{}"
        weights = archive.read(WEIGHTS) if WEIGHTS in archive else None
    version = _version_in(said)
    plan = _plan(config, path.name, version)
    if weights is None:
        raise UserError(f"{path.name}: {WEIGHTS} is missing. Save the model again with "
                        "model.save('model.keras').")
    with Hdf5(weights, path.name) as file:
        tree = file.tree()
        notes = _said(version, file, config)

    def take(network: KerasNetwork, plan: GraphPlan) -> tuple[str, ...]:
        take_tree(network, tree)
        return ()

    return _opened(plan, tree, card, path.name, notes, take)


def network_in_hdf5(path: Path, card: Card) -> LoadedModel:
    """The network of an .h5 file. Raises UserError."""
    with Hdf5(path, path.name) as file:
        return _of_hdf5(file, path.name, card)


def _of_hdf5(file: Hdf5, name: str, card: Card) -> LoadedModel:
    config = file.text("model_config")
    version = _text(file.attribute("keras_version"))
    tree = file.tree()
    lists = weight_lists(file, tree)
    root = file.file["model_weights"] if "model_weights" in tree else file.file
    version = version or _text(file.attribute("keras_version", root)) or (
        "3" if tree.keys() & CONTAINERS else "1")
    backend = _text(file.attribute("backend")) or _text(file.attribute("backend", root))
    notes = _said(version, file, config or b"")
    if config is None:
        return _weights_only(tree, card, name, notes, "the architecture is not in the file (it has "
                             "no model_config)")
    if file.attribute("training_config") is not None:
        notes += ("Training settings (compile: loss, optimizer, metrics) were not read.",)
    plan = _plan(config, name, version)

    def take(network: KerasNetwork, plan: GraphPlan) -> tuple[str, ...]:
        turned, said = in_todays_shapes(lists, plan, _major(version), backend)
        take_lists(network, turned)
        return said

    return _opened(plan, tree, card, name, notes, take)


def _plan(config: bytes, name: str, version: str) -> GraphPlan | CannotRunError:
    try:
        plan = read_plan(config, name, _major(version))
    except CannotRunError as reason:
        return reason
    if len(plan.inputs) != 1:
        return CannotRunError(f"it has {len(plan.inputs)} inputs, and Netlens gives one picture")
    shape = next(iter(plan.inputs.values()))
    if shape is None or len(shape) not in (2, 3, 4) or None in shape[3:]:
        return CannotRunError(f"its input has the shape {shape}, which is no picture's")
    if not plan.calls:
        return CannotRunError("it has no layers")
    return plan


def _opened(plan: GraphPlan | CannotRunError, tree: Tree, card: Card, name: str,
            notes: tuple[str, ...], take: Take) -> LoadedModel:
    """The network with its weights, else the weights and why it cannot run."""
    if isinstance(plan, CannotRunError):
        return _weights_only(tree, card, name, notes,
                             f"the architecture is in the file, but {plan}")
    channels_last = _channels_last(plan)
    try:
        network = built(plan, channels_last, name)
        notes += take(network, plan)
    except CannotRunError as reason:
        return _weights_only(tree, card, name, notes,
                             f"the architecture is in the file, but {reason}")
    card, said = inferred_card(card, plan, channels_last)
    if len(plan.outputs) > 1:
        said += (f"It has {len(plan.outputs)} outputs; the first is shown.",)
    layout = () if channels_last else ("Its layers keep channels first.",)
    notes += ("Run by Keras's own layers, on torch.",)
    return LoadedModel(network.eval().requires_grad_(False), card, (*notes, *layout, *said))


def _channels_last(plan: GraphPlan) -> bool:
    said = [leaf.config["data_format"] for leaf in plan.leaves() if "data_format" in leaf.config
            and leaf.kind != "Flatten"]
    return "channels_first" not in said


def _weights_only(tree: Tree, card: Card, name: str, notes: tuple[str, ...],
                  reason: str) -> LoadedModel:
    tensors = {key: torch.from_numpy(array) for key, array in arrays_in(tree).items()}
    return LoadedModel(WeightsOnly(tensors, name), card, (
        *notes, f"Weights only: {reason}. Nothing can be predicted."))


def _said(version: str, file: Hdf5, config: bytes) -> tuple[str, ...]:
    notes = (f"Written by Keras {shown(version)}.",)
    if any(word in config for word in OTHER_PRECISION):
        notes += ("Its layers ask for another precision; they are computed as float32.",)
    if file.skipped:
        notes += (f"Not read, as they hold no numbers: {', '.join(file.skipped[:5])}.",)
    return notes


def _version_in(metadata: bytes) -> str:
    try:
        said = json.loads(metadata)
        return str(said.get("keras_version", "3")) if isinstance(said, dict) else "3"
    except (ValueError, RecursionError):
        return "3"


def _major(version: str) -> int:
    return int(version[0]) if version[:1] in ("1", "2", "3") else 3


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
