"""Architecture: every layer of a network, its shapes, its parameters and what it costs.

What was measured once is kept on disk and shown again without opening the model, or torch.
"""

from typing import Any

import pandas as pd

from core import store
from core.cache import cached_result
from core.errors import UserError
from core.input_shape import input_shape, shape_in_key
from core.library import open_outline
from core.measures.architecture_record import UNKNOWN_SIZE, Architecture, Peak
from core.measures.kept_tables import as_json, table_of
from core.trusted_code import kept


@cached_result
def architecture(model_id: str, dataset_id: str | None = None) -> Architecture:
    """The network behind an id, for an input of the size that its card gives, else its data."""
    said = kept(_key("architecture", model_id, dataset_id),
                lambda: _measured(model_id, dataset_id), _is_whole)
    tuples = {name: cell if cell is None else tuple(cell) for name, cell in said.items()
              if name in ("notes", "input_shape", "output_shape")}
    return Architecture(**said | tuples | {"table": table_of(said["table"])})


@cached_result
def receptive_fields(model_id: str, dataset_id: str | None = None) -> pd.DataFrame:
    """What core.measures.receptive_field.fields_table says of the network behind an id; empty where
    it cannot be run."""
    return table_of(kept(_key("receptive fields", model_id, dataset_id),
                         lambda: _fields(model_id, dataset_id), _has_rows))


@cached_result
def peak_memory(model_id: str, dataset_id: str | None, batch: int) -> Peak:
    """What of a batch must be in memory at once. Raises UserError where the network cannot run."""
    found = architecture(model_id, dataset_id)
    known = found.totals.get("peak_activation_bytes")
    if batch == 1 and known is not None:
        return Peak(known, batch)
    if found.input_shape is None:
        raise UserError(UNKNOWN_SIZE)
    from core.measures.dry_run import peak

    return peak(open_outline(model_id).module, found.input_shape, batch)


def _key(what: str, model_id: str, dataset_id: str | None) -> str:
    return store.key(what=what, model=model_id, shape=shape_in_key(model_id, dataset_id),
                     code=store.code())


def _is_whole(said: dict[str, Any]) -> bool:
    """Whether the network ran, or there is none: why it did not may pass, as a lack of memory."""
    return not said["is_network"] or "multiply_adds" in said["totals"]


def _has_rows(said: dict[str, Any]) -> bool:
    return bool(said["columns"]["layer"])


def _measured(model_id: str, dataset_id: str | None) -> dict[str, Any]:
    from core.measures.architecture_of import architecture_of

    shape = input_shape(model_id, dataset_id)
    found = architecture_of(open_outline(model_id).module, shape)
    return vars(found) | {"table": as_json(found.table)}


def _fields(model_id: str, dataset_id: str | None) -> dict[str, Any]:
    from core.measures.receptive_field import fields_of, fields_table
    from core.weight_files.weights_only import WeightsOnly

    model, shape = open_outline(model_id).module, input_shape(model_id, dataset_id)
    known = shape is not None and not isinstance(model, WeightsOnly)
    return as_json(fields_table(fields_of(model, shape) if known else {}))
