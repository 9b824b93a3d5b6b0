"""A Keras config that nobody vouches for, checked and turned into a plan before Keras is imported.

What may be built is listed in core/keras/layers.py; nothing else of a config reaches Keras.
"""

import re
from typing import Any

from core.errors import UserError
from core.files.text_of_files import shown
from core.keras.doors import BUILT_IN, DAMAGED, checked_config
from core.keras.layers import GRAPHS, INERT, INPUT, LAYERS, OPERATIONS
from core.keras.links import KerasLinks
from core.keras.old_configs import TF_FUNCTIONS, modern
from core.keras.plan import Call, CannotRunError, GraphPlan, LayerPlan, Ref
from core.keras.settings import KerasSettings

MOST_LAYERS = 2_000
DEEPEST = 16  # networks inside networks
OF_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")  # calls of its functions


def read_plan(text: bytes, name: str, major_version: int) -> GraphPlan:
    """The network that a config of that version of Keras describes. Raises UserError for what is
    damaged or unsafe, CannotRunError for what is merely unknown here."""
    config = checked_config(text, name)
    try:
        return _Reader(name, major_version).graph(config, 0)
    except CannotRunError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{name}: the model's config is not one that Keras writes "
                        f"({type(error).__name__} {shown(error)}). {DAMAGED}") from error


class _Reader(KerasLinks, KerasSettings):
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
        layers = [self.layer(entry, depth, f"layer_{i}") for i, entry in enumerate(entries)]
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
        layers = [self.layer(entry, depth, str(entry.get("name", ""))) for entry in entries]
        shapes = {layer.name: _batch_shape(entry["config"])
                  for layer, entry in zip(layers, entries, strict=True) if layer.kind == INPUT}
        nodes = {layer.name: entry.get("inbound_nodes", [])
                 for layer, entry in zip(layers, entries, strict=True) if layer.kind != INPUT}
        ends = [ref.layer for ref in self.endpoints(settings["input_layers"])]
        inner = {layer.name: layer.saved_as for layer in layers if layer.graph}
        calls, outputs = self.linked(nodes, self.endpoints(settings["output_layers"]), inner,
                                     set(shapes))
        return GraphPlan(str(settings.get("name", "model")),
                         self._unique([layer for layer in layers if layer.kind != INPUT]),
                         calls, {name: shapes[name] for name in ends}, outputs)

    def _unique(self, layers: list[LayerPlan]) -> tuple[LayerPlan, ...]:
        if len({layer.name for layer in layers}) < len(layers):
            raise UserError(f"{self.name}: two of its layers have one name. {DAMAGED}")
        return tuple(layers)

    def layer(self, entry: dict[str, Any], depth: int, name: str) -> LayerPlan:
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
        return LayerPlan(name, kind, saved_as, self.settings(kind, config, name, depth),
                         frozen=entry["config"].get("trainable") is False)

    def _operation(self, saved_as: str, config: dict[str, Any], name: str) -> LayerPlan:
        if saved_as in OF_TENSORFLOW:
            function = TF_FUNCTIONS.get(config.get("function", ""), str(config.get("function")))
        else:
            function = _in_snake_case(saved_as)
        if function not in OPERATIONS:
            raise CannotRunError(f"it calls the function {shown(function)}, which is unknown here")
        said = {key: self.value(value, key, name, 0) for key, value in config.items()
                if key not in ("name", "function", "trainable")
                and (key != "dtype" or saved_as == "Cast")}
        return LayerPlan(name, function, saved_as, said, operation=True)


def _is_function(entry: dict[str, Any]) -> bool:
    """Whether an entry is a function between layers; an .h5 file does not say the module, and
    merging layers of the same names take a list, where functions take two arguments."""
    if "module" in entry:
        return ".ops" in str(entry["module"])
    kind, calls = entry["class_name"], entry.get("inbound_nodes") or [None]
    if kind in LAYERS:
        return isinstance(calls[0], dict) and len(calls[0].get("args", ())) > 1 and (
            _in_snake_case(kind) in OPERATIONS)
    return kind in OF_TENSORFLOW or _in_snake_case(kind) in OPERATIONS


def _in_snake_case(name: str) -> str:
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return {"re_lu": "relu", "re_lu6": "relu6", "si_lu": "silu"}.get(spelled, spelled)


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
