"""The shape of one input of a network."""

from core.inference import input_spec
from core.library import open_outline

Shape = tuple[int, ...]


def input_shape(model_id: str, dataset_id: str | None = None) -> Shape | None:
    """(1, C, H, W) of the size that the model's card gives, else its data; None where none does."""
    spec = input_spec(model_id, dataset_id)[0] if dataset_id else open_outline(model_id).card.input
    known = (spec.channels, spec.height, spec.width)
    return None if None in known else (1, *known)


def shape_in_key(model_id: str, dataset_id: str | None) -> Shape | None:
    """What a key of a result needs of it beside the model's id, which says the card's: so that the
    model need not be opened."""
    return input_shape(model_id, dataset_id) if dataset_id else None
