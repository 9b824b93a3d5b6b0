"""From pictures to the input that a model wants: size, channels, order, range, mean and std."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from core.card import InputSpec, ShorterSide
from core.errors import UserError

if TYPE_CHECKING:
    import torch

Resize = Callable[[np.ndarray, int, int], np.ndarray]
# Pillow's arrays are; nothing here writes to a picture.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


def completed(spec: InputSpec, picture: np.ndarray) -> tuple[InputSpec, tuple[str, ...]]:
    """The specification with nothing left open, and the keys that were taken from the data or
    from what is usual: the picture's size and channels, RGB, 0–1, stretched. Raises UserError."""
    height, width, channels = picture.shape
    if isinstance(spec.resize, ShorterSide):
        height = width = spec.resize.crop
    usual = {
        "channels": channels,
        "height": height,
        "width": width,
        "channel_order": "RGB",
        "range": (0.0, 1.0),
        "mean": (0.0,),
        "std": (1.0,),
        "resize": "stretch",
    }
    open_keys = tuple(key for key in usual if getattr(spec, key) is None)
    spec = replace(spec, **{key: usual[key] for key in open_keys})
    for key in ("mean", "std"):
        if len(numbers := getattr(spec, key)) not in (1, spec.channels):
            raise UserError(
                f"The {key} has {len(numbers)} numbers for {spec.channels} channels. Correct "
                "it in the model card: one number, or one a channel."
            )
    return spec, open_keys


def prepared(pictures: list[np.ndarray], spec: InputSpec) -> "torch.Tensor":
    """uint8 pictures (H, W, C) as float32 (N, C, H, W); `spec` has nothing left open.

    As torchvision does it with tensors: bilinear with antialiasing on 8-bit pixels, then range,
    mean, std.
    """
    return scaled([resized(picture, spec) for picture in pictures], spec)


def scaled(pictures: list[np.ndarray], spec: InputSpec) -> "torch.Tensor":
    """What `resized` gave, by channel order, range, mean and std: float32 (N, C, H, W)."""
    import torch

    # By numpy: torch's threads would wait for the cores, on which others decode.
    batch = np.empty((len(pictures), spec.channels, spec.height, spec.width), np.float32)
    reverse = spec.channel_order == "BGR" and spec.channels == 3
    low, high = spec.range
    mean, std = (np.float32(numbers).reshape(-1, 1, 1) for numbers in (spec.mean, spec.std))
    scale, shift = (high - low) / 255 / std, (low - mean) / std
    for place, picture in zip(batch, pictures, strict=True):
        pixels = picture[..., ::-1] if reverse else picture
        np.copyto(place, np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # bytes are moved faster
        place *= scale
        place += shift
    return torch.from_numpy(batch)


def as_network_sees(picture: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What `scaled` makes of one picture, without waking torch: float32 (H, W, C)."""
    values = picture.astype(np.float32)
    if spec.channel_order == "BGR" and spec.channels == 3:
        values = values[..., ::-1]
    low, high = spec.range
    mean, std = np.float32(spec.mean), np.float32(spec.std)
    return values * ((high - low) / 255 / std) + (low - mean) / std


def steps(spec: InputSpec, picture: np.ndarray) -> tuple[str, ...]:
    """What is done to this picture, one step after another, in words."""
    height, width, channels = picture.shape
    said = []
    if channels != spec.channels:
        said.append("to grey" if spec.channels == 1 else f"grey to {spec.channels} channels")
    if isinstance(spec.resize, ShorterSide):
        shorter, brought = spec.resize.shorter_side, _brought_to(spec.resize, height, width)
        if (height, width) != brought:
            said.append(f"shorter side to {shorter}: {brought[1]} × {brought[0]}")
        height = width = spec.resize.crop
        if brought != (height, width):
            said.append(f"crop {width} × {height} from the middle")
    if (height, width) != (spec.height, spec.width):
        said.append(f"stretched to {spec.width} × {spec.height}")
    if spec.channel_order == "BGR" and spec.channels == 3:
        said.append("channels in the order blue, green, red")
    said.append(f"values {spec.range[0]:g} to {spec.range[1]:g}")
    if any(spec.mean):
        said.append(f"minus mean {_listed(spec.mean)}")
    if any(number != 1 for number in spec.std):
        said.append(f"divided by std {_listed(spec.std)}")
    return tuple(said)


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers)


def resized(picture: np.ndarray, spec: InputSpec) -> np.ndarray:
    """The picture as the model sees it before range, mean and std: uint8 (H, W, C)."""
    return _sized(_with_channels(picture, spec.channels), spec, _bilinear)


def nearly_resized(picture: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What `resized` gives, to one grey level, without waking torch: for the page."""
    return _sized(_with_channels(picture, spec.channels), spec, _bilinear_of_pillow)


def _with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    have = picture.shape[2]
    if have == channels:
        return picture
    if have == 3 and channels == 1:
        return np.asarray(Image.fromarray(picture).convert("L"))[..., None]  # ITU-R 601
    if have == 1:
        return np.repeat(picture, channels, axis=2)
    raise UserError(
        f"The network wants {channels} channels and the pictures have {have}. "
        "Choose other data, or correct the channels in the sidebar."
    )


def _sized(picture: np.ndarray, spec: InputSpec, resize: Resize) -> np.ndarray:
    if isinstance(spec.resize, ShorterSide):
        brought = _brought_to(spec.resize, *picture.shape[:2])
        if picture.shape[:2] != brought:
            picture = resize(picture, *brought)
        picture = _centre(picture, spec.resize.crop, spec.resize.crop)
    target = (spec.height, spec.width)  # which need not be the crop's
    return picture if picture.shape[:2] == target else resize(picture, *target)


def _brought_to(wanted: ShorterSide, height: int, width: int) -> tuple[int, int]:
    """Height and width with the shorter side as wanted and the longer in proportion."""
    whole = int if wanted.longer_side == "down" else round
    longer = whole(wanted.shorter_side * max(height, width) / min(height, width))
    return (longer, wanted.shorter_side) if height > width else (wanted.shorter_side, longer)


@cache
def _torch_is_fast() -> bool:
    """Whether torch resizes 8-bit pixels as such, four times as fast as Pillow; elsewhere it takes
    six times as long."""
    import torch

    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


def _bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """torch's bilinear filter with antialiasing, which torchvision uses too."""
    if not _torch_is_fast():
        return _bilinear_of_pillow(picture, height, width)
    from torch import from_numpy
    from torch.nn.functional import interpolate

    # With other strides, as picture[None] has, torch takes the channels apart, or gets them wrong.
    whole = np.ascontiguousarray(picture).reshape(1, *picture.shape)
    pixels = from_numpy(whole).permute(0, 3, 1, 2)  # (1, C, H, W), channels-last
    out = interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return out[0].permute(1, 2, 0).numpy()


def _bilinear_of_pillow(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """PIL's bilinear filter, one channel at a time where there are neither 1 nor 3."""
    if picture.shape[2] in (1, 3):
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        out = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        return out.reshape(height, width, -1)
    channels = (picture[..., c : c + 1] for c in range(picture.shape[2]))
    return np.concatenate(
        [_bilinear_of_pillow(channel, height, width) for channel in channels], axis=2
    )


def _centre(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The centre of the picture; zeros where it is smaller, as torchvision's CenterCrop does."""
    missing = [
        max(0, want - have) for want, have in zip((height, width), picture.shape, strict=False)
    ]
    if any(missing):
        pads = [(short // 2, (short + 1) // 2) for short in missing]
        picture = np.pad(picture, [*pads, (0, 0)])
    top = round((picture.shape[0] - height) / 2)
    left = round((picture.shape[1] - width) / 2)
    return picture[top : top + height, left : left + width]
