"""How the layers of a functional Keras model are linked: both ways in which configs say it."""

from typing import Any

from core.errors import UserError
from core.files.text_of_files import shown
from core.keras.plan import Call, Ref

MOST_CALLS = 20_000
IGNORED = ("training", "mask", "name", "attention_mask")  # of a call
TENSOR = "__keras_tensor__"
SLICE = {"start", "stop", "step"}  # of tf.keras
TF_NAMES = {"x": "x1", "y": "x2", "perm": "axes", "shape": "newshape", "keep_dims": "keepdims",
            "bias": "x2", "slice_spec": "key"}
DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")


class KerasLinks:
    """Reads calls; `name` is the file's, for messages."""

    name: str

    def endpoints(self, said: Any) -> list[Ref]:
        """Inputs or outputs: [layer, call, tensor], or lists or dicts of them."""
        if isinstance(said, list) and len(said) == 3 and isinstance(said[0], str):
            return [Ref(str(said[0]), int(said[1]), int(said[2]))]
        parts = said.values() if isinstance(said, dict) else said
        return [ref for part in parts for ref in self.endpoints(part)]

    def linked(self, nodes: dict[str, list], outputs: list[Ref], inner: dict[str, str],
               inputs: set[str]) -> tuple[tuple[Call, ...], tuple[Ref, ...]]:
        """The calls that the outputs need, in order, and the outputs. inner: the class of each
        network among the layers."""
        known = nodes.keys() | inputs
        calls = [self._call(layer, number, node, known)
                 for layer, said in nodes.items() for number, node in enumerate(said)]
        if len(calls) > MOST_CALLS:
            raise UserError(f"{self.name}: its layers are linked more than {MOST_CALLS:,} times.")
        shifts, shifts_of_outputs = _shifts(calls, outputs, nodes, inner)
        calls = [Call(call.layer, call.number, _shifted(call.arguments, shifts),
                      {key: _shifted(value, shifts) for key, value in call.named.items()})
                 for call in calls]
        outputs = [_shifted(output, shifts_of_outputs) for output in outputs]
        return self._ordered(calls, outputs, inputs), tuple(outputs)

    def _ordered(self, calls: list[Call], outputs: list[Ref],
                 inputs: set[str]) -> tuple[Call, ...]:
        """Those that the outputs need, each after what it needs."""
        by_key = {(call.layer, call.number): call for call in calls}
        done: dict[tuple[str, int], None] = {}
        waiting = [(output.layer, output.call) for output in reversed(outputs)]
        opened: set[tuple[str, int]] = set()
        while waiting:
            key = waiting[-1]
            if key in done or key[0] in inputs:
                waiting.pop()
                continue
            if key not in by_key:
                raise UserError(f"{self.name}: a layer needs the output of {shown(key[0])}, which "
                                "the config does not have. It is damaged: save the model again.")
            needs = [(ref.layer, ref.call) for ref in by_key[key].refs()]
            missing = [need for need in needs if need not in done and need[0] not in inputs]
            if not missing:
                done[waiting.pop()] = None
            elif key in opened:
                raise UserError(f"{self.name}: its layers are linked in a circle at "
                                f"{shown(key[0])}. It is damaged: save the model again.")
            else:
                opened.add(key)
                waiting += missing
        return tuple(by_key[key] for key in done)

    def _call(self, layer: str, number: int, node: Any, known: set[str]) -> Call:
        if isinstance(node, dict):  # Keras 3
            arguments = tuple(self._argument(part, known) for part in node["args"])
            return Call(layer, number, arguments, self._named(node["kwargs"], known))
        if node and isinstance(node[0], str):
            node = [node]
        refs = [Ref(str(part[0]), int(part[1]), int(part[2])) for part in node]
        said = node[0][3] if len(node[0]) > 3 else {}
        named = {TF_NAMES.get(key, key): value for key, value in self._named(said, known).items()}
        return Call(layer, number, (refs[0] if len(refs) == 1 else refs,), named)

    def _named(self, said: dict[str, Any], known: set[str]) -> dict[str, Any]:
        return {str(key): self._argument(value, known) for key, value in said.items()
                if key not in IGNORED and value is not None}

    def _argument(self, value: Any, known: set[str]) -> Any:
        """A tensor, a number, or a list of them. Raises ValueError for anything else."""
        if isinstance(value, dict):
            if value.get("class_name") == TENSOR:
                layer, call, tensor = value["config"]["keras_history"]
                return Ref(str(layer), int(call), int(tensor))
            if value.get("class_name") == "__tuple__":
                return self._argument(value["items"], known)
            if value.get("class_name") == "__tensor__":  # a constant
                return self._argument(value["config"]["value"], known)
            if value.get("class_name") == "__ellipsis__":
                return ...
            if value.get("class_name") == "__slice__" or value.keys() == SLICE:
                said = value.get("config", value)
                ends = (self._argument(said[key], known) for key in ("start", "stop", "step"))
                return slice(*ends)
            raise ValueError(f"a layer is called with {shown(value.get('class_name'))}")
        if isinstance(value, list):
            if len(value) == 3 and isinstance(value[0], str) and value[0] in known:
                return Ref(value[0], int(value[1]), int(value[2]))
            if len(value) > 1000:
                raise ValueError("a layer is called with a long list")
            return [self._argument(part, known) for part in value]
        if value is None or isinstance(value, (bool, int, float)) or value in DTYPES:
            return value
        raise ValueError(f"a layer is called with the text {shown(value)}")


def _shifts(calls: list[Call], outputs: list[Ref], nodes: dict[str, list],
            inner: dict[str, str]) -> tuple[dict[str, int], dict[str, int]]:
    """By inner network, what its calls are counted from where layers take their results, and where
    they are outputs: Keras 2 starts at 1 in both, as the network's own definition is call 0; Keras
    3 at 0 in arguments and, for a functional network, at 1 in outputs."""
    arguments = [ref for call in calls for ref in call.refs()]
    if not any(isinstance(node, dict) for said in nodes.values() for node in said):
        shifts = _counted_from([*arguments, *outputs], nodes, inner)
        return shifts, shifts
    of_outputs = _counted_from(outputs, nodes, inner)
    for layer, kind in inner.items():
        numbers = [ref.call for ref in outputs if ref.layer == layer]
        if kind != "Sequential" and numbers and 0 not in numbers:
            of_outputs[layer] = 1
    return _counted_from(arguments, nodes, inner), of_outputs


def _counted_from(refs: list[Ref], nodes: dict[str, list], inner: dict[str, str]) -> dict[str, int]:
    """By inner network, 1 where a number lies beyond its last call."""
    highest = dict.fromkeys(inner, 0)
    for ref in refs:
        if ref.layer in inner:
            highest[ref.layer] = max(highest[ref.layer], ref.call)
    return {layer: int(highest[layer] >= len(nodes.get(layer, []))) for layer in inner}


def _shifted(value: Any, shifts: dict[str, int]) -> Any:
    if isinstance(value, Ref):
        return Ref(value.layer, value.call - shifts.get(value.layer, 0), value.tensor)
    if isinstance(value, (list, tuple)):
        return type(value)(_shifted(part, shifts) for part in value)
    return value

