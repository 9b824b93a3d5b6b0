"""Trains and saves every sample model: python -m sample_models.make, two parts at a time.

With names of parts (digits, shapes, vit, keras, faulty) it makes only those.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context

import torch

from core.architectures.sample_cnn import SampleCNN
from core.architectures.sample_vit import SampleViT
from core.dataset_formats.digits import CLASS_NAMES as DIGITS
from core.dataset_formats.shapes_plan import CLASS_NAMES as SHAPES
from sample_models import saving
from sample_models.keras_digits import make_digits_keras
from sample_models.training import FOLDER, Recipe, Trained, example_inputs, train


def _vit() -> SampleViT:
    model = SampleViT(3, 8, side=64, stem=(12, 24, 48), patch=1, width=72, depth=3, hidden=144)
    torch.nn.init.trunc_normal_(model.position, std=0.02)
    torch.nn.init.trunc_normal_(model.class_token, std=0.02)
    return model


DIGITS_CNN = Recipe("digits/cnn", lambda: SampleCNN(1, 10, (12, 24, 48)), epochs=15, rate=1e-2)
SHAPES_CNN = Recipe("shapes/cnn", lambda: SampleCNN(3, 8, (12, 24, 48, 96)), epochs=20, rate=1e-2,
                    turned=True)
SHAPES_VIT = Recipe("shapes/vit", _vit, epochs=30, rate=2e-3, turned=True)
FAULTY = (
    replace(SHAPES_CNN, run="shapes/cnn-few-examples", examples=300, turned=False,
            batch=25, epochs=40, rate=3e-3, weight_decay=0.0),
    replace(SHAPES_CNN, run="shapes/cnn-rate-too-high", examples=600, epochs=10, optimizer="SGD",
            rate=100.0, one_cycle=False),
    replace(SHAPES_CNN, run="shapes/cnn-rate-too-low", examples=600, epochs=12, optimizer="SGD",
            rate=1e-6, one_cycle=False),
)


def _card(title: str, data: str, names: tuple[str, ...], side: int, channels: int,
          keras: bool = False) -> dict:
    scale = {} if keras else {"mean": 0.5, "std": 0.25}
    return {
        "title": title, **({} if keras else {"architecture": title.split()[0]}),
        "class_names": list(names),
        "input": {"channels": channels, "height": side, "width": side, "range": [0, 1], **scale,
                  "resize": "stretch"},
        "output": "probabilities" if keras else "logits",
        "data": f"{data}-test.json", "logs": f"logs/{data}",
    }


def make_digits() -> None:
    trained = train(DIGITS_CNN)
    saving.save_safetensors(trained.model, FOLDER / "digits-cnn.safetensors")
    saving.save_card("digits-cnn", _card("SampleCNN on digits", "digits", DIGITS, 8, 1))


def make_shapes() -> None:
    """The shapes CNN in every format."""
    trained = train(SHAPES_CNN)
    save_everywhere(trained, example_inputs("shapes"))
    card = _card("SampleCNN on shapes", "shapes", SHAPES, 64, 3)
    saving.save_card("shapes-cnn", card)
    saving.save_card("shapes-cnn.torchscript", card)  # the stem of shapes-cnn.torchscript.pt


def save_everywhere(trained: Trained, example: torch.Tensor) -> None:
    settings = {key: value for key, value in asdict(SHAPES_CNN).items() if key != "build"}
    name = FOLDER / "shapes-cnn"
    saving.save_state_dict(trained.model, name.with_suffix(".pt"))
    saving.save_checkpoint(trained, settings, name.with_suffix(".ckpt"))
    saving.save_safetensors(trained.model, name.with_suffix(".safetensors"))
    saving.save_exported(trained.model, example, name.with_suffix(".pt2"))
    saving.save_torchscript(trained.model, example, name.with_suffix(".torchscript.pt"))
    saving.save_onnx(trained.model, example, name.with_suffix(".onnx"))


def make_vit() -> None:
    trained = train(SHAPES_VIT)
    saving.save_safetensors(trained.model, FOLDER / "shapes-vit.safetensors")
    saving.save_card("shapes-vit", _card("SampleViT on shapes", "shapes", SHAPES, 64, 3))


def make_keras() -> None:
    print(f"digits/keras-cnn: {make_digits_keras():.2%}", flush=True)
    saving.save_card("digits-keras", _card("Keras CNN on digits", "digits", DIGITS, 8, 1,
                                             keras=True))


def make_faulty() -> None:
    """Runs that go wrong in a known way: only their logs are kept."""
    for recipe in FAULTY:
        train(recipe)


PARTS = {"vit": make_vit, "shapes": make_shapes, "faulty": make_faulty, "keras": make_keras,
         "digits": make_digits}


def make(part: str) -> None:
    torch.set_num_threads(1)  # two parts on two cores, side by side
    PARTS[part]()


if __name__ == "__main__":
    start = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(make, sys.argv[1:] or PARTS))
    print(f"{time.perf_counter() - start:.0f} s")
