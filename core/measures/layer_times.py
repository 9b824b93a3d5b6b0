"""How long each layer takes on this device: measured, and estimated from its multiply-adds."""

import statistics
import time
from collections import defaultdict
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from core import store
from core.device import device, float_type, locked
from core.errors import UserError
from core.explained_errors import network_fault
from core.input_shape import input_shape
from core.jobs import Progress, demand
from core.layers import layer_names, watched
from core.one_pass.forward_pass import model_on_device
from core.one_pass.machine import device_title
from core.places import content_of, path_of

ROUNDS = 11
WARM = 2  # rounds that do not count
SIDE = 512  # of the matrices whose product says how fast this device multiplies


def layer_times(model_id: str, dataset_id: str | None = None) -> pd.DataFrame:
    """One row a layer in the order of running: layer, seconds (median of a pass's, all its runs and
    what is inside it). attrs: seconds of the whole pass, rate (multiply-adds a second of a large
    matrix product here), device. May raise Working; UserError where the network cannot run.
    """
    key = _key(model_id, dataset_id)
    title = f"Timing {path_of(model_id).name}"
    return _table(demand(key, title, "passes", partial(store.read_json, key),
                         partial(_measure, key, model_id, dataset_id)))


def measured_times(model_id: str, dataset_id: str | None = None) -> pd.DataFrame | None:
    """What `layer_times` gives where it was measured before, else None: no work."""
    said = store.read_json(_key(model_id, dataset_id))
    return None if said is None else _table(said)


def _key(model_id: str, dataset_id: str | None) -> str:
    return store.key(times=content_of(model_id), model=model_id, device=device_title(),
                     shape=input_shape(model_id, dataset_id), code=store.code())


def _table(said: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(said["rows"], columns=["layer", "seconds"])
    table.attrs |= {name: said[name] for name in ("seconds", "rate", "device")}
    return table


def _measure(key: str, model_id: str, dataset_id: str | None, progress: Progress) -> None:
    model, shape = model_on_device(model_id), input_shape(model_id, dataset_id)
    if shape is None:
        raise UserError("The size of the input is not known, so nothing can be timed. Give height "
                        "and width in the sidebar, or choose data.")
    smallest, _ = getattr(model, "batch", (1, None))
    image = torch.zeros((smallest, *shape[1:]), dtype=float_type(model), device=device())
    rows, whole = timed(model, image, progress)
    store.write_json(key, {"rows": rows, "seconds": whole, "rate": _rate(),
                           "device": device_title()})


def timed(model: nn.Module, image: torch.Tensor,
          progress: Progress) -> tuple[list[tuple[str, float]], float]:
    """(layer, median seconds of its runs in a pass) in the order in which they finish, and the
    median of passes without any hooks."""
    rounds: dict[str, list[float]] = defaultdict(list)
    passes = []
    with network_fault(image):
        for number in range(WARM + ROUNDS):
            seconds = _one_pass(model, image)
            passes.append(_seconds(lambda: model(image), model))
            progress(number + 1, WARM + ROUNDS)
            if number >= WARM:
                for name, taken in seconds.items():
                    rounds[name].append(taken)
    rows = [(name, statistics.median(taken)) for name, taken in rounds.items()]
    return rows, statistics.median(passes[WARM:])


def _one_pass(model: nn.Module, image: torch.Tensor) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    begun: dict[str, list[float]] = defaultdict(list)

    def before(name: str) -> None:
        begun[name].append(_now())

    def after(name: str, *seen: Any) -> None:
        found[name] += _now() - begun[name].pop()

    with locked(model), torch.no_grad(), watched(model, layer_names(model), after, before):
        model(image)
    return found


def _seconds(work: Any, model: nn.Module) -> float:
    with locked(model), torch.no_grad():
        begin = _now()
        work()
        return _now() - begin


def _now() -> float:
    """The time when all that was asked of the device is done."""
    if device().type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()


def _rate() -> float:
    """Multiply-adds a second of a product of large matrices: as fast as this device gets."""
    left = torch.rand(SIDE, SIDE, device=device())
    taken = []
    for _ in range(WARM + 5):
        begin = _now()
        left @ left
        taken.append(_now() - begin)
    return SIDE**3 / max(min(taken), 1e-9)
