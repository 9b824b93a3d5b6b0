"""Which architectures fit a file's tensors, and which of them the data speaks for.

What the tensors leave open (activation, pooling, padding, ...) is tried on a stratified sample.
"""

import json
from dataclasses import asdict, replace
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import store
from core.cache import cached_result
from core.card import Card
from core.jobs import Progress, demand
from core.library import open_dataset, open_model
from core.model_facts import model_facts
from core.places import content_of, path_of
from core.trials import Sample, Trial, trial

if TYPE_CHECKING:
    from core.architectures import Built, Tensors

ROUNDS = 3  # of trying what differs in one choice from what was clearly better so far
CLEAR = 3.0  # standard errors by which a proposal must be right more often to be offered


@cached_result
def choices(model_id: str) -> list[str]:
    """The architectures that fit the tensors, the opened one first; at most one where they leave
    no choice, none where the file itself says how it runs. May raise Working."""
    facts = model_facts(model_id)
    key = store.key(choices=model_id, code=store.code())
    found = demand(key, f"Comparing architectures for {path_of(model_id).name}", "",
                   partial(store.read_json, key), partial(_keep_choices, key, model_id), "files")
    return sorted(found, key=lambda name: name != facts.card.architecture)


def _keep_choices(key: str, model_id: str, progress: Progress) -> None:
    tensors, card = _tensors(model_id)
    store.write_json(key, list(_alternatives(tensors, card)) if tensors else [])


def _tensors(model_id: str) -> "tuple[Tensors, Card]":
    """The tensors whose architecture had to be found, and what was stated of them; no tensors
    where nothing had to be found."""
    from core.weight_files.state_dicts import stated_card
    from core.weight_files.weights_only import WeightsOnly

    loaded = open_model(model_id)
    stated = stated_card(loaded.module)
    if stated is None or isinstance(loaded.module, WeightsOnly):
        return {}, loaded.card
    return loaded.module.state_dict(), stated


def _alternatives(tensors: "Tensors", card: Card) -> "dict[str, Built]":
    from core.architectures.search import alternatives

    return {str(built.card.architecture): built for built in alternatives(tensors, card)}


@cached_result
def proposals(model_id: str, dataset_id: str | None) -> pd.DataFrame:
    """One row an architecture that fits, the opened one first, the others best first.

    proposal: its name. differs: from the opened one. accuracy (0 to 1), loss (mean cross-entropy,
    nats): on `examples` examples; missing without labels, and where `fault` says why it does not
    run. opened: whether it is the one. clearly_better: right more often than the opened one, by
    more than three standard errors. offered: of those, the likeliest that is about as right as
    the best. May raise Working.
    """
    names = choices(model_id)
    if len(names) > 1 and dataset_id is not None and open_dataset(dataset_id).labels is not None:
        return _ranked(_scores(model_id, dataset_id), names[0])
    unscored = [{"proposal": name} | asdict(Trial()) for name in names]
    return _ranked(unscored, names[0] if names else "")


def _ranked(rows: list[dict[str, Any]], opened: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["proposal", "right", "loss", "fault"])
    right = {row["proposal"]: row["right"] for row in rows}
    table["loss"] = table["loss"].astype(float)
    table["accuracy"] = [np.nan if one is None else np.mean(one) for one in table["right"]]
    table["examples"] = [0 if one is None else len(one) for one in table["right"]]
    table["opened"] = table["proposal"] == opened
    table["differs"] = [what_differs(name, opened) for name in table["proposal"]]
    table["clearly_better"] = [
        clearly_better(one, right.get(opened)) for one in table["right"]]
    table["offered"] = table["proposal"] == _offered(table)
    ranked = table.sort_values(["opened", "accuracy", "loss"], ascending=[False, False, True],
                               kind="stable", ignore_index=True)
    return ranked[["proposal", "differs", "accuracy", "loss", "examples", "opened",
                   "clearly_better", "offered", "fault"]]


def _offered(table: pd.DataFrame) -> str | None:
    better = table[table["clearly_better"].astype(bool)]
    best = better["right"].iloc[int(better["accuracy"].argmax())] if len(better) else None
    return next((name for name, right in zip(better["proposal"], better["right"], strict=True)
                 if not clearly_better(best, right, errors=1.0)), None)


def clearly_better(right: list[bool] | None, than: list[bool] | None,
                   errors: float = CLEAR) -> bool:
    """Whether a network is right more often than another on the same examples, by more than some
    standard errors: McNemar's statistic, over those on which only one of the two is right."""
    if right is None or than is None:
        return False
    gained = int(np.sum(np.array(right) & ~np.array(than)))
    lost = int(np.sum(~np.array(right) & np.array(than)))
    return bool(gained - lost > errors * np.sqrt(gained + lost))


def what_differs(name: str, opened: str) -> str:
    """The words in brackets of a name that the opened one's lack, and what it lacks of theirs."""
    (kind, mine), (other, its) = _words(name), _words(opened)
    if kind != other:
        return name
    said = []
    for _, start, end, from_, to in SequenceMatcher(None, its, mine).get_opcodes():
        if its[start:end] != mine[from_:to]:
            instead = mine[from_:to]
            said += [*instead, *(f"without {word}" for word in its[start + len(instead):end])]
    return ", ".join(said)


def _words(name: str) -> tuple[str, list[str]]:
    kind, _, inside = name.removesuffix(")").partition(" (")
    return kind, [word for word in inside.split(", ") if word]


def _scores(model_id: str, dataset_id: str) -> list[dict[str, Any]]:
    card = model_facts(model_id).card
    key = store.key(proposals=content_of(model_id), data=content_of(dataset_id), code=store.code(),
                    card=json.dumps(card.to_json(), sort_keys=True))
    title = f"Trying architectures on {open_dataset(dataset_id).title}"
    return demand(key, title, "architectures", partial(store.read_json, key),
                  partial(_keep_scores, key, model_id, dataset_id))


def _keep_scores(key: str, model_id: str, dataset_id: str, progress: Progress) -> None:
    """Scores what differs from the opened network in one choice, then from what is clearly
    better, and so on."""
    tensors, card = _tensors(model_id)
    sample = Sample(open_dataset(dataset_id))
    tried: dict[str, dict[str, Any]] = {}
    centre = open_model(model_id).card.architecture
    for _ in range(ROUNDS):
        around = _alternatives(tensors, replace(card, architecture=centre))
        new = {name: built for name, built in around.items() if name not in tried}
        for name, built in new.items():
            progress(len(tried), len(tried.keys() | around.keys()))
            tried[name] = {"proposal": name} | asdict(trial(built, tensors, sample))
        best = max(tried, key=lambda name: sum(tried[name]["right"] or ()))
        if centre in tried and not clearly_better(tried[best]["right"], tried[centre]["right"]):
            break
        centre = best
    store.write_json(key, list(tried.values()))
