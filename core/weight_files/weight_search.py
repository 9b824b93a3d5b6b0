"""Finds the weights among nested containers: under the usual keys, or wherever tensors are."""

from typing import Any

from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.pickles.values import Placeholder, StoredTensor, array

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights",
            "params", "model_weights", "net_state_dict", "model_state", "state_dict_ema",
            "model_ema", "ema_state_dict", "params_ema", "ema", "teacher", "student")
NOT_WEIGHTS = ("optim", "sched", "lr_", "scaler", "callbacks", "loops", "rng", "hyper", "args",
               "config", "history", "grad")
# torch_ema's average: tensors in the order of model.parameters().
SHADOW, OF_SHADOW = "shadow_params", ("shadow_params", "collected_params")
UNNAMED = ("'shadow_params' is a list of averaged parameters (torch_ema): it has no names and "
           "lacks buffers such as batch norm's statistics, so no network is told from it. Put it "
           "into the network and save that: ema.copy_to(model.parameters()); "
           "torch.save(model.state_dict(), 'weights.pt').")
RESAVE = "Save it again with torch.save(model.state_dict(), 'weights.pt')."


class Search:
    """Looks for the weights in nested containers, each of them once, however often it is shared."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._known: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def weights(self, value: Any) -> tuple[dict[str, Any], list[str]]:
        """The tensors by name, and sentences on where they were taken from."""
        if id(value) not in self._known:
            self._known[id(value)] = {}, []  # what a container finds in itself
            self._known[id(value)] = self._found(value)
        return self._known[id(value)]

    def _found(self, value: Any) -> tuple[dict[str, Any], list[str]]:
        if is_module(value):
            return _module_tensors(value), [
                f"The file stores a whole model object (class {shown(value.name)}); its weights "
                "were read, the class was not loaded. A state_dict is enough."]
        if is_tensor(value):
            return {"tensor": value}, []
        inside = mapping(value)
        if shadow := [key for key, part in inside.items() if SHADOW in (key, *mapping(part))]:
            return self._beside_shadow(inside, shadow[0])
        if wrapped := [key for key in WRAPPERS if key in inside and self.weights(inside[key])[0]]:
            found, notes = self.weights(inside[wrapped[0]])
            others = [f"Other weights under {shown(key)} are not used." for key in wrapped[1:]]
            return found, [f"Weights taken from {shown(wrapped[0])}.", *others, *notes]
        if own := {str(key): part for key, part in inside.items() if is_tensor(part)}:
            return own, []
        return self._parts({key: part for key, part in inside.items() if not is_beside(key)})

    def _beside_shadow(self, inside: dict, shadow: Any) -> tuple[dict[str, Any], list[str]]:
        """The weights beside torch_ema's average, which stands under `shadow`, or that itself."""
        found, notes = self._found({key: part for key, part in inside.items()
                                    if key != shadow and key not in OF_SHADOW})
        if found:
            return found, [*notes, f"The average of torch_ema under {shown(shadow)} is not used: "
                                   "it has no names."]
        found, notes = self.weights(inside[shadow])
        return found, [UNNAMED] if shadow == SHADOW else notes

    def _parts(self, inside: dict) -> tuple[dict[str, Any], list[str]]:
        """The weights of the one part that has any, or of all, the name of each before its own."""
        parts = {key: part for key, part in inside.items() if self.weights(part)[0]}
        if len(parts) == 1:
            (key, part), = parts.items()
            found, notes = self.weights(part)
            return found, [f"Weights taken from {shown(key)}.", *notes]
        total = sum(len(self.weights(part)[0]) for part in parts.values())
        if total > 2 * current_limits().tensors:
            raise UserError(f"{self.name}: too many tensors in nested parts, a structure that no "
                            f"state dict needs. {RESAVE}")
        return {f"{key}.{name}": tensor for key, part in parts.items()
                for name, tensor in self.weights(part)[0].items()}, []


def is_beside(key: Any) -> bool:
    return str(key).lower().startswith(NOT_WEIGHTS)


def is_module(value: Any) -> bool:
    state = value.state if isinstance(value, Placeholder) else None
    return isinstance(state, dict) and "_modules" in state


def is_tensor(value: Any) -> bool:
    return isinstance(value, StoredTensor) or array(value) is not None


def mapping(value: Any) -> dict:
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    items = value.items if isinstance(value, Placeholder) else value
    return items if isinstance(items, dict) else {}


def _module_tensors(module: Placeholder) -> dict[str, Any]:
    """The state dict of a pickled module, from the attributes that nn.Module keeps it in."""
    found: dict[str, Any] = {}
    waiting, visits = [("", module)], 0
    while waiting and visits < current_limits().tensors:
        prefix, part = waiting.pop()
        visits += 1
        passing = part.state.get("_non_persistent_buffers_set") or ()
        for group in ("_parameters", "_buffers"):
            named = mapping(part.state.get(group))
            found |= {f"{prefix}{key}": value for key, value in named.items()
                      if is_tensor(value) and not (group == "_buffers" and key in passing)}
        below = reversed(mapping(part.state["_modules"]).items())
        waiting += [(f"{prefix}{key}.", child) for key, child in below if is_module(child)]
    return found
