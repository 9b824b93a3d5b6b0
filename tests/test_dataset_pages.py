"""The pages that show examples, on every kind of data set: each format's sample, and odd ones."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from scipy.io import savemat

from core.files import found_files
from core.plugins import discover
from tests.app import faults, opened, words
from tests.conftest import ROOT

FORMATS = discover("core.dataset_formats", "FORMAT")
EXAMPLES = 12
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (EXAMPLES, 8, 8), dtype=np.uint8)
CIFAR = RANDOM.integers(0, 256, (EXAMPLES, 3072), dtype=np.uint8)
IDS = np.arange(EXAMPLES) % 3
LABELLED = f"of {EXAMPLES} right ("
UNLABELLED = f"{EXAMPLES} predictions · "


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def files(place, names):
    for name, pixels in zip(names, GREY, strict=False):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(png(pixels))
    return place


def by_class(place):
    return files(place, [f"{label}/{row}.png" for row, label in enumerate(IDS)])


def flat(place):
    return files(place, [f"{row}.png" for row in range(EXAMPLES)])


def archive(place):
    packed = place.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as made:
        for row, label in enumerate(IDS):
            made.writestr(f"set/{label}/{row}.png", png(GREY[row]))
    return packed


def arrays(place):
    np.savez(place.with_suffix(".npz"), images=GREY / 255, labels=np.eye(10)[IDS])
    return place.with_suffix(".npz")


def cifar_binary(place):
    place.mkdir()
    rows = np.concatenate([IDS[:, None].astype(np.uint8), CIFAR], axis=1)
    (place / "test_batch.bin").write_bytes(rows.tobytes())
    return place / "test_batch.bin"


def cifar_python(place):
    place.mkdir()
    said = {b"data": CIFAR, b"labels": IDS.tolist()}
    (place / "test_batch").write_bytes(pickle.dumps(said, protocol=2))
    return place / "test_batch"


def file_list(place):
    flat(place)
    lines = [f"{row}.png {label}\n" for row, label in enumerate(IDS)]
    (place / "test.txt").write_text("".join(lines))
    return place / "test.txt"


def json_lines(place):
    flat(place)
    rows = [{"file_name": f"{row}.png", "label": int(label)} for row, label in enumerate(IDS)]
    (place / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return place / "metadata.jsonl"


def web_dataset(place):
    flat(place)
    for row, label in enumerate(IDS):
        (place / f"{row}.cls").write_text(str(label))
    return place


def matlab(place):
    savemat(place.with_suffix(".mat"), {"X": GREY.transpose(1, 2, 0), "y": IDS[:, None]})
    return place.with_suffix(".mat")


def idx(place):
    place.mkdir()
    for name, values in (("images-idx3", GREY), ("labels-idx1", IDS.astype(np.uint8))):
        head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
        (place / f"t10k-{name}-ubyte").write_bytes(head + values.tobytes())
    return place / "t10k-images-idx3-ubyte"


def of_parquet(place):
    image = pa.array([{"bytes": png(pixels), "path": None} for pixels in GREY])
    parquet.write_table(pa.table({"image": image, "label": IDS}), place.with_suffix(".parquet"))
    return place.with_suffix(".parquet")


def text_table(place):
    rows = [",".join(map(str, [label, *pixels.ravel()]))
            for label, pixels in zip(IDS, GREY, strict=True)]
    head = ",".join(["label", *(f"pixel{n}" for n in range(64))])
    place.with_suffix(".csv").write_text("\n".join([head, *rows]))
    return place.with_suffix(".csv")


def whole_folder(place):
    by_class(place / "train")
    by_class(place / "test")
    return place


def one_image(place):
    place.with_suffix(".png").write_bytes(png(GREY[0]))
    return place.with_suffix(".png")


# Of each format: what makes a sample, and the words of the answer on it.
MADE = {
    "archive": (archive, LABELLED),
    "arrays": (arrays, LABELLED),
    "cifar_binary": (cifar_binary, LABELLED),
    "cifar_python": (cifar_python, LABELLED),
    "digits": (lambda place: "digits-test.json", "of 500 right ("),
    "file_list": (file_list, LABELLED),
    "flat_folder": (flat, UNLABELLED),
    "idx": (idx, LABELLED),
    "image_folder": (by_class, LABELLED),
    "json_lines": (json_lines, LABELLED),
    "matlab": (matlab, LABELLED),
    "one_image": (one_image, "1 prediction · "),
    "parquet": (of_parquet, LABELLED),
    "shapes": (lambda place: "shapes-test.json", "of 500 right ("),
    "text_table": (text_table, LABELLED),
    "web_dataset": (web_dataset, LABELLED),
    "whole_folder": (whole_folder, LABELLED),
}


@pytest.fixture(autouse=True)
def any_path(quick_collection, monkeypatch):
    monkeypatch.setenv("NETLENS_PATHS", "1")
    found_files.folders.cache_clear()
    yield
    found_files.folders.cache_clear()


def pages_of(data, answer, model="digits-cnn.safetensors", **more):
    """The words on the Overview and on Hard examples, on which nothing may have failed."""
    said = []
    for page in ("pages/1_Overview.py", "pages/5_Hard_examples.py"):
        app = opened(page, model=model, data=str(data), logs="none", sample="500", **more)
        assert app.sidebar.selectbox(key="data").value == str(data)
        assert faults(app) == []
        assert [warning.value for warning in app.warning if "There is no" in warning.value] == []
        said.append(words(app))
    assert answer in said[0]
    return said


def test_every_format_has_a_sample():
    assert MADE.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_a_data_set_of_every_format_is_shown(name, tmp_path):
    make, answer = MADE[name]
    path = make(tmp_path / "mine")
    whole = path if isinstance(path, str) else path.absolute()
    assert FORMATS[name].matches(ROOT / "sample_models" / whole)
    if found_files.kind_of(ROOT / "sample_models" / whole) != "data":
        whole = whole.parent  # a pickle alone is taken for a checkpoint where no kind is named
    model = "shapes-cnn.safetensors" if name == "shapes" else "digits-cnn.safetensors"
    _, hard = pages_of(whole, answer, model)
    labelled = " right (" in answer
    assert ("hardest, the hardest first" in hard) == labelled
    assert ("answers are wrong" in hard) == labelled


def test_data_without_labels_is_called_so(tmp_path):
    app = opened(model="digits-cnn.safetensors", data=str(flat(tmp_path / "mine")))
    assert "12 examples · no labels" in [caption.value for caption in app.sidebar.caption]


def test_classes_that_do_not_occur_are_counted_too(tmp_path):
    np.savez(tmp_path / "some.npz", images=GREY[:3], labels=[0, 0, 7],
             class_names=[f"kind {n}" for n in range(1_200)])
    app = opened(model="digits-cnn.safetensors", data=str(tmp_path / "some.npz"))
    assert "3 examples · 2 of 1,200 classes" in [caption.value for caption in app.sidebar.caption]
    assert "The data has 1,200 classes" in app.warning[0].value


def test_one_labelled_example(tmp_path):
    np.savez(tmp_path / "one.npz", images=GREY[:1], labels=IDS[:1])
    _, hard = pages_of(tmp_path / "one.npz", "of 1 right (")
    assert "The 1 hardest" in hard


def test_labels_of_which_some_are_blank_and_some_no_class_of_the_model(tmp_path):
    labels = np.array([0, 1, -1, 2, -1, 15, 15, 3, 0, 1, 2, 3])
    np.savez(tmp_path / "some.npz", images=GREY, labels=labels)
    _, hard = pages_of(tmp_path / "some.npz", "of 8 right (")
    assert "The 8 hardest" in hard


def test_labels_of_which_none_is_a_class_of_the_model(tmp_path):
    np.savez(tmp_path / "none.npz", images=GREY, labels=IDS + 40)
    for page in ("pages/1_Overview.py", "pages/5_Hard_examples.py"):
        app = opened(page, model="digits-cnn.safetensors", data=str(tmp_path / "none.npz"))
        assert not app.exception
        assert "Nothing can be called right or wrong" in words(app)
        assert ["No label of this data is a class" in fault for fault in faults(app)] == [True]


def test_hardness_is_of_what_has_a_prediction(tmp_path):
    place = by_class(tmp_path / "mine")
    (place / "0" / "3.png").write_bytes(png(GREY[3])[:80])  # cut off after its header
    _, hard = pages_of(place, "of 11 right (", hardness="Entropy", chosen="3")
    assert "The 11 hardest" in hard


def test_a_tar_in_which_one_class_is_missing_from_the_sample(tmp_path):
    with tarfile.open(tmp_path / "mine.tar", "w") as made:
        for row in range(EXAMPLES):
            info, content = tarfile.TarInfo(f"{int(row == 0)}/{row}.png"), png(GREY[row])
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    pages_of(tmp_path / "mine.tar", LABELLED)


def test_other_set_ups_are_not_tried_for_classes_that_the_model_cannot_know(tmp_path):
    from core import library
    from core.setups.finder import share_met

    model_id = library.model_id(ROOT / "sample_models" / "digits-cnn.safetensors")
    for classes, known in ((3, 1.0), (100, 0.1)):
        path = tmp_path / f"{classes}.npz"
        np.savez(path, images=np.resize(GREY, (200, 8, 8)), labels=np.arange(200) % classes)
        app = opened(model="digits-cnn.safetensors", data=str(path), logs="none")
        assert share_met(model_id, library.dataset_id(path)) == pytest.approx(known)
        tried = not any("What the predictions suggest" in button.label for button in app.button)
        assert tried == (known == 1)
