"""Overview: how good the model is on this data, and what to look at first."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.card import in_words
from core.errors import UserError
from core.inference import SMALLEST, input_spec, log_probabilities
from core.library import open_dataset
from core.model_facts import model_facts
from core.outcomes import outcomes, scored, truth
from core.output_check import doubt

SURE = 0.95  # confidence from which a wrong answer is worth a look: the label may be what is wrong
MANY = 0.2  # of the sure answers, from which on labels are no likely reason: wrong ones are fewer
LISTED = 200  # of what was left out
CONFUSED = 3  # examples from which a pair of classes counts as confused


@dataclass(frozen=True)
class Summary:
    """One model on one data set. accuracy: 0 to 1; mean_loss: cross-entropy in nats.

    Over the `scored` examples that have a label an output stands for and a readable picture.
    """

    examples: int
    scored: int
    right: int
    mean_loss: float

    @property
    def accuracy(self) -> float:
        return self.right / self.scored


@dataclass(frozen=True)
class Finding:
    """Something worth a look: a title, one sentence, and its examples, worst first."""

    title: str
    reason: str
    examples: tuple[int, ...]


def summary(model_id: str, dataset_id: str) -> Summary:
    """Accuracy and mean loss. Raises UserError if the data has no labels."""
    table = scored(model_id, dataset_id)
    return Summary(
        len(open_dataset(dataset_id)),
        len(table),
        int(table["correct"].sum()),
        float(table["loss"].mean()),
    )


@cached_result
def by_class(model_id: str, dataset_id: str) -> pd.DataFrame:
    """One row a class, worst first: class, examples, right, accuracy (recall, 0 to 1)."""
    groups = scored(model_id, dataset_id).groupby("label", observed=True)["correct"]
    table = groups.agg(examples="size", right="sum").astype(int).rename_axis("class").reset_index()
    table["class"] = table["class"].astype(str)
    table["accuracy"] = table["right"] / table["examples"]
    return table.sort_values(["accuracy", "class"]).reset_index(drop=True)


@cached_result
def confused_pairs(model_id: str, dataset_id: str) -> pd.DataFrame:
    """Wrong answers by label and prediction, most frequent first: label, prediction, examples,
    share of the label's examples."""
    table = scored(model_id, dataset_id)
    totals = table["label"].value_counts()
    wrong = table[~table["correct"]].astype({"label": str, "prediction": str})
    pairs = wrong.groupby(["label", "prediction"]).size().rename("examples").reset_index()
    pairs["share"] = pairs["examples"] / pairs["label"].map(totals).astype(int)
    return pairs.sort_values(["examples", "label"], ascending=[False, True]).reset_index(drop=True)


@cached_result
def findings(model_id: str, dataset_id: str) -> list[Finding]:
    """What to look at first; empty where nothing stands out."""
    table, found = scored(model_id, dataset_id), []
    wrong = table[~table["correct"]]
    sure = wrong[wrong["confidence"] >= SURE].sort_values("loss", ascending=False)
    if len(sure):
        why, share = ": the label may be wrong.", len(sure) / (table["confidence"] >= SURE).sum()
        if share > MANY:
            why = (
                f", as with {100 * share:.0f} % of its sure answers. So many labels are hardly "
                "wrong: the classes, or how pictures enter the network, may not be those it was "
                "trained with."
            )
        found.append(
            Finding(
                f"Wrong and sure of it: {len(sure):,}",
                f"At least {100 * SURE:.0f} % sure, and the label says otherwise{why}",
                tuple(sure["example"]),
            )
        )
    for label, prediction, number, share in (
        confused_pairs(model_id, dataset_id).head(2).itertuples(index=False)
    ):
        if number >= CONFUSED:
            pair = wrong[(wrong["label"] == label) & (wrong["prediction"] == prediction)]
            found.append(
                Finding(
                    f"{label} is taken for {prediction}",
                    f"{number:,} times, {100 * share:.1f} % of the examples of {label}.",
                    tuple(pair.sort_values("loss", ascending=False)["example"]),
                )
            )
    unsure = table.nsmallest(24, "confidence")
    if len(table) >= 100:
        found.append(
            Finding(
                "The least sure answers",
                "Where the network hesitates most, right or wrong.",
                tuple(unsure["example"]),
            )
        )
    return found


@cached_result
def class_counts(dataset_id: str) -> pd.DataFrame:
    """How many examples the data has of each class, most first: class, examples, share (0 to 1) of
    those with a label. Classes without an example are left out, as are data without labels."""
    data = open_dataset(dataset_id)
    known = data.labels[data.labels >= 0] if data.labels is not None else np.array([], int)
    times = np.bincount(known, minlength=len(data.class_names))
    names = [*data.class_names, *(str(i) for i in range(len(data.class_names), len(times)))]
    table = pd.DataFrame({"class": names, "examples": times, "share": times / max(1, len(known))})
    table = table[table["examples"] > 0]
    return table.sort_values("examples", ascending=False, kind="stable", ignore_index=True)


@cached_result
def predicted_classes(model_id: str, dataset_id: str) -> pd.DataFrame:
    """How often each class is predicted, most often first: class, examples, share (0 to 1) of those
    that have a prediction, confidence (their mean, 0 to 1). Needs no labels."""
    groups = outcomes(model_id, dataset_id).groupby("prediction", observed=True)["confidence"]
    table = groups.agg(examples="size", confidence="mean").rename_axis("class").reset_index()
    table["class"] = table["class"].astype(str)
    table.insert(2, "share", table["examples"] / table["examples"].sum())
    return table.sort_values(["examples", "class"], ascending=[False, True], ignore_index=True)


@cached_result
def least_sure(model_id: str, dataset_id: str, limit: int) -> pd.DataFrame:
    """The `limit` examples of the lowest confidence, lowest first: rows of core.outcomes.outcomes.
    Needs no labels."""
    table = outcomes(model_id, dataset_id)
    return table.nsmallest(limit, "confidence").reset_index(drop=True)


def opening_notes(model_id: str | None, dataset_id: str | None) -> list[str]:
    """The loading report: how the model and the data were read. Needs no pass."""
    said = list(model_facts(model_id).notes) if model_id else []
    if dataset_id:
        said += open_dataset(dataset_id).notes
    return [*said, *(input_notes(model_id, dataset_id) if model_id and dataset_id else [])]


def pass_notes(model_id: str, dataset_id: str) -> list[str]:
    """How the labels met the outputs, and what has no prediction."""
    said, logs = [truth(model_id, dataset_id).note], log_probabilities(model_id, dataset_id)
    if lost := int(np.isnan(logs[:, 0]).sum()):
        said.append(
            f"{lost:,} of {len(logs):,} examples have no prediction: the picture could not be "
            "read, or the network's output is not a number."
        )
    doubted = doubt(logs, model_facts(model_id).card.output, SMALLEST)
    return [*said, doubted] if doubted else said


def unreadable(dataset_id: str) -> pd.DataFrame:
    """path, why: what could not be read when the data was opened, LISTED at most. Needs no pass."""
    return pd.DataFrame(open_dataset(dataset_id).unreadable[:LISTED], columns=["path", "why"])


@cached_result
def left_out(model_id: str, dataset_id: str) -> pd.DataFrame:
    """path, why: the examples that have no prediction, LISTED at most."""
    data, logs = open_dataset(dataset_id), log_probabilities(model_id, dataset_id)
    rows = []
    for row in np.flatnonzero(np.isnan(logs[:, 0]))[:LISTED].tolist():
        why = "the network's output is not a number"
        try:
            data.image(row)
        except UserError as error:
            why = str(error)
        rows.append((str(data.metadata["path"].iat[row]), why))
    return pd.DataFrame(rows, columns=["path", "why"])


def input_notes(model_id: str, dataset_id: str) -> list[str]:
    """What of the input nobody stated, and what was taken instead; nothing of weights alone, which
    take no input."""
    if model_facts(model_id).weights_only:
        return []
    spec, open_keys = input_spec(model_id, dataset_id)
    taken = [
        f"{key.replace('_', ' ')} {in_words(f'input.{key}', getattr(spec, key))}"
        for key in open_keys
    ]
    return (
        [f"Not stated anywhere, so taken from the data or from what is usual: {', '.join(taken)}."]
        if taken
        else []
    )
