"""Pictures by address, as a browser asks for them."""

import io

import numpy as np
import pytest
from PIL import Image

from core.library import dataset_id
from core.ui import picture_route


@pytest.fixture
def data(tmp_path):
    for name, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (128, 96), colour).save(tmp_path / "set" / name / "0.png")
    (tmp_path / "set" / "b" / "1.png").write_bytes(b"no picture")
    return dataset_id(tmp_path / "set")


def test_an_example_is_answered_small_in_its_own_colours(data):
    answer = picture_route._answer(data, 1)
    picture = Image.open(io.BytesIO(answer.body))
    assert (answer.status_code, answer.media_type) == (200, "image/jpeg")
    assert picture.size == (64, 48)
    assert np.abs(np.asarray(picture)[24, 32].astype(int) - [0, 0, 255]).max() < 12


@pytest.mark.parametrize("example", [2, 99])
def test_what_is_not_there_or_cannot_be_read_is_not_found(data, example):
    answer = picture_route._answer(data, example)
    assert (answer.status_code, answer.body) == (404, b"")


def test_nobody_gets_a_data_set_whose_id_he_does_not_know():
    assert picture_route._answer("0" * 32, 0).status_code == 404


def test_addresses_are_known_once_a_server_has_them(monkeypatch):
    monkeypatch.setattr(picture_route, "_served", [])
    assert picture_route.pictures_of("abc") is None
    assert picture_route.route().path == "/picture/{dataset_id}/{example:int}"
    assert picture_route.pictures_of("abc") == "picture/abc/"
    monkeypatch.setattr(picture_route.st, "get_option", lambda key: "/base/")
    assert picture_route.route().path == "/base/picture/{dataset_id}/{example:int}"
