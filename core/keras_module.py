"""A Keras network as a torch module: each layer under its Keras name, seen as (N, C, H, W).

Keras's layers are built without memory (torch's meta device) and hold no weights; a layer here
owns its weights as torch parameters and lends them to Keras while it runs.
"""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import torch
from torch import nn

from core.errors import UserError
from core.keras_config import HARD_SIGMOID_2, CannotRunError
from core.keras_plan import GraphPlan, LayerPlan, filled_in
from core.layers import first_tensor, layer_names, watched
from core.limits import current_limits
from core.text_of_files import shown

NOT_ON_META = ("UpSampling", "RepeatVector", "Adaptive")  # of Keras's own making
FREE_SIDE = 64  # pixels, where the config leaves a side open


def keras_on_torch() -> ModuleType:
    """Keras with its torch backend. Raises UserError where another one is already in use."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras
    except ImportError as error:
        raise UserError(f"Keras models need the package keras ({error}). Install it: "
                        "pip install -r requirements.txt.") from error
    if (backend := keras.backend.backend()) != "torch":
        raise UserError(f"Keras runs on {backend} in this process. Start Netlens with "
                        "KERAS_BACKEND=torch, or without it.")
    # Streamlit calls it after each run of a page, and it swaps the state that a network running in
    # another thread reads: measured, 13 of 192 passes gave wrong numbers.
    keras.backend.clear_session = lambda free_memory=True: None
    return keras


class KerasLayer(nn.Module):
    """One layer of Keras; what passes is (N, C, …) outside and as Keras wants it inside."""

    def __init__(self, plan: LayerPlan, channels_last: bool) -> None:
        super().__init__()
        self.type_name, self.settings, self.kind = plan.saved_as, plan.config, plan.kind
        self.channels_last = channels_last
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


class KerasGraph(nn.Module):
    """A Sequential or functional network: runs its layers as its config links them."""

    def __init__(self, plan: GraphPlan, channels_last: bool) -> None:
        super().__init__()
        self.type_name, self.plan = "Network", plan
        self.places: dict[str, str] = {}
        for layer in plan.layers:
            place = plain_name(layer.name)
            while hasattr(self, place):
                place += "_"
            self.places[layer.name] = place
            self.add_module(place, KerasGraph(layer.graph, channels_last) if layer.graph
                            else KerasLayer(layer, channels_last))
        self.last_use = {(ref.layer, ref.call): position
                         for position, call in enumerate(plan.calls) for ref in call.refs()}

    def forward(self, *inputs: Any) -> torch.Tensor:
        inputs = inputs[0] if isinstance(inputs[0], list) else inputs
        tensors: dict[tuple[str, int], list[Any]] = {
            (name, 0): [tensor] for name, tensor in zip(self.plan.inputs, inputs, strict=True)}
        for position, call in enumerate(self.plan.calls):
            output = getattr(self, self.places[call.layer])(
                *filled_in(call.arguments, tensors),
                **{key: filled_in(value, tensors) for key, value in call.named.items()})
            tensors[call.layer, call.number] = (
                list(output) if isinstance(output, (list, tuple)) else [output])
            for ref in call.refs():  # gives memory back as soon as nothing more needs it
                if self.last_use[ref.layer, ref.call] == position and ref != self.plan.outputs[0]:
                    tensors.pop((ref.layer, ref.call), None)
        return filled_in(self.plan.outputs[0], tensors)

    def layer(self, name: str) -> nn.Module:
        """The layer of that name in the config."""
        return getattr(self, self.places[name])


class KerasNetwork(KerasGraph):
    """The whole network: takes pictures (N, C, H, W), whatever rank its input has."""

    def __init__(self, plan: GraphPlan, channels_last: bool, shape: tuple[int | None, ...]) -> None:
        super().__init__(plan, channels_last)
        self.channels_last, self.shape = channels_last, shape

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        import keras

        rank = len(self.shape)
        if rank == 3:
            image = image.flatten(1, 2) if image.shape[1] == 1 else image.movedim(1, -1).flatten(2)
        elif rank == 2:
            image = (image.movedim(1, -1) if self.channels_last else image).flatten(1)
        with keras.device(str(image.device)):
            return super().forward(image)


def built(plan: GraphPlan, channels_last: bool, source: str) -> KerasNetwork:
    """The network with its layers built for its input shape, on the meta device.

    Raises CannotRunError where they do not fit together, UserError where they would be too large.
    """
    keras = keras_on_torch()
    keras.config.disable_traceback_filtering()  # it puts its own words before the reason
    shape = next(iter(plan.inputs.values()))
    most = current_limits().elements

    def refuse_large(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.numel() > most:
            raise UserError(f"{source}: its layer {shown(name)} would give {tensor.numel():,} "
                            f"numbers for one picture, too large: the limit is {most:,}. Use a "
                            "smaller network.")

    try:
        with keras.device("meta"), torch.no_grad():
            network = KerasNetwork(plan, channels_last, shape)
            example = torch.zeros((1, *(side or FREE_SIDE for side in shape[1:])), device="meta")
            if channels_last and len(shape) == 4:
                example = example.movedim(-1, 1)
            with watched(network, layer_names(network), refuse_large):
                KerasGraph.forward(network, example)
    except UserError:
        raise
    except Exception as error:  # whatever Keras raises on settings that do not fit together
        reason = str(error).strip().split("\n")[0]
        raise CannotRunError(f"its layers do not fit together ({shown(reason, 200)})") from error
    return network


def plain_name(name: str) -> str:
    """A name that a torch module can have."""
    return name.replace(".", "_").replace("/", "_") or "unnamed"


def _keras_layer(plan: LayerPlan) -> Any:
    """The layer or function itself; nothing but what core/keras_config.py checked reaches it."""
    import keras

    if plan.operation:
        function = getattr(keras.ops, plan.kind)
        return _Function(function, plan.config)
    settings = {key: _keras_layer(value) if isinstance(value, LayerPlan) else _setting(value)
                for key, value in plan.config.items()}
    # Zeros: random numbers would be drawn for nothing.
    made = getattr(keras.layers, plan.kind)
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
