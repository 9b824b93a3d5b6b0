"""Pictures become inputs as torchvision would make them."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from core import preprocess
from core.card import InputSpec, ShorterSide
from core.errors import UserError
from core.preprocess import as_network_sees, completed, nearly_resized, prepared, resized, steps

RANDOM = np.random.default_rng(0)


def spec(**keys):
    usual = {
        "channels": 3,
        "height": 8,
        "width": 8,
        "channel_order": "RGB",
        "range": (0.0, 1.0),
        "mean": (0.0,),
        "std": (1.0,),
        "resize": "stretch",
    }
    return InputSpec(**(usual | keys))


def picture(height, width, channels=3):
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)


@pytest.mark.parametrize(("height", "width"), [(300, 200), (97, 131), (40, 40), (256, 256)])
def test_shorter_side_and_crop_as_torchvision(height, width):
    image = picture(height, width)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    transform = v2.Compose(
        [
            v2.Resize(64),
            v2.CenterCrop(56),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    wanted = spec(height=56, width=56, resize=ShorterSide(64, 56, "down"),
                  mean=mean, std=std)
    assert torch.allclose(prepared([image], wanted)[0], transform(tensor(image)), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(300, 200), (97, 131), (131, 97), (101, 199)])
def test_the_longer_side_is_the_nearest_pixel_where_the_card_does_not_say_down(height, width):
    image = picture(height, width)
    longer = int(np.floor(64 * max(height, width) / min(height, width) + 0.5))
    sides = [longer, 64] if height > width else [64, longer]
    cut = v2.functional.center_crop(v2.functional.resize(tensor(image), sides, antialias=True), 56)
    wanted = spec(height=56, width=56, resize=ShorterSide(64, 56), range=(0.0, 255.0))
    assert torch.equal(prepared([image], wanted)[0], cut.float())


@pytest.mark.parametrize("size", [(64, 64), (40, 70)])
@pytest.mark.parametrize(("resize", "height", "width"), [
    (ShorterSide(64, 32, "down"), 64, 64), (ShorterSide(80, 64, "down"), 32, 48),
    (ShorterSide(256, 224, "down"), 64, 64), (ShorterSide(40, 32, "down"), 32, 48)])
def test_a_crop_that_is_not_the_inputs_size_is_cut_as_asked_then_stretched(
        size, resize, height, width):
    image, wanted = picture(*size), spec(height=height, width=width, resize=resize,
                                         range=(0.0, 255.0))
    usual = v2.Compose([v2.Resize(resize.shorter_side), v2.CenterCrop(resize.crop),
                        v2.Resize([height, width])])
    assert torch.equal(prepared([image], wanted)[0], usual(tensor(image)).float())
    assert nearly_resized(image, wanted).shape == (height, width, 3)
    assert steps(wanted, image)[-3:] == (
        f"crop {resize.crop} × {resize.crop} from the middle", f"stretched to {width} × {height}",
        "values 0 to 255")


@pytest.mark.parametrize("by_channels", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(30, 50), (1, 200), (200, 1), (24, 20)])
def test_stretch_as_torchvision(size, channels, by_channels):
    image = picture(*size, channels)
    if by_channels:  # as in arrays of (N, C, H, W)
        image = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    expected = v2.functional.resize(tensor(image), [20, 24], antialias=True)
    wanted = spec(height=20, width=24, channels=channels, range=(0.0, 255.0))
    assert torch.equal(prepared([image], wanted)[0], expected.float())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(300, 200), (31, 17), (1, 90)])
@pytest.mark.parametrize("resize", ["stretch", ShorterSide(26, 24, "down")])
def test_the_page_and_torchvision_on_pil_images_agree_to_one_grey_level(channels, size, resize):
    image = picture(*size, channels)
    wanted = spec(height=24, width=24, channels=channels, resize=resize)
    found = resized(image, wanted).astype(int)
    assert np.abs(found - nearly_resized(image, wanted)).max() <= 1
    if resize != "stretch" and min(size) > 1:
        usual = v2.Compose([v2.Resize(26), v2.CenterCrop(24)])
        with_pillow = np.asarray(usual(v2.functional.to_pil_image(image))).reshape(found.shape)
        assert np.array_equal(nearly_resized(image, wanted), with_pillow)


def test_where_torch_would_be_slow_pillow_resizes(monkeypatch):
    image, wanted = picture(30, 50), spec(height=20, width=24)
    monkeypatch.setattr(preprocess, "_torch_is_fast", lambda: False)
    assert np.array_equal(resized(image, wanted), nearly_resized(image, wanted))


def test_grey_as_torchvision():
    from PIL import Image

    image = picture(8, 8)
    expected = v2.PILToTensor()(Image.fromarray(image).convert("L")).float()
    assert torch.equal(prepared([image], spec(channels=1, range=(0.0, 255.0)))[0], expected)


def test_range_mean_std_and_order_by_the_formula():
    image = picture(8, 8)
    found = prepared(
        [image],
        spec(range=(-1.0, 1.0), mean=(0.1, 0.2, 0.3), std=(2.0, 3.0, 4.0), channel_order="BGR"),
    )
    bgr = image[..., ::-1].astype(np.float64) / 255 * 2 - 1
    expected = ((bgr - [0.1, 0.2, 0.3]) / [2, 3, 4]).transpose(2, 0, 1)
    assert np.allclose(found[0].numpy(), expected, atol=1e-6)


def test_grey_pictures_fill_three_channels():
    found = prepared([picture(8, 8, 1)], spec())
    assert found.shape == (1, 3, 8, 8)
    assert torch.equal(found[0, 0], found[0, 2])


def test_channels_that_cannot_be_made_are_refused():
    with pytest.raises(UserError, match="wants 4 channels"):
        prepared([picture(8, 8)], spec(channels=4))


def test_a_mixed_batch_has_one_size():
    assert prepared([picture(8, 8), picture(20, 9)], spec()).shape == (2, 3, 8, 8)


def test_what_nobody_states_is_taken_from_the_picture_and_named():
    found, open_keys = completed(InputSpec(height=5, mean=(0.5,)), picture(7, 9, 1))
    assert (found.channels, found.height, found.width, found.range) == (1, 5, 9, (0.0, 1.0))
    assert set(open_keys) == {"channels", "width", "channel_order", "range", "std", "resize"}


def test_numbers_that_do_not_suit_the_channels_are_named():
    with pytest.raises(UserError, match="mean has 3 numbers for 1 channels"):
        completed(InputSpec(mean=(0.1, 0.2, 0.3)), picture(7, 9, 1))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("numbers", [((0.0, 1.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                                     ((255.0, 0.0), (0.0,), (1.0,)), ((-1.0, 1.0), (0.1,), (3.0,))])
def test_what_is_shown_is_what_the_network_gets(order, numbers):
    image, (values, mean, std) = picture(20, 30), numbers
    wanted = spec(channel_order=order, range=values, mean=mean, std=std, resize=ShorterSide(12, 8))
    shown = as_network_sees(resized(image, wanted), wanted)
    assert shown.dtype == np.float32
    assert np.allclose(shown.transpose(2, 0, 1), prepared([image], wanted)[0].numpy(), atol=1e-4)


def test_steps_in_words():
    imagenet = spec(height=224, width=224, resize=ShorterSide(256, 224), mean=(0.485, 0.456, 0.406),
                    std=(0.229, 0.224, 0.225), channel_order="BGR")
    assert steps(imagenet, picture(300, 400)) == (
        "shorter side to 256: 341 × 256", "crop 224 × 224 from the middle",
        "channels in the order blue, green, red", "values 0 to 1",
        "minus mean 0.485, 0.456, 0.406", "divided by std 0.229, 0.224, 0.225")
    assert steps(spec(), picture(8, 8)) == ("values 0 to 1",)
    assert steps(spec(range=(0.0, 255.0), mean=(123.675,)), picture(8, 9, 1)) == (
        "grey to 3 channels", "stretched to 8 × 8", "values 0 to 255", "minus mean 123.7")
    assert steps(spec(channels=1), picture(8, 8))[0] == "to grey"
    assert steps(spec(resize=ShorterSide(8, 8)), picture(8, 8)) == ("values 0 to 1",)
