"""Arrays whose axes nobody names: rows of pixels of any shape, one picture alone, 12 and 16 bits."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.dataset_files.flat_rows import proposed
from core.dataset_files.image_arrays import array_images
from core.dataset_formats import DataSet
from core.library import dataset_id, open_dataset
from tests.test_dataset_folders import said
from tests.test_dataset_formats import opened, pixels, refused

RANDOM = np.random.default_rng(3)


def smooth(count, height, width, channels=1):
    """Pictures of blotches, uint8 (count, height, width, channels): neighbours are alike, and
    channels show the same thing in other colours."""
    found = []
    for _ in range(count):
        knots = RANDOM.integers(0, 256, (max(3, height // 5), max(3, width // 5)), dtype=np.uint8)
        grey = np.asarray(Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC))
        found.append(np.stack([grey * share for share in (0.9, 0.7, 0.4)[:channels]], 2))
    return np.stack(found).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (18, 50), (48, 64), (64, 16)])
def test_the_shape_of_grey_rows_is_found(height, width):
    images = smooth(30, height, width)
    found, note = proposed(images.reshape(30, -1), "x")
    assert np.array_equal(found, images)
    assert f"{height} high and {width} wide, grey" in note
    assert "model" in note


@pytest.mark.parametrize("order", ["planes", "pixels"])
@pytest.mark.parametrize(("height", "width"), [(24, 40), (40, 24)])
def test_the_shape_of_colour_rows_is_found(height, width, order):
    images = smooth(30, height, width, 3)
    laid = images.transpose(0, 3, 1, 2) if order == "planes" else images
    found, note = proposed(laid.reshape(30, -1), "x")
    assert np.array_equal(found, images)
    assert ("channel after channel" if order == "planes" else "pixel after pixel") in note


def test_noise_is_shown_as_square_as_can_be_and_primes_as_a_line():
    found, _ = proposed(RANDOM.integers(0, 256, (20, 600)), "x")
    assert found.shape == (20, 24, 25, 1) or found.shape == (20, 25, 24, 1)
    found, note = proposed(RANDOM.integers(0, 256, (20, 601)), "x")
    assert found.shape == (20, 1, 601, 1)
    assert "one line" in note


def table_of(path, images):
    columns = {f"pixel{i}": column for i, column in enumerate(images.reshape(len(images), -1).T)}
    table = pd.DataFrame({"label": np.arange(len(images)) % 3} | columns)
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(
        path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_the_models_input_decides(tmp_path, ending):
    images = RANDOM.integers(0, 256, (9, 6, 16, 1), dtype=np.uint8)  # no shape can be seen in it
    data = opened(table_of(tmp_path / f"set.{ending}", images))
    assert data.labels.tolist() == [0, 1, 2] * 3
    shaped = data.in_shape((1, 6, 16))
    assert np.array_equal(pixels(shaped), images)
    assert said(shaped, "as the model's input says: 6 high, 16 wide")
    assert not said(shaped, "no square picture")
    assert shaped.in_shape((3, 4, 8)).image(0).shape == (4, 8, 3)
    for other in ((1, 7, 7), (2, 6, 8), (1, 96, 0), (96, 1, 1)):
        assert data.in_shape(other) is data


@pytest.mark.parametrize("order", ["planes", "pixels"])
def test_channels_of_a_models_input_in_either_order(tmp_path, order):
    images = smooth(12, 16, 9, 3)
    laid = images.transpose(0, 3, 1, 2) if order == "planes" else images
    data = opened(table_of(tmp_path / "set.csv", laid)).in_shape((3, 16, 9))
    assert np.array_equal(pixels(data), images)


def test_pictures_with_a_shape_of_their_own_keep_it(tmp_path):
    np.save(tmp_path / "x.npy", smooth(12, 6, 8))
    data = opened(tmp_path / "x.npy")
    assert data.flat is None
    assert data.in_shape((1, 8, 6)) is data


def test_parts_of_a_split_take_one_shape(tmp_path):
    images = RANDOM.integers(0, 256, (10, 6, 16, 1), dtype=np.uint8)
    for part in (0, 1):
        table_of(tmp_path / f"test-0000{part}-of-00002.parquet", images[5 * part:5 * part + 5])
    data = opened(tmp_path / "test-00000-of-00002.parquet")
    assert isinstance(data, DataSet)
    assert np.array_equal(pixels(data.in_shape((1, 6, 16))), images)


@pytest.mark.parametrize("limit", [None, 4])
def test_an_id_for_a_models_input(tmp_path, limit):
    images = RANDOM.integers(0, 256, (9, 6, 16, 1), dtype=np.uint8)
    place = table_of(tmp_path / "set.csv", images)
    plain = dataset_id(place, limit)
    shaped = dataset_id(place, limit, shape=(1, 6, 16))
    assert shaped != plain == dataset_id(place, limit, shape=(3, 32, 32))
    assert open_dataset(shaped).image(0).shape == (6, 16, 1)
    assert len(open_dataset(shaped)) == (limit or 9)
    np.save(tmp_path / "x.npy", images)  # has a shape of its own
    assert dataset_id(tmp_path / "x.npy", shape=(1, 16, 6)) == dataset_id(tmp_path / "x.npy")


# ---- One picture alone

@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_one_colour_picture_is_not_many_grey_ones(tmp_path, kind):
    image = smooth(1, 64, 48, 3)[0]
    np.save(tmp_path / "last.npy", image if kind is np.uint8 else (image / 255).astype(kind))
    np.save(tmp_path / "first.npy", image.transpose(2, 0, 1))
    for name in ("last", "first"):
        data = opened(tmp_path / f"{name}.npy")
        assert len(data) == 1
        assert np.array_equal(data.image(0), image), name
        assert said(data, "taken as one picture, RGB")
        assert said(data, "If it is")


def test_alpha_and_grey_alone(tmp_path):
    image = smooth(1, 40, 30)[0, ..., 0]
    np.save(tmp_path / "grey.npy", image)
    data = opened(tmp_path / "grey.npy")
    assert np.array_equal(data.image(0)[..., 0], image)
    assert said(data, "one picture, grey")
    np.savez(tmp_path / "rgba.npz", image=np.dstack([image] * 4))
    assert opened(tmp_path / "rgba.npz").image(0).shape == (40, 30, 3)


def test_three_different_grey_pictures_are_three(tmp_path):
    images = smooth(3, 32, 32)
    np.save(tmp_path / "x.npy", images[..., 0])
    assert np.array_equal(pixels(opened(tmp_path / "x.npy")), images)


def test_rows_stay_rows_and_labels_decide(tmp_path):
    images = smooth(40, 28, 28)
    np.save(tmp_path / "x.npy", images.reshape(40, -1))
    assert np.array_equal(pixels(opened(tmp_path / "x.npy")), images)
    narrow = smooth(12, 12, 3)
    np.savez(tmp_path / "set.npz", x=narrow[..., 0], y=np.arange(12))
    assert opened(tmp_path / "set.npz").image(0).shape == (12, 3, 1)
    np.savez(tmp_path / "one.npz", x=smooth(1, 20, 30, 3)[0], y=np.int64(2))
    data = opened(tmp_path / "one.npz")
    assert data.labels.tolist() == [2]
    assert data.image(0).shape == (20, 30, 3)


def test_too_few_numbers(tmp_path):
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 9)))
    refused(tmp_path / "set.npz", "too few")


# ---- One range for all

@pytest.mark.parametrize(("highest", "words"), [(255, "0 to 255"), (4095, "12 bits"),
                                                (65535, "16 bits")])
def test_arrays_of_16_bits_have_one_range(highest, words):
    values = np.zeros((3, 8, 8), np.uint16)
    values[0, 0, 0], values[1] = highest, highest // 5
    found = array_images(values, "x")
    assert found.image(0).max() == 255
    assert found.image(1).max() == round(highest // 5 * 255 / highest)
    assert found.image(2).max() == 0
    assert any(words in note for note in found.notes)


@pytest.mark.parametrize(("highest", "words"), [(250, "0 to 255"), (4000, "12 bits"),
                                                (60000, "16 bits")])
@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_files_of_16_bits_have_one_range(tmp_path, highest, words, ending):
    tops = (highest, highest // 2, 7)
    for row, top in enumerate(tops):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), top, np.uint16)).save(tmp_path / "a" / f"{row}.{ending}")
    data = opened(tmp_path)
    full = {250: 255, 4000: 4095, 60000: 65535}[highest]
    assert [data.image(row).max() for row in range(3)] == [round(t * 255 / full) for t in tops]
    assert said(data, words)
    assert said(data, "the same for all")


def test_floats_in_files_have_one_range(tmp_path):
    for row, top in enumerate((1.0, 0.5, 0.25)):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(np.linspace(0, top, 64, dtype=np.float32).reshape(8, 8)).save(
            tmp_path / "a" / f"{row}.tiff")
    data = opened(tmp_path)
    assert [data.image(row).max() for row in range(3)] == [255, 128, 64]


def test_pictures_in_parquet_have_one_range(tmp_path):
    cells = []
    for top in (60000, 30000):
        out = io.BytesIO()
        Image.fromarray(np.full((8, 8), top, np.uint16)).save(out, "PNG")
        cells.append({"bytes": out.getvalue(), "path": "x.png"})
    pd.DataFrame({"image": cells, "label": [0, 1]}).to_parquet(tmp_path / "x.parquet")
    assert [opened(tmp_path / "x.parquet").image(row).max() for row in (0, 1)] == [233, 117]
