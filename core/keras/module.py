"""A Keras layer as a torch module, seen as (N, C, H, W).

Keras's layers are built without memory (torch's meta device) and hold no weights; a layer here
owns its weights as torch parameters and lends them to Keras while it runs.
"""

from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import nn

from core.keras.get_item import get_item
from core.keras.layers import OF_NETWORKS
from core.keras.plan import LayerPlan
from core.keras.settings import HARD_SIGMOID_2

NOT_ON_META = ("UpSampling", "RepeatVector", "Adaptive")  # of Keras's own making


class KerasLayer(nn.Module):
    """One layer of Keras; what passes is (N, C, …) outside and as Keras wants it inside."""

    def __init__(self, plan: LayerPlan, channels_last: bool) -> None:
        super().__init__()
        self.type_name, self.settings, self.kind = plan.saved_as, plan.config, plan.kind
        self.channels_last, self.frozen = channels_last, plan.frozen
        # In a tuple, so that torch does not take Keras's own empty parameters for the layer's.
        self.held = (_keras_layer(plan),)
        self.asks_training = not plan.operation and "training" in _argument_names(self.held[0].call)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        if self.asks_training:
            named["training"] = False
        with self._lent():
            if self.kind == "Normalization":
                self._settle(arguments[0])
            inwards = _mapped(arguments, self._inwards)
            if self.kind.startswith(NOT_ON_META) and inwards[0].is_meta:
                shape = self.held[0].compute_output_shape(tuple(inwards[0].shape))
                output = torch.empty(shape, dtype=inwards[0].dtype, device="meta")
            else:
                output = self.held[0](*inwards, **{key: _mapped(part, self._inwards)
                                                   for key, part in named.items()})
        return _mapped(output, self._outwards)

    def _settle(self, tensor: torch.Tensor) -> None:
        """Makes the constants that Keras keeps from mean and variance, of today's values."""
        layer = self.held[0]
        if layer.input_mean is None and layer.built:
            layer.finalize_state()
        else:
            layer.build(tuple(self._inwards(tensor).shape))

    def variables(self) -> list[Any]:
        """Keras's variables in the order in which its files keep them."""
        layer = self.held[0]
        return list(getattr(layer, "weights", ()))

    def take(self, arrays: dict[int, torch.Tensor]) -> None:
        """Owns these tensors as the values of variables, by the variable's id."""
        names: dict[str, Any] = {}
        for variable in self.variables():
            name = plain_name(_name_within(variable, self.held[0]))
            while name in names or hasattr(self, name):
                name += "_"
            names[name] = variable
            tensor = arrays[id(variable)]
            if tensor.is_floating_point():
                self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(name, tensor)
        self.named_variables = tuple(names.items())

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={getattr(value, 'kind', value)}"
                         for key, value in self.settings.items())

    def _lent(self) -> AbstractContextManager:
        from keras import StatelessScope

        pairs = getattr(self, "named_variables", ())
        if not pairs:
            return nullcontext()
        return StatelessScope([(variable, getattr(self, name)) for name, variable in pairs])

    def _inwards(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.movedim(1, -1) if self.channels_last and tensor.dim() > 3 else tensor

    def _outwards(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.movedim(-1, 1) if self.channels_last and tensor.dim() > 3 else tensor


def plain_name(name: str) -> str:
    """A name that a torch module can have."""
    return name.replace(".", "_").replace("/", "_") or "unnamed"


def _keras_layer(plan: LayerPlan) -> Any:
    """The layer or function itself; nothing but what core/keras/config.py checked reaches it."""
    import keras

    if plan.operation:
        function = get_item if plan.kind == "get_item" else getattr(keras.ops, plan.kind)
        return _Function(function, plan.config)
    settings = {key: _keras_layer(value) if isinstance(value, LayerPlan) else _setting(value)
                for key, value in plan.config.items()}
    # Zeros: random numbers would be drawn for nothing.
    made = getattr(import_module(OF_NETWORKS.get(plan.kind, "keras.layers")), plan.kind)
    return made(**settings, dtype="float32")


class _Function:
    """A function of keras.ops with the settings that the config gives it."""

    def __init__(self, function: Any, settings: dict[str, Any]) -> None:
        self.function, self.settings = function, settings

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **self.settings, **named)


def _setting(value: Any) -> Any:
    if value == HARD_SIGMOID_2:
        return lambda x: (0.2 * x + 0.5).clamp(0, 1)
    return tuple(_setting(part) for part in value) if isinstance(value, list) else value


def _argument_names(function: Any) -> tuple[str, ...]:
    from inspect import signature

    return tuple(signature(function).parameters)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return [_mapped(part, change) for part in value]
    return value


def _name_within(variable: Any, layer: Any) -> str:
    """A variable's path below its layer, as in "query/kernel"."""
    return variable.path.split(f"{layer.name}/", 1)[-1]
