"""Settings of Keras layers, checked one by one: numbers, short texts, and layers inside."""

import math
from collections.abc import Callable
from typing import Any

from core.errors import UserError
from core.files.text_of_files import shown
from core.keras.doors import BUILT_IN
from core.keras.layers import ACTIVATIONS, LAYERS
from core.keras.plan import CannotRunError, LayerPlan

LARGEST = 1_000_000  # units, filters, pixels of a side
LONGEST_LIST = 100_000
LONGEST_TEXT = 64
OTHER_NAMES = {"softmax_v2": "softmax", "swish": "silu", "hard_swish": "hard_silu"}
HARD_SIGMOID_2 = "hard_sigmoid of Keras 2"  # 0.2 x + 0.5; Keras 3 gave the name to another curve


class KerasSettings:
    """Reads settings; `name` is the file's, for messages, `version` that of its Keras."""

    name: str
    version: int
    layer: Callable[[dict[str, Any], int, str], LayerPlan]  # (entry, depth, name if it has none)

    def settings(self, kind: str, config: dict, name: str, depth: int) -> dict[str, Any]:
        """Those of the layer's settings that say what it computes."""
        said = {key: self.value(config[key], key, name, depth)
                for key in sorted(LAYERS[kind] & config.keys())}
        if str(said.get("interpolation")).startswith("lanczos"):
            raise CannotRunError(f"its layer {shown(name)} resizes by Lanczos interpolation, which "
                                 "Keras does not do on torch")
        if "data_format" in LAYERS[kind] and said.get("data_format") is None:
            said["data_format"] = "channels_last"
        if kind == "GRU" and "reset_after" not in said and self.version < 3:
            said["reset_after"] = False
        return said

    def value(self, value: Any, key: str, name: str, depth: int) -> Any:
        """A setting that is a number, a short text, a list of those, or a layer inside."""
        if "activation" in key:
            return self._activation(value, name, depth)
        if isinstance(value, dict):
            if value.get("class_name") == "__tuple__":
                return self.value(value["items"], key, name, depth)
            if value.get("class_name") == "__numpy__":
                return self.value(value["config"]["value"], key, name, depth)
            inside = self.layer(value, depth + 1, f"{name}_{key}")
            if inside.graph:
                raise CannotRunError(f"its layer {shown(name)} repeats a whole network, which "
                                     "cannot run here")
            return inside
        if isinstance(value, list):
            if len(value) > LONGEST_LIST:
                raise UserError(f"{self.name}: {key} of its layer {shown(name)} is too long.")
            return [self.value(part, key, name, depth) for part in value]
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise UserError(f"{self.name}: {key} of its layer {shown(name)} is too long a text.")
        if isinstance(value, (int, float)) and not _usual(value):
            raise UserError(f"{self.name}: its layer {shown(name)} asks for {key} = {value:,}, too "
                            f"large: the limit is {LARGEST:,}. {BUILT_IN}")
        return value

    def _activation(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") in LAYERS:
                return self.layer(value, depth + 1, f"{name}_activation")
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


def _usual(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= LARGEST
