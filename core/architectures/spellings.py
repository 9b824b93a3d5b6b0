"""The spellings of tensors' names: prefixes that wrappers and training loops put before them."""

import re
from collections import Counter

import torch

from core.architectures import Tensors
from core.files.text_of_files import shown

PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "model.",
            "network.", "net.", "backbone.", "encoder.")
WRAPPERS_INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.")
AVERAGED = "n_averaged"  # torch.optim.swa_utils.AveragedModel's count
# What training loops keep beside the network: the weights of a loss, the counts of a metric, the
# running average of the very same network.
OF_TRAINING = re.compile(
    r"(criterion|crit|loss|\w*_loss|loss_\w+|metrics?|\w+_metrics?|confusion_matrix"
    r"|((train|val|valid|validation|test)_)?(acc|accuracy|auroc|f1|precision|recall)(_score)?)\d*\.")
AVERAGES = ("ema_model.", "model_ema.", "ema.", "averaged_model.", "swa_model.")
# Prefixes that say what kind of network it is, which the names without them would not.
NO_CLASSIFIER = re.compile(
    r"(decod|gener|net_?[gd]\d?\.|[gd]\.|discr|critic|actor|polic|embed|vae|auto_?enc|lstm|gru|rnn|unet"
    r"|up\d*\.|deconv|q_?net)", re.IGNORECASE)
OF_RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
BEHIND = ("9", "10", "11")
MOST = 0.8  # share of the names with a prefix from which the others do not belong to the network

Notes = tuple[str, ...]
Spelling = tuple[dict[str, torch.Tensor], Notes]  # the tensors, and what was done to their names


def spellings(tensors: Tensors) -> list[Spelling]:
    """The tensors under their names, and with ever more of the usual prefixes taken off; first all
    of them, then, where there are others, those of the network alone."""
    found = _with_prefixes(tensors, ())
    kept, notes = _of_the_network(tensors)
    return [*found, *_with_prefixes(kept, notes)] if notes and kept else found


def _of_the_network(tensors: Tensors) -> tuple[Tensors, Notes]:
    """Without what belongs to training; notes on what was left out."""
    extra = [key for key in tensors if OF_TRAINING.match(_without_wrappers(key))]
    kept = {key: tensor for key, tensor in tensors.items() if key not in set(extra)}
    notes = (f"Left out, since a loss or a metric of training keeps them: {_few(extra)}.",) \
        if extra else ()
    for prefix in AVERAGES:
        inside = {key: tensor for key, tensor in kept.items() if key.startswith(prefix)}
        others = {key: tensor for key, tensor in kept.items() if key not in inside}
        if inside and _ends(inside) == _ends(others):
            kept = others
            notes += (f"Not used: the averaged copy of the network under {shown(prefix)}; the "
                      "weights beside it were taken.",)
    return kept, notes


def _ends(tensors: Tensors) -> set[tuple[str, torch.Size]]:
    """Names without wrappers' prefixes, and shapes: equal for two copies of one network."""
    names = {key: _without_wrappers(key) for key in tensors if not key.endswith(AVERAGED)}
    while prefix := next((p for p in (*PREFIXES, *AVERAGES)
                          if names and all(n.startswith(p) for n in names.values())), None):
        names = {key: name.removeprefix(prefix) for key, name in names.items()}
    return {(name, tensors[key].shape) for key, name in names.items()}


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more


def _with_prefixes(tensors: Tensors, notes: Notes) -> list[Spelling]:
    names = {key: _without_wrappers(key) for key in tensors if key != AVERAGED}
    notes += tuple(f"Wrapper prefix '{part}' taken off the names." for part in WRAPPERS_INSIDE
                  if any(part in key for key in tensors))
    if AVERAGED in tensors:
        notes += ("Averaged weights (torch.optim.swa_utils).",)
    found = []
    while True:
        spelled = {new: tensors[old] for old, new in names.items()}
        found.append(_with_batch_counts(spelled, notes))
        if not (prefix := _prefix_of_all(list(names.values()))):
            return found
        names = {old: new.removeprefix(prefix) for old, new in names.items()}
        notes += (f"Prefix {shown(prefix)} taken off every name.",)


def _prefix_of_all(names: list[str]) -> str:
    """What stands before every name: a usual prefix, or any where whole layers stand behind it
    and it does not say that they are no classifier; empty where nothing does."""
    first = f"{names[0].partition('.')[0]}." if names else ""
    usual = first in PREFIXES
    fewest = 1 if usual else 2  # parts behind it
    every = first and all(n.startswith(first) and n.count(".") >= fewest for n in names)
    return first if every and (usual or not NO_CLASSIFIER.match(first)) else ""


def loose_spellings(tensors: Tensors) -> list[Spelling]:
    """The same, prefixes taken off where only most of the names have them, and the names of a
    ResNet that was taken apart."""
    found = spellings(tensors)
    spelled, notes = found[-1]
    first = Counter(f"{name.partition('.')[0]}." for name in spelled).most_common(1)
    for prefix in dict.fromkeys((*PREFIXES, *(part for part, _ in first))):
        inside = [name for name in spelled if name.startswith(prefix)]
        if len(inside) >= MOST * len(spelled) and inside and not (
                prefix not in PREFIXES and NO_CLASSIFIER.match(prefix)):
            shorter = {name.removeprefix(prefix): tensor for name, tensor in spelled.items()}
            if len(shorter) == len(spelled):
                said = f"Prefix {shown(prefix)} taken off {len(inside)} of {len(spelled)} names."
                found.append((shorter, (*notes, said)))
    return [*found, *(named for one in found if (named := _with_names_of_resnets(*one)))]


def _with_names_of_resnets(tensors: dict[str, torch.Tensor], notes: Notes) -> Spelling | None:
    """As torchvision has them, where a ResNet's parts were put in a row without their names, as
    nn.Sequential(*network.children()) does; None elsewhere."""
    parts = {name: name.partition(".") for name in tensors}
    if not {"0.weight", "1.running_mean", *(f"{part}.0.conv1.weight" for part in range(4, 8))} \
            <= tensors.keys():
        return None
    named = {f"{_part_of_resnet(first)}.{rest}": tensors[name]
             for name, (first, _, rest) in parts.items()}
    said = "Parts of a ResNet that are only counted are shown under torchvision's names."
    return (named, (*notes, said)) if len(named) == len(tensors) else None


def _part_of_resnet(part: str) -> str:
    """The name of a part that is counted: its last layer is behind pooling."""
    return OF_RESNET.get(part, "fc" if part in BEHIND else part)


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
