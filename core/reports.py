"""What a file is, as a record: for the command line; the pages show the same parts."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from core.card import Card
from core.cards.card_json import parse_card
from core.cards.cards_beside import read_json
from core.errors import UserError
from core.files import found_files
from core.files.found_files import format_of
from core.files.paths import exists, named
from core.logs import find_logs, formats, read_logs


def report(path: Path, kind: str | None, card: Path | None) -> dict:
    """One path's report, by its kind or by what it holds. Raises UserError."""
    if not exists(path):
        raise UserError(f"{named(path)} does not exist. Check the path.")
    if kind is None:
        kind = {"models": "model"}.get(found := found_files.kind_of(path), found)
        if kind is None:
            raise UserError(found_files.not_known(path, "model, data set or training log"))
    return {"model": model_report, "data": data_report, "logs": lambda p, c: logs_report(p)[0]}[
        kind
    ](path, card)


def given_card(path: Path | None) -> Card | None:
    """The card in a file named by `--card`."""
    return parse_card(read_json(path), path.name) if path else None


def model_report(path: Path, card: Path | None) -> dict:
    """kind, format, notes, card (and which of its keys were inferred), parameters, layers."""
    from core import library
    from core.architecture import architecture

    title = found_files.model_format(path)
    model_id = library.model_id(path, given_card(card))
    loaded, found = library.open_model(model_id), architecture(model_id)
    columns = ["name", "type", "input_shape", "output_shape", "parameters", "multiply_adds"]
    layers = found.table[columns].astype(object).where(found.table[columns].notna(), None)
    return {
        "kind": "model",
        "format": title,
        "notes": [*loaded.notes, *found.notes],
        "card": loaded.card.to_json(),
        "inferred": sorted(loaded.card.inferred),
        "parameters": found.totals["parameters"],
        "layers": layers.to_dict("records"),
    }


def data_report(path: Path, card: Path | None) -> dict:
    """kind, format, notes, examples, classes with their counts, columns, unreadable pictures."""
    from core import library

    dataset_id = library.dataset_id(path)
    data = library.open_dataset(dataset_id)
    counts = {} if data.labels is None else pd.Series(data.labels).value_counts()
    form = format_of(path, "core.dataset_formats")
    return {
        "kind": "data",
        "format": form.title,
        "notes": list(data.notes),
        "examples": len(data),
        "classes": {name: int(counts.get(i, 0)) for i, name in enumerate(data.class_names)},
        "columns": list(map(str, data.metadata.columns)),
        "unreadable": [list(row) for row in data.unreadable],
    }


def logs_report(path: Path) -> tuple[dict, pd.DataFrame]:
    """kind, format, notes, runs, tags and points, and the table itself."""
    found, logs = find_logs(path), read_logs(path)
    titles = sorted({formats()[run.format].title for run in found.runs})
    return {
        "kind": "logs",
        "format": ", ".join(titles),
        "notes": list(logs.notes),
        "runs": sorted(map(str, logs.table["run"].unique())),
        "tags": sorted(map(str, logs.table["tag"].unique())),
        "points": len(logs.table),
        "hyperparameters": logs.hyperparameters,
    }, logs.table


def write_table(table: pd.DataFrame, out: Path) -> None:
    """The table as Parquet, whole or not at all. Raises UserError where it cannot be written."""
    unfinished = out.parent / f".{out.name}.unfinished"
    try:
        _file_in_folder(out)
        table.to_parquet(unfinished, index=False)
        unfinished.replace(out)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise _cannot_be_written(out, error) from error


def write_array(array: np.ndarray, out: Path) -> None:
    """The array as .npy in the file of exactly this name. Raises UserError where it cannot be
    written."""
    try:
        with _file_in_folder(out).open("wb") as file:  # to a name NumPy would add an ending
            np.save(file, array)
    except OSError as error:
        raise _cannot_be_written(out, error) from error


def _file_in_folder(out: Path) -> Path:
    """The path itself, its folder made. Raises UserError where it is a folder."""
    if out.is_dir():
        raise UserError(f"{out} is a folder. Name a file in it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _cannot_be_written(out: Path, error: OSError) -> UserError:
    return UserError(
        f"{out} could not be written ({error.strerror or error}). Choose another place."
    )


def finite(number: float) -> float | None:
    """A number as JSON has it: None for NaN and infinity."""
    return float(number) if math.isfinite(number) else None
