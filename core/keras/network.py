"""A Keras network as a torch module: layers under their Keras names, linked as its config says."""

from typing import Any

import torch
from torch import nn

from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.keras.module import KerasLayer, plain_name
from core.keras.package import keras_on_torch
from core.keras.plan import CannotRunError, GraphPlan, filled_in
from core.layers import first_tensor, layer_names, watched

FREE_SIDE = 64  # pixels, where the config leaves a side open


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
