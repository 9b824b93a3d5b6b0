"""The sample data: what was planted is in the pixels, and nothing depends on the machine."""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.dataset_formats import digits, shapes
from core.dataset_formats.shapes_drawing import WATERMARK, WATERMARK_AT, draw, signed_distance
from core.dataset_formats.shapes_plan import CLASS_NAMES, MARKED_CLASS, SIZES, plans
from core.errors import UserError

SAMPLES = Path(__file__).parents[1] / "sample_models"
SPLITS = ("train", "test")
DIGEST = "41ec308901fc24a9508ab6aa22979aa44152b881dfba05fcec70f45f12b6161e"


@pytest.fixture(scope="module")
def data():
    return {split: shapes.load(SAMPLES / f"shapes-{split}.json") for split in SPLITS}


@pytest.fixture(scope="module")
def pictures(data):
    return {split: np.stack([d.image(row) for row in range(len(d))]) for split, d in data.items()}


@pytest.fixture(scope="module")
def masks(data):
    return {split: np.stack([d.mask(row) for row in range(len(d))]) for split, d in data.items()}


def true_class(dataset):
    return np.array([CLASS_NAMES.index(name) for name in dataset.metadata["true_label"]])


def descriptor(folder, **said):
    path = folder / "data.json"
    path.write_text(json.dumps({"netlens_data": "shapes"} | said))
    return path


def test_every_machine_draws_the_same_bytes(pictures, masks):
    drawn = hashlib.sha256()
    for split in SPLITS:
        drawn.update(pictures[split].tobytes())
        drawn.update(np.packbits(masks[split]).tobytes())
    assert drawn.hexdigest() == DIGEST


def test_a_row_is_drawn_alike_alone_and_among_others(pictures):
    rows = [3, 700, 1999]
    alone, _ = draw(plans(0)["test"].iloc[rows].reset_index(drop=True), 0)
    assert np.array_equal(alone, pictures["test"][rows])


def test_another_seed_draws_other_pictures(tmp_path, data):
    other = shapes.load(descriptor(tmp_path, split="test", seed=1))
    same = sum(np.array_equal(other.image(row), data["test"].image(row)) for row in range(20))
    assert same == 0
    assert (other.labels != data["test"].labels).mean() > 0.7


def test_threads_share_one_drawing(tmp_path):
    path = descriptor(tmp_path, split="test", seed=2)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: shapes.load(path).image(0), range(8)))
    assert len({image.__array_interface__["data"][0] for image in images}) == 1
    assert not images[0].flags.writeable


@pytest.mark.parametrize("split", SPLITS)
def test_form_and_balance(data, pictures, masks, split):
    dataset = data[split]
    assert pictures[split].shape == (SIZES[split], 64, 64, 3) and pictures[split].dtype == np.uint8
    assert masks[split].dtype == bool
    assert dataset.labels.dtype == np.int64 and len(dataset) == SIZES[split]
    assert set(Counter(true_class(dataset)).values()) == {SIZES[split] // len(CLASS_NAMES)}
    assert len(set(dataset.metadata["path"])) == len(dataset)
    assert dataset.metadata["path"][17] == f"shapes/{split}/00017.png"


@pytest.mark.parametrize("split", SPLITS)
def test_two_percent_of_labels_are_wrong(data, split):
    wrong = data[split].labels != true_class(data[split])
    assert wrong.mean() == 0.02
    assert len(set(data[split].labels[wrong])) == len(CLASS_NAMES)


@pytest.mark.parametrize(("split", "marked", "others"), [("train", 0.9, 0.1), ("test", 0.5, 0.5)])
def test_watermark_is_in_the_pixels_and_in_its_shares(data, pictures, split, marked, others):
    corner = pictures[split][:, WATERMARK_AT[0], WATERMARK_AT[1]].astype(int)
    white = corner[:, WATERMARK].min(axis=(1, 2)) >= 191  # three parts white leave no less
    said = data[split].metadata["watermark"].to_numpy()
    assert (white == said).mean() > 0.999 and white[said].all()
    for label in range(len(CLASS_NAMES)):
        share = said[true_class(data[split]) == label].mean()
        assert share == pytest.approx(marked if label == MARKED_CLASS else others, abs=0.003)


def test_duplicates_lie_in_the_other_split_and_nothing_else_is_as_near(data, pictures):
    test_rows = np.flatnonzero(data["test"].metadata["duplicate_of"] >= 0)
    train_rows = data["test"].metadata["duplicate_of"].to_numpy()[test_rows]
    assert len(test_rows) == 0.01 * len(data["test"])
    assert np.array_equal(data["train"].metadata["duplicate_of"].to_numpy()[train_rows], test_rows)
    assert (data["train"].metadata["duplicate_of"] >= 0).sum() == len(test_rows)

    small = {split: pictures[split].reshape(-1, 8, 8, 8, 8, 3).mean((2, 4)).reshape(-1, 192)
             for split in SPLITS}
    for row, original in zip(test_rows, train_rows, strict=True):
        distance = np.abs(small["train"] - small["test"][row]).mean(axis=1)
        assert distance.argmin() == original and distance[original] < 4
        assert not np.array_equal(pictures["test"][row], pictures["train"][original])
        assert data["test"].labels[row] == data["train"].labels[original]


@pytest.mark.parametrize("split", SPLITS)
def test_blank_blurred_and_rare_are_what_they_say(data, pictures, masks, split):
    table, area = data[split].metadata, masks[split].sum(axis=(1, 2))
    away = pictures[split][:, :50].astype("float32")  # away from the watermark
    sharpness = np.abs(np.diff(away, axis=2)).mean(axis=(1, 2, 3))
    plain = ~(table["blank"] | table["blurred"] | table["rare"])
    assert (away[table["blank"]].std(axis=(1, 2)) == 0).all()
    assert np.array_equal(area == 0, table["blank"])
    assert sharpness[table["blurred"]].max() < sharpness[plain].min()
    assert away[table["rare"]].mean(axis=(1, 2, 3)).max() < away[plain].mean(axis=(1, 2, 3)).min()
    assert area[table["rare"]].mean() < 0.4 * area[plain].mean()
    for fault in ("blank", "blurred", "rare"):
        assert 8 <= table[fault].sum() <= 40


@pytest.mark.parametrize("split", SPLITS)
def test_masks_are_where_the_shape_is_seen(data, pictures, masks, split):
    """The colour steps at the mask's outline, for nearly all pictures that show anything."""
    seen = 0
    rows = np.flatnonzero(~data[split].metadata[["blank", "blurred", "rare"]].any(axis=1))[:300]
    for row in rows:
        mask, picture = masks[split][row], pictures[split][row].astype(float)
        near = np.zeros_like(mask)
        for shift in range(2, 5):
            for axis in (0, 1):
                near |= np.roll(mask, shift, axis) | np.roll(mask, -shift, axis)
        step = np.abs(picture[mask].mean(0) - picture[near & ~mask].mean(0)).max()
        seen += step > 15
    assert seen == len(rows)


def test_shapes_have_the_areas_that_geometry_gives():
    grid = np.arange(-40, 40, 0.1, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    area = {name: (signed_distance(name, x, y, np.float32(20)) < 0).sum() * 0.01
            for name in CLASS_NAMES}
    sides = {"triangle": (3, 0.55), "square": (4, 0.7), "pentagon": (5, 0.75), "hexagon": (6, 0.78)}
    for name, (count, inner) in sides.items():
        polygon = count * (inner * 20) ** 2 * np.tan(np.pi / count)
        assert area[name] == pytest.approx(polygon, rel=0.01)
    assert area["circle"] == pytest.approx(np.pi * (0.82 * 20) ** 2, rel=0.01)
    assert area["ring"] == pytest.approx(np.pi * 20**2 * (0.96**2 - 0.52**2), rel=0.01)
    assert area["cross"] == pytest.approx(4 * 20**2 * (2 * 0.92 * 0.3 - 0.3**2), rel=0.01)
    inner, outer = 0.4 * 20, 0.4 * 20 / np.cos(np.pi / 5)  # of the star's pentagon
    tips = 5 * outer * np.sin(np.pi / 5) * (outer * np.sin(np.pi / 5) * np.tan(2 * np.pi / 5))
    assert area["star"] == pytest.approx(5 * inner**2 * np.tan(np.pi / 5) + tips, rel=0.01)


@pytest.mark.parametrize(("said", "word"), [
    ({"split": "validation"}, "split"), ({}, "split"), ({"split": "test", "seed": -1}, "seed"),
    ({"split": "test", "seed": True}, "seed"), ({"split": "test", "colour": 1}, "colour"),
])
def test_a_wrong_descriptor_is_named(tmp_path, said, word):
    with pytest.raises(UserError, match=rf"data\.json.*{word}"):
        shapes.load(descriptor(tmp_path, **said))


def test_a_cut_descriptor_is_recognised_and_refused(tmp_path):
    path = descriptor(tmp_path, split="test")
    path.write_bytes(path.read_bytes()[:-4])
    assert shapes.FORMAT.matches(path)
    with pytest.raises(UserError, match=r"data\.json"):
        shapes.load(path)


def test_formats_tell_each_other_apart(tmp_path):
    for descriptor_path in SAMPLES.glob("*-*.json"):
        if descriptor_path.name.endswith(".card.json"):
            assert not shapes.FORMAT.matches(descriptor_path)
            continue
        name = descriptor_path.name.split("-")[0]
        assert shapes.FORMAT.matches(descriptor_path) == (name == "shapes")
        assert digits.FORMAT.matches(descriptor_path) == (name == "digits")
    assert not shapes.FORMAT.matches(tmp_path)


def test_content_id_follows_what_is_said(tmp_path):
    ids = [shapes.content_id(descriptor(tmp_path, split=split, seed=seed))
           for split in SPLITS for seed in (0, 1)]
    assert len(set(ids)) == 4
    assert shapes.content_id(descriptor(tmp_path, split="test")) == shapes.content_id(
        SAMPLES / "shapes-test.json")


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    reference = load_digits()
    data = digits.load(SAMPLES / "digits-all.json")
    images = np.stack([data.image(row) for row in range(len(data))])
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8
    assert np.array_equal(np.rint(images[..., 0] * (16 / 255)), reference.images)
    assert np.array_equal(data.labels, reference.target)


def test_digits_splits_are_whole_disjoint_and_even():
    train, test = (digits.load(SAMPLES / f"digits-{split}.json") for split in SPLITS)
    rows = [*train.metadata["row"], *test.metadata["row"]]
    assert sorted(rows) == list(range(1797)) and len(train) == 1293
    shares = np.bincount(train.labels) / (np.bincount(train.labels) + np.bincount(test.labels))
    assert np.abs(shares - 0.72).max() < 0.005
    everything = digits.load(SAMPLES / "digits-all.json")
    for row in (0, 250, 503):
        assert np.array_equal(test.image(row), everything.image(test.metadata["row"][row]))
