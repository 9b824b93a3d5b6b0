"""Networks whose last layer stands beside them, under a name of its own, in one module."""

import re
from dataclasses import replace

from core.architectures.near_misses import NearMiss
from core.architectures.search import TOLD_BY_NAMES, Found, found_among
from core.architectures.spellings import Spelling
from core.card import Card
from core.files.text_of_files import shown

# What people call such a layer.
HEAD = re.compile(r"(cls|classif|head|fc|linear|logit|out|final|last|pred|top)\w*")
SAID = ("Taken for {} with {} as its last layer, which stands beside it in the file: what runs "
        "between them is not told, and nothing but dropout is taken to.")


def with_head_beside(miss: NearMiss, spelling: Spelling, card: Card) -> list[Found]:
    """The near miss with the layers beside it in place of the head that it lacks, if they fit."""
    tensors, notes = spelling
    beside = {name.partition(".")[0] for name in miss.extra}
    place = miss.last.partition(".")[0]
    if miss.opens and not miss.extra:  # under the very name of its own
        beside = {place}
    lacking = {name.partition(".")[0] for name in miss.missing}
    if len(beside) != 1 or not lacking <= {place} or not HEAD.fullmatch(head := beside.pop()):
        return []
    named = {re.sub(rf"^{head}\.", f"{place}.", name): tensor for name, tensor in tensors.items()}
    if len(named) < len(tensors):
        return []
    found = found_among(named, notes, card, TOLD_BY_NAMES)[:1]
    return [replace(one, built=replace(one.built, exact=False, notes=(
        SAID.format(miss.name, shown(f"{head}.*")), *one.built.notes))) for one in found]
