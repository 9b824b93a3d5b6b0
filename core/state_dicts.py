"""From what a checkpoint holds to a network: finds the weights, then the family they belong to."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from core.architectures import Built
from core.card import Card
from core.errors import UserError
from core.limits import UPLOADED
from core.model_formats import LoadedModel
from core.plugins import discover
from core.text_of_files import shown
from core.weights_only import WeightsOnly

PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "model.",
            "network.", "net.", "backbone.", "encoder.")
WRAPPERS_INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.")
AVERAGED = "n_averaged"  # torch.optim.swa_utils.AveragedModel's count

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Found:
    """A family's network for tensors under the names it gives them."""

    family: str
    built: Built
    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = field(default=())


def model_of(tensors: Tensors, card: Card, name: str, forget: Callable[[], None]) -> LoadedModel:
    """The network that the tensors belong to, or the tensors alone; `name` is the file's.

    forget: gives back the memory of pages of the file that were only read. Raises UserError.
    """
    notes = _odd(tensors, name, forget)
    found = _families(tensors, card)
    if not found:
        return LoadedModel(WeightsOnly(tensors, name), card, (*notes, _unknown_architecture(card)))
    best = found[0]
    others = [other.built.card.architecture or other.family for other in found[1:]]
    if others:
        notes.append(f"Other architectures fit these tensors too: {', '.join(map(str, others))}. "
                     'A card with "architecture" chooses.')
    weights, converted = _one_float_type(best.tensors)
    module = assigned(best.built.module, weights)
    notes += [*best.notes, *converted, *best.built.notes]
    return LoadedModel(module, best.built.card, tuple(notes))


def assigned(module: nn.Module, tensors: Tensors) -> nn.Module:
    """The meta-device module with these tensors as its weights, not copied; eval mode, frozen."""
    weights = OrderedDict(tensors)
    weights._metadata = module.state_dict()._metadata  # MNASNet asks for the version of its layout
    module.load_state_dict(weights, strict=True, assign=True)
    for name, buffer in module.named_buffers():
        if buffer.is_meta:
            raise RuntimeError(f"{type(module).__name__} was built without values for {name}")
    return module.eval().requires_grad_(False)


def _families(tensors: Tensors, card: Card) -> list[Found]:
    """Every family that builds these tensors, exact ones first, under the first spelling of the
    names that any of them knows."""
    families = discover("core.architectures", "FAMILY").values()
    for spelled, notes in _spellings(tensors):
        built = [Found(family.title, network, spelled, notes) for family in families
                 if (network := family.build(spelled, card)) is not None]
        if built:
            wanted = card.architecture
            return sorted(built, key=lambda found: (
                wanted not in (found.family, found.built.card.architecture), not found.built.exact))
    return []


def _spellings(tensors: Tensors) -> list[tuple[dict[str, torch.Tensor], tuple[str, ...]]]:
    """The tensors under their names, and with ever more of the usual prefixes taken off."""
    names = {key: _without_wrappers(key) for key in tensors if key != AVERAGED}
    notes = tuple(f"Wrapper prefix '{part}' taken off the names." for part in WRAPPERS_INSIDE
                  if any(part in key for key in tensors))
    if AVERAGED in tensors:
        notes += ("Averaged weights (torch.optim.swa_utils).",)
    spellings = []
    while True:
        spelled = {new: tensors[old] for old, new in names.items()}
        spellings.append(_with_batch_counts(spelled, notes))
        prefix = next((prefix for prefix in PREFIXES
                       if all(name.startswith(prefix) for name in names.values())), None)
        if prefix is None or not names:
            return spellings
        names = {old: new.removeprefix(prefix) for old, new in names.items()}
        notes += (f"Prefix '{prefix}' taken off every name.",)


def _without_wrappers(name: str) -> str:
    for part in WRAPPERS_INSIDE:
        name = name.replace(part, "")
    return name


def _with_batch_counts(tensors: dict[str, torch.Tensor],
                       notes: tuple[str, ...]) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Adds num_batches_tracked, which torch before 0.4.1 did not save, and which changes nothing
    in eval mode."""
    norms = [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]
    lacking = [norm for norm in norms if f"{norm}num_batches_tracked" not in tensors]
    if not lacking:
        return tensors, notes
    counts = {f"{norm}num_batches_tracked": torch.tensor(0) for norm in lacking}
    return tensors | counts, (*notes, f"{len(lacking)} batch norms lack num_batches_tracked, "
                                      "as before torch 0.4.1; taken as 0.")


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
        if not is_finite(tensor):
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


def _unknown_architecture(card: Card) -> str:
    wish = f" ({shown(card.architecture)} was asked for)" if card.architecture else ""
    return (f"Weights only: the tensors fit no known architecture{wish}, so nothing can be "
            'predicted. Name it in a card ("architecture"), or export the network itself: '
            "torch.export.save(torch.export.export(model, (example,)), 'model.pt2').")

