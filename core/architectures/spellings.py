"""The spellings of tensors' names: prefixes that wrappers and training loops put before them."""

import torch

from core.architectures import Tensors

PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "model.",
            "network.", "net.", "backbone.", "encoder.")
WRAPPERS_INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.")
AVERAGED = "n_averaged"  # torch.optim.swa_utils.AveragedModel's count
MOST = 0.8  # share of the names with a prefix from which the others do not belong to the network

Notes = tuple[str, ...]
Spelling = tuple[dict[str, torch.Tensor], Notes]  # the tensors, and what was done to their names


def spellings(tensors: Tensors) -> list[Spelling]:
    """The tensors under their names, and with ever more of the usual prefixes taken off."""
    names = {key: _without_wrappers(key) for key in tensors if key != AVERAGED}
    notes = tuple(f"Wrapper prefix '{part}' taken off the names." for part in WRAPPERS_INSIDE
                  if any(part in key for key in tensors))
    if AVERAGED in tensors:
        notes += ("Averaged weights (torch.optim.swa_utils).",)
    found = []
    while True:
        spelled = {new: tensors[old] for old, new in names.items()}
        found.append(_with_batch_counts(spelled, notes))
        prefix = next((prefix for prefix in PREFIXES
                       if all(name.startswith(prefix) for name in names.values())), None)
        if prefix is None or not names:
            return found
        names = {old: new.removeprefix(prefix) for old, new in names.items()}
        notes += (f"Prefix '{prefix}' taken off every name.",)


def loose_spellings(tensors: Tensors) -> list[Spelling]:
    """The same, and prefixes taken off where only most of the names have them."""
    found = spellings(tensors)
    spelled, notes = found[-1]
    for prefix in PREFIXES:
        inside = [name for name in spelled if name.startswith(prefix)]
        if len(inside) >= MOST * len(spelled) and inside:
            shorter = {name.removeprefix(prefix): tensor for name, tensor in spelled.items()}
            if len(shorter) == len(spelled):
                said = f"Prefix '{prefix}' taken off {len(inside)} of {len(spelled)} names."
                found.append((shorter, (*notes, said)))
    return found


def _without_wrappers(name: str) -> str:
    for part in WRAPPERS_INSIDE:
        name = name.replace(part, "")
    return name


def _with_batch_counts(tensors: dict[str, torch.Tensor], notes: Notes) -> Spelling:
    """Adds num_batches_tracked, which torch before 0.4.1 did not save, and which changes nothing
    in eval mode."""
    norms = [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]
    lacking = [norm for norm in norms if f"{norm}num_batches_tracked" not in tensors]
    if not lacking:
        return tensors, notes
    counts = {f"{norm}num_batches_tracked": torch.tensor(0) for norm in lacking}
    return tensors | counts, (*notes, f"{len(lacking)} batch norms lack num_batches_tracked, "
                                      "as before torch 0.4.1; taken as 0.")
