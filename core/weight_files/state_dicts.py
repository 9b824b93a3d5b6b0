"""From what a checkpoint holds to a network: finds the weights, then the family they belong to."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import nn

from core.architectures import Tensors
from core.architectures.headless import near_without_head, without_head
from core.architectures.near_misses import NearMiss
from core.architectures.search import Found, advice, nearly, networks
from core.architectures.spellings import Spelling, spellings
from core.card import Card
from core.errors import UserError
from core.files.file_map import outlined
from core.files.limits import UPLOADED
from core.files.text_of_files import shown
from core.model_formats import LoadedModel
from core.trusted_code import names_code, network_of_code, not_trusted, trusted
from core.weight_files.weights_only import WeightsOnly

MOST_COMPARED = 10_000  # tensors; the largest networks that a family knows have about 3,000

_stated: WeakKeyDictionary[nn.Module, Card] = WeakKeyDictionary()


def model_of(tensors: Tensors, card: Card, name: str, forget: Callable[[], None]) -> LoadedModel:
    """The network that the tensors belong to, or the tensors alone; `name` is the file's.

    forget: gives back the memory of pages of the file that were only read. Raises UserError.
    """
    notes = _odd(tensors, name, forget)
    if names_code(card.architecture):
        if trusted():
            module, said = network_of_code(card.architecture, spellings(tensors), name)
            return LoadedModel(module, card, (*notes, *said))
        notes.append(not_trusted(card.architecture))
    found, near, comparable = [], [], len(tensors) <= MOST_COMPARED
    if comparable and not ((found := networks(tensors, card)) and found[0].by_names):
        near, spelling = nearly(tensors, card)
        found = _without_extras(near, spelling, card) or near_without_head(near, spelling, card) \
            or found or without_head(tensors, card)
    if found:
        loaded = _network(found, card, notes)
        if found[0].built.renamed:  # its tensors under these names are no longer the file's
            return loaded
    else:
        notes += [_unknown_architecture(card, comparable),
                  *(advice(tensors, card) if comparable else []), *_near_notes(near)]
        loaded = LoadedModel(WeightsOnly(tensors, name), card, tuple(notes))
    _stated[loaded.module] = card
    return loaded


def stated_card(module: nn.Module) -> Card | None:
    """What was stated of a network before its tensors told more; None where they did not tell what
    it is."""
    return _stated.get(module)


def _network(found: list[Found], card: Card, notes: list[str]) -> LoadedModel:
    best = found[0]
    others = [other.built.card.architecture or other.family for other in found[1:]]
    if others:
        notes.append(f"Other architectures fit these tensors too: {', '.join(map(str, others))}. "
                     'A card with "architecture" chooses.')
    weights, converted = _one_float_type(best.tensors)
    module = assigned(best.built.module, weights)
    notes += [*best.notes, *converted, *best.built.notes]
    return LoadedModel(module, best.built.card, tuple(notes))


def _without_extras(near: list[NearMiss], spelling: Spelling, card: Card) -> list[Found]:
    """The near miss that the card names, where it is whole once other tensors are left out."""
    spelled, notes = spelling
    for miss in near:
        if miss.opens and miss.name == card.architecture:
            kept = {key: tensor for key, tensor in spelled.items() if key not in miss.extra}
            said = (f"Left out, since {miss.name} has no place for them: {miss.extra_names()}.",)
            return [replace(found, notes=(*notes, *said, *found.notes))
                    for found in networks(kept, card)]
    return []


def _near_notes(near: list[NearMiss]) -> list[str]:
    """Near misses as sentences of the loading report."""
    return [f"Near miss: {miss.name} agrees in {miss.agreement:.1%} of names and shapes; "
            f"{miss.differences()}." for miss in near] + [
        f'With "architecture": "{miss.name}" in a card, the file opens as {miss.name} without what '
        "has no place in it." for miss in near if miss.opens][:1]


def assigned(module: nn.Module, tensors: Tensors) -> nn.Module:
    """The meta-device module with these tensors as its weights, not copied; eval mode, frozen."""
    weights = OrderedDict(tensors)
    weights._metadata = module.state_dict()._metadata  # MNASNet asks for the version of its layout
    module.load_state_dict(weights, strict=True, assign=True)
    for name, parameter in module.named_parameters():
        if (said := getattr(tensors.get(name), "said_trainable", None)) is not None:
            parameter.said_trainable = said
    for name, buffer in module.named_buffers():
        if buffer.is_meta:
            raise RuntimeError(f"{type(module).__name__} was built without values for {name}")
    return module.eval().requires_grad_(False)


def _one_float_type(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Weights in one floating type that a CPU computes in: float32, or float64 where all are."""
    kinds = {t.dtype for t in tensors.values() if t.is_floating_point()}
    if kinds <= {torch.float32} or kinds == {torch.float64}:
        return tensors, []
    whole = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    said = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32}))
    return whole, [f"Weights stored as {said} are computed with as float32."]


def _odd(tensors: Tensors, name: str, forget: Callable[[], None]) -> list[str]:
    """Notes on what is unusual in the tensors themselves."""
    notes = []
    if not tensors:
        raise UserError(f"{name}: the file was read but holds no tensor, so there are no weights "
                        "to show. Save a state dict: torch.save(model.state_dict(), 'weights.pt').")
    if len(tensors) > UPLOADED.tensors:
        notes.append(f"The file holds {len(tensors):,} tensors, unusually many: lists and charts "
                     "of all of them are slow.")
    bad = []
    for key, tensor in tensors.items():
        if not outlined() and not is_finite(tensor):
            bad.append(key)
        if tensor.nbytes > 1 << 20:
            forget()
    if bad:
        notes.append(f"Not finite (NaN or infinity) in {len(bad)} tensors: "
                     f"{', '.join(shown(key) for key in bad[:5])}. Outputs may not be numbers.")
    return notes


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether every number is: their sum tells, and only a sum that is not is looked into."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.is_meta:
        return True
    wide = tensor.float() if tensor.dtype.itemsize == 1 else tensor
    total = wide.sum(dtype=torch.float32 if wide.dtype.itemsize == 2 else None)
    return bool(torch.isfinite(total)) or bool(torch.isfinite(wide).all())


def _unknown_architecture(card: Card, compared: bool) -> str:
    why = "the tensors fit no known architecture" if compared else \
        f"more than {MOST_COMPARED:,} tensors are compared with no known architecture"
    wish = f" ({shown(card.architecture)} was asked for)" if card.architecture else ""
    return (f"Weights only: {why}{wish}, so nothing can be predicted. "
            'Name it in a card ("architecture"), or export the network itself: pages that need it '
            "give the lines to copy.")

