"""Pictures are decoded upright, to 8 bits, without trusting them."""

import io

import numpy as np
import pytest
from PIL import Image

from core.dataset_formats.image_folder import FORMAT
from core.errors import UserError
from core.images import decode, encoded

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (9, 13, 3), dtype=np.uint8)


def as_bytes(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_lossless_kinds_keep_every_pixel():
    for kind in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(decode(as_bytes(Image.fromarray(COLOUR), kind), "x"), COLOUR)
    grey = COLOUR[..., 0]
    assert np.array_equal(decode(as_bytes(Image.fromarray(grey)), "x")[..., 0], grey)


def test_palettes_and_two_levels():
    palette = Image.fromarray(COLOUR).quantize(8)
    assert np.array_equal(decode(as_bytes(palette), "x"), np.asarray(palette.convert("RGB")))
    assert decode(as_bytes(Image.fromarray(COLOUR[..., 0] > 90)), "x").shape == (9, 13, 1)


def test_transparency_is_laid_on_white():
    alpha = np.zeros((9, 13, 1), np.uint8)
    alpha[:4] = 255
    found = decode(as_bytes(Image.fromarray(np.dstack([COLOUR, alpha]))), "x")
    assert np.array_equal(found[:4], COLOUR[:4])
    assert (found[4:] == 255).all()


def test_sixteen_bits_are_scaled_not_clipped():
    deep = np.linspace(0, 65535, 117).reshape(9, 13).astype(np.uint16)
    found = decode(as_bytes(Image.fromarray(deep)), "x")[..., 0]
    assert np.array_equal(found, np.round(deep / 65535 * 255).astype(np.uint8))


def test_the_orientation_in_the_file_is_followed():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    assert decode(as_bytes(Image.fromarray(COLOUR), exif=exif), "x").shape == (13, 9, 3)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0",
                                     as_bytes(Image.fromarray(COLOUR))[:60]])
def test_what_is_no_picture_is_named(content):
    with pytest.raises(UserError, match=r"my\.png"):
        decode(content, "my.png")


def test_a_bomb_is_refused_before_it_is_unpacked():
    content = as_bytes(Image.new("1", (20_000, 20_000)))
    with pytest.raises(UserError, match=r"my\.png"):
        decode(content, "my.png")


def test_thumbnails_keep_their_shape_and_enlarge_with_sharp_pixels():
    small = Image.open(io.BytesIO(encoded(COLOUR, 6)))
    assert small.size == (6, 4)
    large = np.asarray(Image.open(io.BytesIO(encoded(COLOUR[..., :1], 130))).convert("RGB"))
    assert np.array_equal(large[5, 5::10], np.repeat(COLOUR[0, :, :1], 3, axis=1))


def test_folder_of_classes(tmp_path):
    for name, number in (("b", 3), ("a", 2)):
        (tmp_path / name / "deep").mkdir(parents=True)
        for i in range(number):
            Image.fromarray(COLOUR).save(tmp_path / name / ("deep" if i else "") / f"{i}.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / "link.png").symlink_to("/etc/hostname")
    assert FORMAT.matches(tmp_path)
    data = FORMAT.load(tmp_path)
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == [0, 0, 1, 1, 1]
    assert np.array_equal(data.image(4), COLOUR)
    assert sorted(data.metadata["path"])[0] == "a/0.png"


def test_a_folder_without_classes_is_not_one(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "0.png")
    (tmp_path / "empty").mkdir()
    assert not FORMAT.matches(tmp_path)
    with pytest.raises(UserError, match="holds no pictures"):
        FORMAT.load(tmp_path)
