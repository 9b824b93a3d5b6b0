"""How long each layer takes on this device: measured, and estimated from its multiply-adds."""

from functools import partial
from typing import Any

import pandas as pd

from core import store
from core.errors import UserError
from core.input_shape import input_shape, shape_in_key
from core.jobs import Progress, demand
from core.one_pass.machine import device_title
from core.places import content_of, path_of


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
                     shape=shape_in_key(model_id, dataset_id), code=store.code())


def _table(said: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(said["rows"], columns=["layer", "seconds"])
    table.attrs |= {name: said[name] for name in ("seconds", "rate", "device")}
    return table


def _measure(key: str, model_id: str, dataset_id: str | None, progress: Progress) -> None:
    from core.measures.timing import image_of_zeros, rate, timed
    from core.one_pass.forward_pass import model_on_device

    model, shape = model_on_device(model_id), input_shape(model_id, dataset_id)
    if shape is None:
        raise UserError("The size of the input is not known, so nothing can be timed. Give height "
                        "and width in the sidebar, or choose data.")
    rows, whole = timed(model, image_of_zeros(model, shape), progress)
    store.write_json(key, {"rows": rows, "seconds": whole, "rate": rate(),
                           "device": device_title()})
