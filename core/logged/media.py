"""Pictures, texts and sounds that training logged, and what else an event file holds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core import images
from core.cache import cached_result, shared_resource
from core.errors import UserError
from core.events.histograms import KINDS
from core.events.payloads import payload, record_at
from core.files.limits import MB
from core.library import open_logs
from core.logged.histograms import counting_order
from core.logged.pr_curves import KIND as CURVES
from core.places import path_of

PICTURES, SOUNDS, TEXTS = ("image", "images"), ("audio",), ("text",)
SHOWN = {**dict.fromkeys(PICTURES, "pictures"), **dict.fromkeys(SOUNDS, "sounds"),
         **dict.fromkeys(TEXTS, "texts")}
MOST_PICTURES = 16  # of one value: a batch
LARGEST_SOUND = 32 * MB
LONGEST_TEXT = 20_000  # characters
PROJECTOR = "projector_config.pbtxt"
# First bytes of what a browser plays: (mark, where it stands, type).
PLAYED = ((b"WAVE", 8, "audio/wav"), (b"OggS", 0, "audio/ogg"), (b"fLaC", 0, "audio/flac"),
          (b"ID3", 0, "audio/mpeg"), (b"\xff\xfb", 0, "audio/mpeg"), (b"\xff\xf3", 0, "audio/mpeg"),
          (b"ftyp", 4, "video/mp4"), (b"\x1aE\xdf\xa3", 0, "video/webm"))
MEANING = {
    "graph": "the network's graph; the Architecture page draws graphs of model files",
    "meta graph": "a graph of TensorFlow 1 for training to go on; not drawn here",
    "graph_keras_model": "a Keras model's structure; open the model file on the Architecture page",
    "graph_run_metadata": "time and memory of a profiled step; not drawn here",
    "graph_run_metadata_graph": "a profiled step's graph; not drawn here",
    "run metadata": "time and memory of a profiled step; not drawn here",
    "mesh": "points and faces in space; not drawn here",
    "custom_scalars": "a layout of charts of scalars",
    "projector": "embeddings; the Embeddings page makes them from a model and data",
    "hparams": "hyperparameters",
    "log message": "a message of the program that trained",
    "tensor": "an array without a word on what it is",
    "metadata": "a description without a value",
}


@dataclass(frozen=True)
class Shown:
    """What a run logged under a tag at a step, ready for the page.

    step: the true one. pictures: uint8 (H, W, 1 or 3) each. plays: (bytes, type) each, sounds and
    films, an animated GIF among them. words: texts. faults: what cannot be shown, and why.
    """

    step: int
    pictures: tuple[np.ndarray, ...] = ()
    plays: tuple[tuple[bytes, str], ...] = ()
    words: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def has_any(logs_id: str) -> bool:
    """Whether the logs hold anything that is neither a number nor a histogram."""
    kinds = open_logs(logs_id).others["kind"]
    return bool((~kinds.isin(KINDS)).any() or _projectors(path_of(logs_id)))


@cached_result
def media_series(logs_id: str) -> pd.DataFrame:
    """run, tag, what ("pictures", "sounds" or "texts"), logged (how many), first and last step, by
    what and tag."""
    others = open_logs(logs_id).others
    chosen = others[others["kind"].isin(SHOWN)]
    table = chosen.assign(what=chosen["kind"].map(SHOWN)).groupby(
        ["what", "tag", "run"], sort=False)["step"].agg(["size", "min", "max"]).reset_index()
    table = table.rename(columns={"size": "logged", "min": "first", "max": "last"})
    return table.sort_values(["what", "tag", "run"], ignore_index=True,
                             key=lambda names: names.map(counting_order))


@cached_result
def steps_of(logs_id: str) -> list[int]:
    """Every step at which something of `media_series` was logged, ascending."""
    others = open_logs(logs_id).others
    return np.unique(others.loc[others["kind"].isin(SHOWN), "step"].to_numpy(np.int64)).tolist()


@shared_resource(entries=128)
def shown_at(logs_id: str, run: str, tag: str, step: int) -> Shown | None:
    """What was logged last at or before the step; None where nothing had been."""
    others = open_logs(logs_id).others
    rows = others[(others["run"] == run) & (others["tag"] == tag) & others["kind"].isin(SHOWN)
                  & (others["step"] <= step)].sort_values("step", kind="stable")
    if rows.empty:
        return None
    row = rows.iloc[-1]
    try:
        file = Path(row["file"])
        found = payload(record_at(file, int(row["byte"]), int(row["size"])), tag)
        return _shown(row["kind"], int(row["step"]), _strings(found, row["kind"]), tag)
    except UserError as error:
        return Shown(int(row["step"]), faults=(str(error),))
    except ValueError as error:
        return Shown(int(row["step"]), faults=(f"The value cannot be read ({error}).",))


def _strings(found: object, kind: str) -> list[bytes]:
    if not isinstance(found, list):
        raise ValueError("it is not what its kind says")
    if kind == "images":
        return found[2:]  # after width and height
    return found[::2] if kind in SOUNDS and len(found) > 1 else found  # each with its label


def _shown(kind: str, step: int, found: list[bytes], tag: str) -> Shown:
    if kind in TEXTS:
        words = tuple(part.decode("utf-8", "replace")[:LONGEST_TEXT] for part in found)
        cut = any(len(part) > LONGEST_TEXT for part in found)
        return Shown(step, words=words, faults=(
            f"Only the first {LONGEST_TEXT:,} characters are shown.",) if cut else ())
    pictures, plays, faults = [], [], [] if found else ["It is empty (0 bytes)."]
    for content in found[:MOST_PICTURES]:
        try:
            if (played := _played(content)) or kind in SOUNDS:
                plays.append(_playable(content, played))
            else:
                pictures.append(images.decode(content, tag))
                plays += _animated(content, tag)
        except UserError as error:
            faults.append(str(error).replace(images.SAVE_AGAIN, "Log it as PNG or JPEG."))
    if len(found) > MOST_PICTURES:
        faults.append(f"The first {MOST_PICTURES} of {len(found):,} are shown.")
    return Shown(step, tuple(pictures), tuple(plays), (), tuple(dict.fromkeys(faults)))


def _played(content: bytes) -> str:
    """The type of what a browser plays, "" for anything else."""
    for mark, at, kind in PLAYED:
        if content[at:at + len(mark)] == mark:
            return kind
    return ""


def _playable(content: bytes, played: str) -> tuple[bytes, str]:
    if not played:
        raise UserError("This sound is of no kind that browsers play (WAV, Ogg, FLAC, MP3).")
    if len(content) > LARGEST_SOUND:
        raise UserError(f"A recording of {len(content) // MB:,} MB is too large to play here; the "
                        f"limit is {LARGEST_SOUND // MB} MB.")
    return content, played


def _animated(content: bytes, tag: str) -> list[tuple[bytes, str]]:
    """The GIF itself where it moves and is not large; its header was found sound before."""
    if not content.startswith(b"GIF8") or len(content) > LARGEST_SOUND:
        return []
    moves = any("animated" in odd for odd in images.oddities(images.opened(content, tag)))
    return [(content, "image/gif")] if moves else []


@cached_result
def not_shown(logs_id: str) -> pd.DataFrame:
    """What else the logs hold, so that nothing is left out in silence: run, kind, tag, logged,
    what it is."""
    others = open_logs(logs_id).others
    rest = others[~others["kind"].isin([*SHOWN, *KINDS, CURVES])]
    table = rest.groupby(["run", "kind", "tag"], sort=False).size().rename("logged").reset_index()
    files = [{"run": path.parent.name, "kind": "projector", "tag": path.name, "logged": 1}
             for path in _projectors(path_of(logs_id))]
    table = pd.concat([table, pd.DataFrame(files, columns=list(table.columns))], ignore_index=True)
    return table.assign(meaning=[MEANING.get(kind, "of a plug-in that is not known here")
                                 for kind in table["kind"]])


def _projectors(path: Path, most: int = 100) -> list[Path]:
    """The embeddings that lie beside event files, in the folders where their writers put them."""
    if not path.is_dir():
        return []
    found = [place for depth in ("", "*/", "*/*/") for place in path.glob(depth + PROJECTOR)]
    return sorted(found)[:most]
