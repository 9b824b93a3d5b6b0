"""The set-up finder: whether a network is right more often with its pictures prepared otherwise.

A stratified sample is scored under the usual alternatives (core/setups/changes.py) and orders of
classes (core/setups/orders.py); the best is offered where it is clearly better
(core/setups/choice.py). Most alternatives are given up after a part of the sample.
"""

from dataclasses import asdict
from functools import partial

import numpy as np

from core import store
from core.cache import cached_result
from core.card import InputSpec
from core.errors import UserError
from core.inference import input_spec, log_probabilities, pass_key
from core.jobs import Progress, demand
from core.labels import UNKNOWN, Truth
from core.library import open_dataset
from core.model_facts import model_facts
from core.outcomes import truth
from core.places import path_of
from core.setups.changes import alternatives
from core.setups.choice import Tried, clearly_better, ranked
from core.setups.orders import (
    answers,
    can_be_suggested,
    cross_checked,
    orders,
    suggested,
    suggested_order,
)
from core.setups.records import Row, Search, from_json, offer_of
from core.setups.scores import Scores, pictures, sample
from core.setups.setup import SetUp

EXAMPLES = 256
STAGES = ((24, 24), (64, 8), (EXAMPLES, 8))  # examples seen so far, alternatives that stay
MOST_OUTPUTS = 10_000  # of which the answers of all set-ups are kept in memory
LISTED = 8


@cached_result
def share_right(model_id: str, dataset_id: str) -> float | None:
    """The share of the sample that is right as it is, from the pass; None without labels."""
    data = open_dataset(dataset_id)
    if data.labels is None or not len(rows := sample(data.labels, EXAMPLES)):
        return None
    known = truth(model_id, dataset_id)
    logs = log_probabilities(model_id, dataset_id)[rows]
    return float(answers(logs, known.labels[rows]).right.mean())


@cached_result
def share_met(model_id: str, dataset_id: str) -> float:
    """The share of labels that an output stands for: no set-up makes the others right."""
    labels = truth(model_id, dataset_id).labels
    return 0.0 if labels is None else float((labels != UNKNOWN).sum() / max(
        1, (open_dataset(dataset_id).labels != UNKNOWN).sum()))


@cached_result
def setup_search(model_id: str, dataset_id: str) -> Search:
    """The search, or what is kept of it. May raise Working; UserError if the data has no labels."""
    data = open_dataset(dataset_id)
    if share_right(model_id, dataset_id) is None:
        raise UserError(f"{data.title} has no labels, so no set-up can be told to be better. "
                        "Choose data with labels.")
    facts = model_facts(model_id)
    names = store.key(model=facts.card.class_names, data=data.class_names)
    key = pass_key(model_id, dataset_id, setups=store.code(), names=names)
    title = f"Trying other set-ups of {facts.card.title or path_of(model_id).name}"
    work = partial(_keep, key, model_id, dataset_id)
    return from_json(demand(key, title, "inputs", partial(store.read_json, key), work))


def _keep(key: str, model_id: str, dataset_id: str, progress: Progress) -> None:
    store.write_json(key, asdict(_searched(model_id, dataset_id, progress)))


def _searched(model_id: str, dataset_id: str, progress: Progress) -> Search:
    known, data = truth(model_id, dataset_id), open_dataset(dataset_id)
    spec, _ = input_spec(model_id, dataset_id)
    if len(known.class_names) > MOST_OUTPUTS:
        raise UserError(f"This network has {len(known.class_names):,} outputs; other set-ups are "
                        f"tried with at most {MOST_OUTPUTS:,}. Correct the model card by hand.")
    fits, rows, notes = pictures(dataset_id, spec, EXAMPLES, progress)
    setups = alternatives(spec, fits)
    labels = data.labels[rows]
    in_turn = np.random.default_rng(0).permutation(len(rows))
    scores = Scores(model_id, setups, fits, planned(len(setups), len(rows)), progress)
    chosen = np.arange(len(setups))
    for number, stay in STAGES:
        part = in_turn[:number]
        logs = scores.logs(chosen, part)
        if number < len(rows):
            chosen = chosen[_promising(logs, labels[part], known, stay)]
    part = in_turn[: STAGES[-1][0]]
    found, each = _tried([setups[i] for i in chosen], logs, labels[part], known, data.class_names)
    return _summed(found, len(setups) * each, spec, notes)


def planned(setups: int, examples: int) -> int:
    """How often the network is run in all stages."""
    runs, seen = 0, 0
    for number, stay in STAGES:
        runs += setups * (min(number, examples) - seen)
        seen, setups = min(number, examples), min(setups, stay) if number < examples else setups
    return runs


def _promising(logs: np.ndarray, labels: np.ndarray, known: Truth, stay: int) -> np.ndarray:
    """Positions of the alternatives (A, n, K) to go on with, the set-up as it is among them: half
    by right answers as labels and outputs meet now, half by those in the order they suggest."""
    now = known.output_of[labels]
    plain = [_standing(one, now) for one in logs]
    halves = [plain]
    if can_be_suggested(labels, known.output_of):
        halves.append([
            _standing(one, suggested(one, labels, known.output_of)[labels]) for one in logs
        ])
    kept: list[int] = [0]
    for turn in zip(*(sorted(range(len(logs)), key=half.__getitem__, reverse=True)
                      for half in halves), strict=True):
        kept += [one for one in dict.fromkeys(turn) if one not in kept]
    return np.sort(kept[:stay])


def _standing(logs: np.ndarray, output: np.ndarray) -> tuple[int, float]:
    found = answers(logs, output)
    return int(found.right.sum()), -float(found.loss.mean())


def _tried(setups: list[SetUp], logs: np.ndarray, labels: np.ndarray, known: Truth,
           data_names: tuple[str, ...]) -> tuple[list[Tried], int]:
    """Every set-up with every order of classes, the first as it is now; and the orders a set-up."""
    ways = orders(known, data_names)
    found = [Tried(setup, way, answers(one, way.output_of[labels]))
             for setup, one in zip(setups, logs, strict=True) for way in ways]
    guessing = can_be_suggested(labels, known.output_of)
    for setup, one in zip(setups, logs, strict=True) if guessing else ():
        way = suggested_order(one, labels, known, data_names)
        if not any((way.output_of == other.output_of).all() for other in ways):
            checked = cross_checked(one, labels, known.output_of)
            found.append(Tried(setup, way, checked, guessed=True))
    return found, len(ways) + guessing


def _summed(found: list[Tried], tried: int, spec: InputSpec, notes: list[str]) -> Search:
    now, best = found[0], ranked(found)
    others = [entry for entry in best if entry is not now]
    offer = None
    if best[0] is not now and clearly_better(best[0], now, tried):
        offer = offer_of(best[0], spec)
    return Search(
        len(now.answers.right), now.right, tried - 1, offer,
        tuple(Row(entry.words, entry.right) for entry in others[:LISTED]), tuple(notes),
    )
