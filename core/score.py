"""Scoring and explaining from the command line, through the functions that the pages call."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import jobs, library
from core.errors import UserError
from core.explain import explanation, methods
from core.files.text_of_files import shown
from core.inference import NO_CLASSES, activations, check_layer, dataset_for, predictions
from core.model_facts import model_facts
from core.outcomes import examples, truth
from core.overview import by_class, opening_notes, pass_notes, summary
from core.reports import finite, given_card, write_array, write_table

FEW = 100  # examples


def score(
    model: Path,
    data: Path,
    card: Path | None,
    layers: tuple[str, ...],
    limit: int | None,
    sample: int | None,
    out: Path | None,
) -> dict:
    """examples, accuracy, mean_loss, per_class, notes; with `out`, the tables and arrays as files.

    Without labels or classes there is no accuracy, as notes say. limit: the first examples only;
    sample: as many as the app's sample of that size, so that the app opens the results.
    """
    model_id = library.model_id(model, given_card(card))
    with _progress():
        dataset_id = dataset_for(model_id, data, limit or sample, first=limit is not None)
        for layer in layers:
            check_layer(model_id, layer)
        table = examples(model_id, dataset_id)
        features = {layer: activations(model_id, dataset_id, layer, "mean") for layer in layers}
    record: dict = {"examples": len(table), "accuracy": None, "mean_loss": None, "per_class": {}}
    if "correct" in table:
        figures = summary(model_id, dataset_id)
        record |= {
            "accuracy": figures.accuracy,
            "mean_loss": finite(figures.mean_loss),
            "per_class": {
                row["class"]: {
                    "examples": row.examples,
                    "right": row.right,
                    "accuracy": row.accuracy,
                }
                for _, row in by_class(model_id, dataset_id).iterrows()
            },
        }
    classes = model_facts(model_id).card.has_classes
    said = pass_notes(model_id, dataset_id) if classes else [NO_CLASSES]
    record["notes"] = [*opening_notes(model_id, dataset_id), *said]
    if out:
        metadata = (
            library.open_dataset(dataset_id).metadata.drop(columns="path").iloc[table["example"]]
        )
        taken = [column for column in metadata if column in table]
        record["notes"] += [
            f"The data's own column {name} is not in predictions.parquet, where a result is called "
            "so." for name in map(shown, taken)
        ]
        metadata = metadata.drop(columns=taken).reset_index(drop=True)
        numbers = library.open_dataset(dataset_id).numbers(table["example"])  # in the whole data
        write_table(table.assign(**metadata, example=numbers), out / "predictions.parquet")
        if classes:
            write_array(predictions(model_id, dataset_id), out / "probabilities.npy")
        for layer, values in features.items():
            write_array(values, out / "activations" / f"{layer}.npy")
    return record


def explain(
    model: Path,
    data: Path,
    card: Path | None,
    example: int,
    method: str,
    target: str | None,
    layer: str | None,
    out: Path | None,
) -> dict:
    """One map's settings, prediction, sum and extremes, trust figures; the map itself in `out`."""
    model_id = library.model_id(model, given_card(card))
    method = _method(method)
    with _progress():
        dataset_id = dataset_for(model_id, data)
        if layer is not None:
            check_layer(model_id, layer)
            if method in methods() and not methods()[method].needs_layer:
                layer = None  # what it gives is of no layer
        some = dataset_for(model_id, data, FEW, first=True)  # enough to know the outputs
        names = truth(model_id, some).class_names
    found = explanation(model_id, dataset_id, example, method, _class(target, names), layer)
    if out:
        write_array(found.map, out)
    return {
        "example": example,
        "method": found.method,
        "layer": found.layer,
        "target": names[found.target],
        "prediction": [{"class": names[k], "probability": p} for k, p in found.prediction],
        "sum": finite(found.total),
        "min": finite(found.low),
        "max": finite(found.high),
        "trust": {"deletion": found.deletion, "random_deletion": found.random_deletion},
        "notes": list(found.notes),
    }


def _method(words: str) -> str:
    """A method's name in the code from that or from its title: grad_cam, Grad-CAM."""
    titles = {method.title.casefold(): name for name, method in methods().items()}
    return titles.get(words.casefold(), words)


def _class(words: str | None, names: tuple[str, ...]) -> int | None:
    """A class from its name or its number. Raises UserError that lists a few."""
    if words is None:
        return None
    if words in names:
        return names.index(words)
    if words.isdecimal() and int(words) < len(names):
        return int(words)
    raise UserError(
        f"There is no class {words!r}. The classes are {', '.join(names[:10])}"
        f"{' …' if len(names) > 10 else '.'}"
    )


@contextmanager
def _progress() -> Iterator[None]:
    """Says on standard error how far the running job is, on one line."""
    over, said = threading.Event(), []

    def say() -> None:
        while not over.wait(0.5):
            for job in jobs.active():
                if not job.total:  # it does not know yet how much there is
                    continue
                left = job.seconds_left()
                print(
                    f"\r{job.done:,} of {job.total:,} {job.unit}, {job.rate():,.0f} a second, "
                    f"{left or 0:,.0f} s left ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                said.append(job)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if said:  # what follows begins a line of its own
            print(file=sys.stderr)
