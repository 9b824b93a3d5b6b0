"""A Keras config that nobody vouches for, checked and turned into a plan before Keras is imported.

What may be built is listed in core/keras_layers.py; nothing else of a config reaches Keras.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

from core.errors import UserError
from core.json_depth import json_depth
from core.keras_layers import (
    ACTIVATIONS,
    DOORS,
    FILES,
    GRAPHS,
    INERT,
    INPUT,
    LAYERS,
    OPERATIONS,
)
from core.keras_links import KerasLinks
from core.keras_old_configs import TF_FUNCTIONS, modern
from core.keras_plan import Call, GraphPlan, LayerPlan, Ref
from core.limits import current_limits
from core.text_of_files import shown

MOST_LAYERS = 2_000
DEEPEST = 16  # networks inside networks
LARGEST = 1_000_000  # units, filters, pixels of a side
LONGEST_LIST = 100_000
LONGEST_TEXT = 64
BUILT_IN = "Replace it by layers that Keras itself has, or export the model to ONNX."
DAMAGED = "It is damaged: save the model again with Keras."
OTHER_NAMES = {"softmax_v2": "softmax", "swish": "silu", "hard_swish": "hard_silu"}
HARD_SIGMOID_2 = "hard_sigmoid of Keras 2"  # 0.2 x + 0.5; Keras 3 gave the name to another curve


class CannotRunError(ValueError):
    """Why an honest network cannot be built here; the text is the middle of a sentence."""


def read_plan(text: bytes, name: str, major_version: int) -> GraphPlan:
    """The network that a config of that version of Keras describes. Raises UserError for what is
    damaged or unsafe, CannotRunError for what is merely unknown here."""
    try:
        if json_depth(text) > current_limits().json_depth:
            raise UserError(f"{name}: its JSON is nested too deep, models inside models. "
                            f"{BUILT_IN}")
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: the model's config is not valid JSON ({shown(error)}). "
                        f"{DAMAGED}") from error
    _refuse_doors(config, name)
    try:
        return _Reader(name, major_version).graph(config, 0)
    except CannotRunError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{name}: the model's config is not one that Keras writes "
                        f"({type(error).__name__} {shown(error)}). {DAMAGED}") from error


def _refuse_doors(config: Any, name: str) -> None:
    """Raises UserError for classes that run code or read files, wherever they stand."""
    for entry in _dicts(config):
        kind, module, inside = entry.get("class_name"), entry.get("module"), entry.get("config")
        root = str(module or "").split(".")[0]
        if kind in DOORS:
            raise UserError(f"{name}: it contains {shown(kind)}, which would run Python code or "
                            f"open files that the model file chooses; nothing was run. {BUILT_IN}")
        if root in sys.stdlib_module_names and not (root == "builtins" and kind == "function"):
            raise UserError(f"{name}: it names {shown(kind)} of Python's module {shown(module)}, "
                            "which is no layer: unsafe code, not loaded. Open a file that "
                            "you trust.")
        for key in FILES if isinstance(inside, dict) else ():
            if isinstance(inside.get(key), str):
                raise UserError(f"{name}: its layer {shown(kind)} wants to read the file "
                                f"{shown(inside[key])} ({key}): unsafe, not loaded. {BUILT_IN}")


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            yield entry
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry


class _Reader(KerasLinks):
    """Turns the dicts of one config into a plan, counting as it goes."""

    def __init__(self, name: str, major_version: int) -> None:
        self.name, self.version = name, major_version
        self.count = 0

    def graph(self, said: dict[str, Any], depth: int) -> GraphPlan:
        """A Sequential or functional network, with those inside it."""
        if depth > DEEPEST:
            raise UserError(f"{self.name}: its models are nested more than {DEEPEST} deep. "
                            f"{BUILT_IN}")
        kind, config = said["class_name"], said["config"]
        if kind not in GRAPHS:
            raise CannotRunError(f"the model's class {shown(kind)} is a custom one, whose code is "
                                 "not in the file")
        entries = config if isinstance(config, list) else config.get("layers")
        if entries is None:
            raise CannotRunError("the model is a class of its own (subclassed), whose code is not "
                                 "in the file")
        self.count += len(entries)
        if self.count > MOST_LAYERS:
            raise UserError(f"{self.name}: it has too many layers, more than {MOST_LAYERS:,}, the "
                            f"limit. {BUILT_IN}")
        settings = {} if isinstance(config, list) else config
        if kind == "Sequential":
            return self._sequential(settings, entries, depth)
        return self._functional(settings, entries, depth)

    def _sequential(self, settings: dict, entries: list[dict], depth: int) -> GraphPlan:
        layers = [self._layer(entry, depth, f"layer_{i}") for i, entry in enumerate(entries)]
        first = entries[0]["config"] if entries else {}
        shape = _batch_shape(first) or _tuple(settings.get("build_input_shape")) or _batch_shape(
            settings)
        if layers and layers[0].graph and shape is None:
            shape = next(iter(layers[0].graph.inputs.values()))
        layers = [layer for layer in layers if layer.kind != INPUT]
        before, calls = Ref("", 0, 0), []
        for layer in layers:
            calls.append(Call(layer.name, 0, (before,)))
            before = Ref(layer.name, 0, 0)
        return GraphPlan(str(settings.get("name", "sequential")), self._unique(layers),
                         tuple(calls), {"": shape}, (before,))

    def _functional(self, settings: dict, entries: list[dict], depth: int) -> GraphPlan:
        layers = [self._layer(entry, depth, str(entry.get("name", ""))) for entry in entries]
        shapes = {layer.name: _batch_shape(entry["config"])
                  for layer, entry in zip(layers, entries, strict=True) if layer.kind == INPUT}
        nodes = {layer.name: entry.get("inbound_nodes", [])
                 for layer, entry in zip(layers, entries, strict=True) if layer.kind != INPUT}
        ends = [ref.layer for ref in self.endpoints(settings["input_layers"])]
        inner = {layer.name for layer in layers if layer.graph}
        calls, outputs = self.linked(nodes, self.endpoints(settings["output_layers"]), inner,
                                     set(shapes))
        return GraphPlan(str(settings.get("name", "model")),
                         self._unique([layer for layer in layers if layer.kind != INPUT]),
                         calls, {name: shapes[name] for name in ends}, outputs)

    def _unique(self, layers: list[LayerPlan]) -> tuple[LayerPlan, ...]:
        if len({layer.name for layer in layers}) < len(layers):
            raise UserError(f"{self.name}: two of its layers have one name. {DAMAGED}")
        return tuple(layers)

    def _layer(self, entry: dict[str, Any], depth: int, name: str) -> LayerPlan:
        saved_as, config = entry["class_name"], entry["config"]
        if saved_as in GRAPHS:
            graph = self.graph(entry, depth + 1)
            given = None if isinstance(config, list) else config.get("name")
            return LayerPlan(str(given or name), "graph", saved_as, graph=graph)
        name = str(config.get("name") or name)
        if _is_function(entry):
            return self._operation(saved_as, config, name)
        kind, config = modern(saved_as, config)
        if kind in INERT:
            return LayerPlan(name, "Identity", saved_as)
        if kind == INPUT:
            return LayerPlan(name, INPUT, saved_as)
        module = str(entry.get("module") or "keras").split(".")[0]
        if kind not in LAYERS or ">" in str(entry.get("registered_name")) or module != "keras":
            raise CannotRunError(f"its layer {shown(name)} is of the custom or unknown class "
                                 f"{shown(kind)}, which cannot run here")
        return LayerPlan(name, kind, saved_as, self._settings(kind, config, name, depth))

    def _operation(self, saved_as: str, config: dict[str, Any], name: str) -> LayerPlan:
        if saved_as == "TFOpLambda":
            function = TF_FUNCTIONS.get(config.get("function", ""), str(config.get("function")))
        else:
            function = _in_snake_case(saved_as)
        if function not in OPERATIONS:
            raise CannotRunError(f"it calls the function {shown(function)}, which is unknown here")
        said = {key: self._value(value, key, name, 0) for key, value in config.items()
                if key not in ("name", "function", "trainable", "dtype")}
        return LayerPlan(name, function, saved_as, said, operation=True)

    def _settings(self, kind: str, config: dict, name: str, depth: int) -> dict[str, Any]:
        said = {key: self._value(config[key], key, name, depth)
                for key in sorted(LAYERS[kind] & config.keys())}
        if "data_format" in LAYERS[kind] and said.get("data_format") is None:
            said["data_format"] = "channels_last"
        if kind == "GRU" and "reset_after" not in said and self.version < 3:
            said["reset_after"] = False
        return said

    def _value(self, value: Any, key: str, name: str, depth: int) -> Any:
        """A setting that is a number, a short text, a list of those, or a layer inside."""
        if "activation" in key:
            return self._activation(value, name, depth)
        if isinstance(value, dict):
            if value.get("class_name") == "__tuple__":
                return self._value(value["items"], key, name, depth)
            if value.get("class_name") == "__numpy__":
                return self._value(value["config"]["value"], key, name, depth)
            return self._layer(value, depth + 1, f"{name}_{key}")
        if isinstance(value, list):
            if len(value) > LONGEST_LIST:
                raise UserError(f"{self.name}: {key} of its layer {shown(name)} is too long.")
            return [self._value(part, key, name, depth) for part in value]
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise UserError(f"{self.name}: {key} of its layer {shown(name)} is too long a text.")
        if isinstance(value, (int, float)) and not _usual(value):
            raise UserError(f"{self.name}: its layer {shown(name)} asks for {key} = {value:,}, too "
                            f"large: the limit is {LARGEST:,}. {BUILT_IN}")
        return value

    def _activation(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") in LAYERS:
                return self._layer(value, depth + 1, f"{name}_activation")
            named = "config" if value.get("class_name") == "function" else "class_name"
            value = value[named]
        if value is None:
            return None
        value = OTHER_NAMES.get(value, value)
        if value == "hard_sigmoid" and self.version < 3:
            return HARD_SIGMOID_2
        if value not in ACTIVATIONS:
            raise CannotRunError(f"its layer {shown(name)} has the custom or unknown activation "
                                 f"{shown(value)}, which cannot run here")
        return value


def _is_function(entry: dict[str, Any]) -> bool:
    """Whether an entry is a function between layers; an .h5 file does not say the module, and
    merging layers of the same names take a list, where functions take two arguments."""
    if "module" in entry:
        return ".ops" in str(entry["module"])
    kind, calls = entry["class_name"], entry.get("inbound_nodes") or [None]
    if kind in LAYERS:
        return isinstance(calls[0], dict) and len(calls[0].get("args", ())) > 1 and (
            _in_snake_case(kind) in OPERATIONS)
    return kind == "TFOpLambda" or _in_snake_case(kind) in OPERATIONS


def _in_snake_case(name: str) -> str:
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return {"re_lu": "relu", "re_lu6": "relu6", "si_lu": "silu"}.get(spelled, spelled)


def _usual(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= LARGEST


def _batch_shape(config: Any) -> tuple[int | None, ...] | None:
    if isinstance(config, list):  # a Sequential of Keras 1
        return _batch_shape(config[0].get("config")) if config else None
    said = config.get("batch_shape") or config.get("batch_input_shape")
    if said is None and isinstance(config.get("input_dim"), int) and "units" not in config:
        return None
    return _tuple(said)


def _tuple(said: Any) -> tuple[int | None, ...] | None:
    if isinstance(said, dict):  # {"class_name": "__tuple__", "items": …}
        said = said.get("items")
    if not isinstance(said, list) or not all(side is None or type(side) is int for side in said):
        return None
    return tuple(said)
