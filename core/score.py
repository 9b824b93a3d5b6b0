"""Scoring and explaining from the command line, through the functions that the pages call."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from core import jobs, library
from core.inference import activations, outcomes, predictions
from core.overview import by_class, notes, summary
from core.reports import finite, given_card, write_table


def score(model: Path, data: Path, card: Path | None, layers: tuple[str, ...], limit: int | None,
          out: Path | None) -> dict:
    """examples, accuracy, mean_loss, per_class, notes; with `out`, the tables and arrays as files.

    Without labels there is no accuracy, and the notes say so.
    """
    model_id = library.model_id(model, given_card(card))
    dataset_id = library.dataset_id(data, limit)
    with _progress():
        table = outcomes(model_id, dataset_id)
        features = {layer: activations(model_id, dataset_id, layer, "mean") for layer in layers}
    record: dict = {"examples": len(table), "accuracy": None, "mean_loss": None, "per_class": {}}
    if "label" in table:
        figures = summary(model_id, dataset_id)
        record |= {"accuracy": figures.accuracy, "mean_loss": finite(figures.mean_loss), "per_class": {
            row["class"]: {"examples": row.examples, "right": row.right, "accuracy": row.accuracy}
            for _, row in by_class(model_id, dataset_id).iterrows()}}
    record["notes"] = notes(model_id, dataset_id)
    if out:
        metadata = library.open_dataset(dataset_id).metadata.drop(columns="path").iloc[table["example"]]
        metadata = metadata.drop(columns=[c for c in metadata if c in table]).reset_index(drop=True)
        write_table(table.assign(**metadata), out / "predictions.parquet")
        np.save(out / "probabilities.npy", predictions(model_id, dataset_id))
        for layer, values in features.items():
            (out / "activations").mkdir(exist_ok=True)
            np.save(out / "activations" / f"{layer}.npy", values)
    return record


def explain(model: Path, data: Path, card: Path | None, example: int, method: str, target: str | None,
            layer: str | None, out: Path | None) -> dict:
    """One map: its settings, the prediction, sum and extremes, trust figures; the map itself in `out`."""
    from core.explain import explanation
    model_id, dataset_id = library.model_id(model, given_card(card)), library.dataset_id(data)
    found = explanation(model_id, dataset_id, example, method, target, layer, ())
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, found.map)
    return found.record()


@contextmanager
def _progress() -> Iterator[None]:
    """Says on standard error how far the running job is, on one line."""
    over = threading.Event()

    def say() -> None:
        while not over.wait(0.5):
            for job in jobs.active():
                left = job.seconds_left()
                print(f"\r{job.done:,} of {job.total:,} {job.unit}, {job.rate():,.0f} a second, "
                      f"{left or 0:,.0f} s left ", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
