"""Keras files: the same numbers as Keras itself, old configs by rule, hostile ones refused."""

import io
import json
import os
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from core import library
from core.card import Card
from core.errors import UserError
from core.files.limits import UPLOADED, limited_to
from core.keras.config import read_plan
from core.keras.module import KerasLayer
from core.keras.package import keras_on_torch
from core.keras.plan import CannotRunError
from core.layers import capture
from core.model_formats.keras import FORMAT
from core.weight_files.weights_only import WeightsOnly
from tests.conftest import SHARED

REAL, HOSTILE = SHARED / "real" / "models", SHARED / "hostile"
NUMBERS = np.random.default_rng(0)


@pytest.fixture(scope="module")
def keras():
    module = keras_on_torch()
    module.utils.set_random_seed(0)
    return module


def functional_model(keras):
    layers = keras.layers
    pictures = keras.Input((10, 12, 3))
    x = layers.Rescaling(1 / 127.5, -1)(pictures)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(x)
    x = layers.Add()([x, layers.SeparableConv2D(6, 3, padding="same")(x)])
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(x)
    x = layers.LayerNormalization()(layers.MaxPooling2D(2, name="pooled")(x))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pictures, layers.Dense(5, activation="softmax")(x))


def nested_model(keras):
    """A frozen functional network inside, run twice, and a Sequential in another."""
    layers = keras.layers
    inside = keras.Input((8, 9, 4))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inside))
    base = keras.Model(inside, x, name="base")
    base.trainable = False
    pictures = keras.Input((8, 9, 1))
    x = layers.Conv2D(4, 1)(pictures)
    both = layers.Concatenate()([base(x, training=False), base(layers.Activation("tanh")(x))])
    head = keras.Sequential([layers.Flatten(), layers.Dense(3, activation="sigmoid")], name="head")
    return keras.Model(pictures, head(both))


def repeated_model(keras, kind="functional", ends=(1,)):
    """A network inside that runs on its own result; which of its results come out."""
    layers = keras.layers
    inside = keras.Input((6,))
    dense = layers.Dense(6, activation="tanh")
    inner = (keras.Model(inside, dense(inside), name="inner") if kind == "functional"
             else keras.Sequential([inside, dense], name="inner"))
    pictures = keras.Input((1, 2, 3))
    first = inner(layers.Flatten()(pictures))
    second = inner(first)
    results = [first, second, layers.Dense(2)(second)]
    return keras.Model(pictures, [results[end] for end in ends])


def attention_model(keras):
    layers = keras.layers
    pictures = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 2, strides=2)(pictures))
    x = layers.GroupNormalization(4)(layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x))
    return keras.Model(pictures, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def function_model(keras):
    pictures = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(pictures / 127.5 - 1.0)
    x = keras.ops.mean(keras.ops.relu(x) * 2.0 + x, axis=(1, 2))
    return keras.Model(pictures, keras.ops.softmax(keras.layers.Dense(4)(x)))


def arithmetic_model(keras):
    """Functions that people call between layers: parts, constants, padding, a choice."""
    layers, ops = keras.layers, keras.ops
    pictures = keras.Input((9, 8, 3))
    x = ops.cast(pictures, "float32") - ops.convert_to_tensor([0.1, 0.2, 0.3])
    x = layers.Conv2D(4, 3)(ops.pad(x[:, ::2, ..., :2], [[0, 0], [1, 1], [0, 2], [0, 0]]))
    first, second = ops.split(x, 2, axis=-1)
    x = ops.where(first > 0, ops.flip(first, 1), ops.elu(second))
    x = ops.average_pool(ops.max_pool(x, 2, 1), 2, 1) * ops.softplus(x[:, 1:-1, 2:][:, :, :, None, 0])
    return keras.Model(pictures, layers.Dense(3)(ops.normalize(layers.Flatten()(x))[:, 1:]))


def augmented_model(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 3)), layers.RandomPerspective(), layers.RandomElasticTransform(),
        layers.MixUp(), layers.CutMix(), layers.RandAugment(value_range=(0, 1)),
        layers.AugMix(value_range=(0, 1)), layers.Flatten(), layers.Dense(3)])


def scaled_model(keras):
    """A residual sum of InceptionResNetV2, whose layer is not among keras.layers."""
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    pictures = keras.Input((8, 8, 3))
    x = CustomScaleLayer(0.17)([pictures, keras.layers.Conv2D(3, 1)(pictures)])
    return keras.Model(pictures, keras.layers.GlobalAveragePooling2D()(x))


def recurrent_model(keras):
    layers = keras.layers
    return keras.Sequential([keras.Input((8, 6)), layers.Bidirectional(layers.LSTM(
        5, return_sequences=True)), layers.GRU(4), layers.Dense(3)])


def flat_model(keras):
    return keras.Sequential([keras.Input((48,)), keras.layers.Dense(8, activation="relu"),
                             keras.layers.Dense(4)])


def channels_first_model(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((3, 8, 6)), layers.Conv2D(4, 3, data_format="channels_first"),
        layers.BatchNormalization(axis=1), layers.MaxPooling2D(2, data_format="channels_first"),
        layers.Flatten(), layers.Dense(3)])


def normalizing_model(keras):
    layers = keras.layers
    adapted = layers.Normalization()
    adapted.adapt(NUMBERS.random((20, 8, 8, 3), dtype=np.float32) * 255)
    return keras.Sequential([
        keras.Input((8, 8, 3)), adapted,
        layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 4, 9]), layers.Conv2D(4, 3),
        layers.PReLU(shared_axes=[1, 2]), layers.GlobalMaxPooling2D(),
        layers.Dense(2), layers.Softmax()])


def odd_layers_model(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 3)), layers.RandomFlip(), layers.ZeroPadding2D(1),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"), layers.LeakyReLU(0.1),
        layers.UpSampling2D(2, interpolation="bilinear"), layers.UpSampling2D(2),
        layers.AdaptiveMaxPooling2D(9),
        layers.AveragePooling2D(3, padding="same"), layers.Cropping2D(1), layers.ELU(),
        layers.TimeDistributed(layers.Dense(3)),
        layers.Permute((2, 1, 3)), layers.GaussianNoise(0.3), layers.Resizing(5, 5),
        layers.Flatten(), layers.Dense(4, activation=layers.LeakyReLU(0.3)),
        layers.Activation("log_softmax")])


def two_heads_model(keras):
    layers = keras.layers
    pictures = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(pictures)
    return keras.Model(pictures, [layers.Dense(2)(layers.Flatten()(x)),
                                  layers.Dense(4)(layers.GlobalAveragePooling2D()(x))])


def text_model(keras):
    layers = keras.layers
    return keras.Sequential([keras.Input((48,)), layers.Embedding(5, 6),
                             layers.GlobalAveragePooling1D(), layers.Dense(3)])


def convnext_model(keras):
    """Keras's own ConvNeXt, in small: it has layers that are not among keras.layers."""
    from keras.src.applications.convnext import ConvNeXt

    return ConvNeXt([1, 1, 1, 1], [4, 4, 6, 8], drop_path_rate=0.2, weights=None, classes=3,
                    input_shape=(32, 32, 3), name="small")


MODELS = [functional_model, nested_model, attention_model, function_model, recurrent_model,
          flat_model, channels_first_model, normalizing_model, odd_layers_model, two_heads_model,
          text_model, convnext_model, arithmetic_model, augmented_model, scaled_model]


def with_random_weights(model):
    for weight in model.weights:
        if weight.dtype.startswith("float") and weight.name not in ("mean", "variance"):
            low = 0.1 if "variance" in weight.name else -0.2
            weight.assign(NUMBERS.uniform(low, 0.3, weight.shape))
    return model


def pictures_of(x, module):
    """Keras's input as pictures (N, C, H, W)."""
    x = torch.from_numpy(x)
    if x.dim() == 4:
        return x.permute(0, 3, 1, 2) if module.channels_last else x
    return x[:, None] if x.dim() == 3 else x.reshape(len(x), 4, 4, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_the_numbers_are_those_of_keras(make, suffix, keras, tmp_path):
    model = with_random_weights(make(keras))
    model.save(tmp_path / f"model{suffix}")
    x = NUMBERS.random((3, *model.input_shape[1:]), dtype=np.float32)
    x = x if make is not text_model else np.floor(x * 5)  # a number for each word
    expected = model.predict(x, verbose=0)
    expected = expected[0] if isinstance(expected, list) else expected

    loaded = FORMAT.load(tmp_path / f"model{suffix}", Card())

    found = loaded.module(pictures_of(x, loaded.module)).detach().numpy()
    assert np.abs(found - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())
    assert not loaded.module.training
    weights = [w for w in model.weights if w.dtype.startswith("float")]
    assert sum(p.numel() for p in loaded.module.parameters()) == sum(
        int(np.prod(w.shape)) for w in weights)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["functional", "sequential"])
@pytest.mark.parametrize("ends", [(1,), (0, 1), (1, 0), (0, 2), (2, 0), (2, 1)])
def test_a_network_inside_that_runs_on_its_own_result(ends, kind, suffix, keras, tmp_path):
    model = with_random_weights(repeated_model(keras, kind, ends))
    model.save(tmp_path / f"model{suffix}")
    x = NUMBERS.random((3, 1, 2, 3), dtype=np.float32)
    expected = model.predict(x, verbose=0)
    module = FORMAT.load(tmp_path / f"model{suffix}", Card()).module
    found = module(pictures_of(x, module)).detach().numpy()
    assert np.abs(found - (expected[0] if len(ends) > 1 else expected)).max() < 1e-5


def test_layers_give_channels_second_and_gradients_flow(keras, tmp_path):
    model = with_random_weights(functional_model(keras))
    model.save(tmp_path / "model.keras")
    x = NUMBERS.random((2, 10, 12, 3), dtype=np.float32) * 255
    module = FORMAT.load(tmp_path / "model.keras", Card()).module
    image = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_()

    with capture(module, ["first", "pooled"]) as captured:
        output = module(image)
    inner = keras.Model(model.inputs, [model.get_layer("first").output,
                                       model.get_layer("pooled").output])
    for name, expected in zip(captured, inner.predict(x, verbose=0), strict=True):
        found = captured[name].detach().permute(0, 2, 3, 1).numpy()
        assert np.allclose(found, expected, atol=1e-5)
    gradient, = torch.autograd.grad(output[:, 1].sum(), image)
    direct = torch.from_numpy(x).requires_grad_()
    expected, = torch.autograd.grad(model(direct, training=False)[:, 1].sum(), direct)
    assert torch.allclose(gradient.permute(0, 2, 3, 1), expected, atol=1e-7)
    assert expected.abs().max() > 0


def test_the_network_runs_on_the_meta_device_and_with_other_weights(keras, tmp_path):
    flat_model(keras).save(tmp_path / "model.keras")
    module = FORMAT.load(tmp_path / "model.keras", Card()).module
    image = torch.rand(2, 3, 4, 4)
    zeros = {name: torch.zeros_like(value) for name, value in module.named_parameters()}
    assert torch.func.functional_call(module, zeros, (image,)).abs().max() == 0
    assert module(image).abs().max() > 0
    meta = {name: value.to("meta") for name, value in module.named_parameters()}
    assert torch.func.functional_call(module, meta, (image.to("meta"),)).shape == (2, 4)


@pytest.mark.parametrize(("make", "output", "shape"), [
    (functional_model, "probabilities", (3, 10, 12)), (nested_model, "sigmoid", (1, 8, 9)),
    (recurrent_model, "logits", (1, 8, 6)), (flat_model, "logits", (3, 4, 4)),
    (channels_first_model, "logits", (3, 8, 6)), (normalizing_model, "probabilities", (3, 8, 8)),
    (odd_layers_model, "log_probabilities", (3, 8, 8)),
    (function_model, "probabilities", (3, 8, 8)),
], ids=lambda value: getattr(value, "__name__", None))
def test_the_card_says_input_and_output_as_inferred(make, output, shape, keras, tmp_path):
    make(keras).save(tmp_path / "model.keras")
    card = FORMAT.load(tmp_path / "model.keras", Card(title="mine")).card
    assert (card.input.channels, card.input.height, card.input.width) == shape
    assert card.output == output
    assert {"output", "input.height"} <= card.inferred
    assert (card.input.range == (0, 255)) == (make is functional_model)
    assert card.title == "mine"


def test_another_precision_is_said_and_computed_as_float32(keras, tmp_path):
    model = with_random_weights(keras.Sequential([
        keras.Input((6, 6, 1)), keras.layers.Flatten(),
        keras.layers.Dense(3, dtype="mixed_bfloat16")]))
    model.save(tmp_path / "model.keras")
    x = random(2, 1, 6, 6)
    loaded = FORMAT.load(tmp_path / "model.keras", Card())
    kernel, bias = model.get_weights()
    assert np.allclose(loaded.module(torch.from_numpy(x)), x.reshape(2, 36) @ kernel + bias,
                       atol=1e-5)
    assert any("float32" in note for note in loaded.notes)


# Old files, written here as Keras 1, Keras 2 and tf.keras wrote them.

def old_file(path, config, lists, version, backend="tensorflow"):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        root = file.create_group("model_weights")
        if version:
            file.attrs["keras_version"] = root.attrs["keras_version"] = version
            root.attrs["backend"] = backend
        root.attrs["layer_names"] = [name.encode() for name in lists]
        for layer, arrays in lists.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group[name] = array


def random(*shape):
    return NUMBERS.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("backend", ["theano", "tensorflow"])
def test_keras_1_with_channels_first_convolves_as_its_backend_did(backend, tmp_path):
    kernel, bias, dense = random(4, 3, 3, 2), random(4), random(4 * 6 * 5, 2)
    config = {"class_name": "Sequential", "config": [
        {"class_name": "Convolution2D", "config": {
            "name": "conv", "nb_filter": 4, "nb_row": 3, "nb_col": 2, "border_mode": "valid",
            "subsample": [1, 1], "dim_ordering": "th", "bias": True, "activation": "relu",
            "init": "glorot_uniform", "batch_input_shape": [None, 3, 8, 6]}},
        {"class_name": "Dropout", "config": {"name": "drop", "p": 0.5}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dense", "config": {"name": "dense", "output_dim": 2, "bias": False,
                                           "activation": "softmax", "input_dim": None}}]}
    old_file(tmp_path / "old.h5", config, {"conv": {"conv_W": kernel, "conv_b": bias},
                                           "drop": {}, "flat": {}, "dense": {"dense_W": dense}},
             "1.2.2", backend)
    x = torch.from_numpy(random(2, 3, 8, 6))
    turned = kernel[:, :, ::-1, ::-1].copy() if backend == "theano" else kernel
    hidden = functional.conv2d(x, torch.from_numpy(turned), torch.from_numpy(bias)).relu()
    expected = (hidden.flatten(1) @ torch.from_numpy(dense)).softmax(1)

    loaded = FORMAT.load(tmp_path / "old.h5", Card())

    assert torch.allclose(loaded.module(x), expected, atol=1e-5)
    assert (loaded.card.input.channels, loaded.card.input.height) == (3, 8)


def test_keras_1_merges_branches_and_has_no_version(tmp_path):
    def node(*names):
        return [[[name, 0, 0] for name in names]]

    config = {"class_name": "Model", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 4, 4, 2], "name": "in"}},
        {"class_name": "MaxPooling2D", "name": "max", "inbound_nodes": node("in"), "config": {
            "name": "max", "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid",
            "dim_ordering": "tf"}},
        {"class_name": "AveragePooling2D", "name": "mean", "inbound_nodes": node("in"), "config": {
            "name": "mean", "pool_size": [2, 2], "border_mode": "valid", "dim_ordering": "tf"}},
        {"class_name": "Merge", "name": "merged", "inbound_nodes": node("max", "mean"),
         "config": {"name": "merged", "mode": "concat", "concat_axis": -1}},
        {"class_name": "Flatten", "name": "flat", "inbound_nodes": node("merged"),
         "config": {"name": "flat"}}],
        "input_layers": [["in", 0, 0]], "output_layers": [["flat", 0, 0]]}}
    old_file(tmp_path / "old.h5", config, {}, None)
    x = torch.from_numpy(random(2, 2, 4, 4))
    both = torch.cat([functional.max_pool2d(x, 2), functional.avg_pool2d(x, 2)], 1)
    module = FORMAT.load(tmp_path / "old.h5", Card()).module
    assert torch.allclose(module(x), both.permute(0, 2, 3, 1).flatten(1), atol=1e-6)


def test_keras_2_hard_sigmoid_and_depthwise_with_groups(tmp_path):
    kernel = random(3, 3, 2, 1)
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "DepthwiseConv2D", "config": {
            "name": "deep", "batch_input_shape": [None, 6, 6, 2], "kernel_size": [3, 3],
            "groups": 1, "strides": [1, 1], "padding": "same", "depth_multiplier": 1,
            "use_bias": False,
            "data_format": "channels_last", "activation": "hard_sigmoid",
            "depthwise_regularizer": {"class_name": "Custom", "config": {}}}},
        {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}}]}}
    old_file(tmp_path / "old.h5", config,
             {"deep": {"deep/depthwise_kernel:0": kernel}, "pool": {}}, "2.2.4")
    x = torch.from_numpy(random(3, 2, 6, 6))
    hidden = functional.conv2d(x, torch.from_numpy(kernel).permute(2, 3, 0, 1), padding=1, groups=2)
    expected = (0.2 * hidden + 0.5).clamp(0, 1).mean((2, 3))
    assert torch.allclose(FORMAT.load(tmp_path / "old.h5", Card()).module(x), expected, atol=1e-6)


def test_tensorflow_functions_between_layers(tmp_path):
    kernel, bias = random(3, 2), random(2)
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 4, 4, 3], "name": "in"}},
        {"class_name": "TFOpLambda", "name": "tf.math.truediv", "config": {
            "name": "tf.math.truediv", "function": "math.truediv"},
         "inbound_nodes": [["in", 0, 0, {"y": 127.5, "name": None}]]},
        {"class_name": "TFOpLambda", "name": "tf.math.subtract", "config": {
            "name": "tf.math.subtract", "function": "math.subtract"},
         "inbound_nodes": [["tf.math.truediv", 0, 0, {"y": 1.0, "name": None}]]},
        {"class_name": "GlobalAveragePooling2D", "name": "pool", "config": {"name": "pool"},
         "inbound_nodes": [[["tf.math.subtract", 0, 0, {}]]]},
        {"class_name": "Dense", "name": "dense", "config": {"name": "dense", "units": 2},
         "inbound_nodes": [[["pool", 0, 0, {}]]]}],
        "input_layers": [["in", 0, 0]], "output_layers": [["dense", 0, 0]]}}
    old_file(tmp_path / "old.h5", config,
             {"dense": {"dense/kernel:0": kernel, "dense/bias:0": bias}}, "2.7.0")
    x = torch.from_numpy(random(2, 3, 4, 4))
    expected = (x / 127.5 - 1).mean((2, 3)) @ torch.from_numpy(kernel) + torch.from_numpy(bias)
    loaded = FORMAT.load(tmp_path / "old.h5", Card())
    assert torch.allclose(loaded.module(x), expected, atol=1e-5)
    assert loaded.card.output == "logits"


@pytest.mark.parametrize("old", [False, True])
def test_channels_are_turned_around_by_a_step_backwards(old, keras, tmp_path):
    """Keras's own torch backend knows no such step, so the oracle's weights are turned instead."""
    pictures = keras.Input((6, 5, 3))
    turned = keras.layers.Conv2D(4, 3, name="conv")
    model = keras.Model(pictures, turned(pictures[..., ::-1] + keras.ops.array([0.5, 0, -1.0])))
    with_random_weights(model).save(tmp_path / "model.h5")
    if old:  # as tf.keras wrote the same
        with h5py.File(tmp_path / "model.h5", "r+") as file:
            config = json.loads(file.attrs["model_config"])
            part, added, conv = config["config"]["layers"][1:]
            source = config["config"]["layers"][0]["name"]
            part |= {"class_name": "SlicingOpLambda", "inbound_nodes": [[source, 0, 0, {
                "slice_spec": [{"class_name": "__ellipsis__"},
                               {"start": None, "stop": None, "step": -1}]}]]}
            part["config"]["function"] = "__operators__.getitem"
            added |= {"class_name": "TFOpLambda", "inbound_nodes": [[
                part["config"]["name"], 0, 0, {"bias": [0.5, 0, -1.0]}]]}
            added["config"]["function"] = "nn.bias_add"
            conv["inbound_nodes"] = [[[added["config"]["name"], 0, 0, {}]]]
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "2.12.0"
    x = NUMBERS.random((2, 6, 5, 3), dtype=np.float32)
    expected = turned(np.ascontiguousarray(x[..., ::-1]) + np.float32([0.5, 0, -1])).detach()
    module = FORMAT.load(tmp_path / "model.h5", Card()).module
    found = module(torch.from_numpy(x).permute(0, 3, 1, 2))
    assert torch.allclose(found.permute(0, 2, 3, 1), expected, atol=1e-5)


def test_a_keras_2_15_zip_counts_its_groups_with_gaps(keras, tmp_path):
    layers = keras.layers
    model = with_random_weights(keras.Sequential([
        keras.Input((6, 6, 1)), layers.Conv2D(3, 3), layers.Conv2D(3, 3), layers.Flatten(),
        layers.Dense(2)]))
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new:
        config = new.read("config.json")
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for group, layer in {"conv2d": 0, "conv2d_2": 1, "dense": 3}.items():
            for i, weight in enumerate(model.layers[layer].get_weights()):
                file[f"_layer_checkpoint_dependencies/{group}/vars/{i}"] = weight
    made = zip_of(tmp_path / "old.keras", config, stored.getvalue(), version="2.15.0")
    x = NUMBERS.random((2, 6, 6, 1), dtype=np.float32)
    found = FORMAT.load(made, Card()).module(torch.from_numpy(x).permute(0, 3, 1, 2))
    assert np.allclose(found.numpy(), model.predict(x, verbose=0), atol=1e-5)


# Hostile files, made here: one of every kind of attack.

def zip_of(path, config, weights=None, version="3.15.1"):
    if weights is None:
        weights = hdf5_of(lambda file: file.create_group("layers"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config if isinstance(config, bytes) else json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", weights)
    return path


def hdf5_of(fill):
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        fill(file)
    return stored.getvalue()


def sequential(*layers, shape=(None, 8, 8, 1)):
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": shape}}
    return {"module": "keras", "class_name": "Sequential", "config": {
        "name": "s", "layers": [first, *layers]}}


def of_class(kind, module="keras.layers", **config):
    return {"module": module, "class_name": kind, "config": {"name": "odd", **config},
            "registered_name": None}


def deep(levels):
    config = sequential(of_class("Flatten"))
    for _ in range(levels):
        config = sequential(config)
    return config


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}
CONFIGS = {
    "code": (sequential(of_class("Lambda", function=LAMBDA)), "Python code"),
    "code inside": (sequential(of_class("TimeDistributed", layer=of_class("Lambda"))), "code"),
    "saved model": (sequential(of_class("TFSMLayer", filepath="/srv/m")), "TFSMLayer"),
    "torch pickle": (sequential(of_class("TorchModuleWrapper", module="AA")), "TorchModuleWrapper"),
    "process": (sequential(of_class("Popen", module="subprocess", args=["ls"])), "subprocess"),
    "regularizer": (sequential(of_class("Dense", units=2, kernel_regularizer=of_class(
        "system", module="os"))), "unsafe"),
    "vocabulary": (sequential(of_class("StringLookup", vocabulary="/etc/passwd")), "vocabulary"),
    "units": (sequential(of_class("Dense", units=10**8)), "too large"),
    "picture": (sequential(of_class("UpSampling2D", size=[4_000, 4_000])), "too large"),
    "many": (sequential(*[of_class("ReLU")] * 3000), "too many layers"),
    "nested": (deep(30), "nested"),
    "brackets": (b"[" * 100_000, "nested"),
    "no json": (b"{'a'", "JSON"),
    "twice": (sequential(of_class("ReLU"), of_class("ReLU")), "one name"),
    "list": ([1, 2], "config"),
    "class is a dict": (sequential(of_class({"a": 1})), "config"),
    "class is a list": ({"class_name": ["Lambda"], "config": {"layers": []}}, "config"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_hostile_config_is_refused(case, tmp_path):
    config, word = CONFIGS[case]
    path = zip_of(tmp_path / "bad.keras", config)
    with limited_to(UPLOADED), pytest.raises(UserError) as error:
        FORMAT.load(path, Card())
    assert word.lower() in str(error.value).lower()
    assert "bad.keras" in str(error.value)


def external_storage(file):
    file.create_dataset("layers/dense/vars/0", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "data", (4,))
    file.create_virtual_dataset("vars", layout)


def ring(file):
    dense = file.create_group("layers/dense")
    dense["again"] = file["layers"]


HDF5_FILES = {
    "external link": (lambda f: f.__setitem__("vars", h5py.ExternalLink("/etc/x.h5", "/")), "link"),
    "soft link": (lambda f: f.__setitem__("vars", h5py.SoftLink("/vars")), "link"),
    "external storage": (external_storage, "external"),
    "virtual": (virtual, "another file"),
    "ring": (ring, "nested"),
    "shape": (lambda f: f.create_dataset("vars/0", (10**6, 10**6), "f4", chunks=(64, 64)),
              "declares"),
    "ratio": (lambda f: f.create_dataset("vars/0", data=np.zeros(5_000_000, "f4"), compression=9,
                                         chunks=(5_000_000,)), "bomb"),
}


@pytest.mark.parametrize("case", HDF5_FILES)
def test_hostile_weights_are_refused(case, tmp_path):
    fill, word = HDF5_FILES[case]
    stored = hdf5_of(fill)
    (tmp_path / "bad.weights.h5").write_bytes(stored)
    zipped = zip_of(tmp_path / "bad.keras", sequential(of_class("Flatten")), stored)
    for path in (tmp_path / "bad.weights.h5", zipped):
        with limited_to(UPLOADED), pytest.raises(UserError) as error:
            FORMAT.load(path, Card())
        assert word in str(error.value)
        assert path.name in str(error.value)


@pytest.mark.parametrize(("layer", "word"), [
    (of_class("SpecialConv", module="my_project.layers", units=3), "custom"),
    (of_class("Dense", units=3), "missing"),
    (of_class("Dense", units=3, activation="my_own"), "activation"),
    (of_class("Conv2D", filters=2, kernel_size=[9, 9]), "fit together"),
], ids=["custom class", "no weights", "custom activation", "kernel too large"])
def test_an_honest_network_that_cannot_run_opens_as_weights(layer, word, tmp_path):
    stored = hdf5_of(lambda file: file.__setitem__("layers/other/vars/0", np.ones(3, "f4")))
    path = zip_of(tmp_path / "custom.keras", sequential(layer), stored)
    loaded = FORMAT.load(path, Card())
    assert isinstance(loaded.module, WeightsOnly)
    assert [p.shape for p in loaded.module.parameters()] == [(3,)]
    assert word in loaded.notes[-1]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_file_that_is_cut_off_is_still_named_as_keras(suffix, share, samples, tmp_path):
    whole = (samples / "digits-keras.keras").read_bytes()
    if suffix == "h5":
        with zipfile.ZipFile(samples / "digits-keras.keras") as archive:
            whole = archive.read("model.weights.h5")
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[:int(share * len(whole))])
    assert FORMAT.matches(path)
    with pytest.raises(UserError, match=rf"cut\.{suffix}.*(incomplete|cut off)"):
        FORMAT.load(path, Card())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_for_text_says_that_pictures_mean_nothing_to_it(suffix, keras, tmp_path):
    for name, make in (("text", text_model), ("numbers", flat_model)):
        make(keras).save(tmp_path / f"{name}{suffix}")
        notes = " ".join(FORMAT.load(tmp_path / f"{name}{suffix}", Card()).notes)
        assert ("(Embedding), as networks for text do" in notes) == (make is text_model)


def test_weights_without_a_config_say_so(keras, tmp_path):
    flat_model(keras).save_weights(tmp_path / "model.weights.h5")
    loaded = FORMAT.load(tmp_path / "model.weights.h5", Card())
    assert isinstance(loaded.module, WeightsOnly)
    assert "architecture" in loaded.notes[-1]
    assert sum(p.numel() for p in loaded.module.parameters()) == 48 * 8 + 8 + 8 * 4 + 4


def test_links_in_a_circle_are_refused():
    def entry(name, source):
        return {"class_name": "ReLU", "name": name, "config": {"name": name},
                "inbound_nodes": [[[source, 0, 0, {}]]]}

    config = {"class_name": "Functional", "config": {
        "layers": [{"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
                    "config": {"batch_input_shape": [None, 4]}}, entry("a", "b"), entry("b", "a")],
        "input_layers": [["in", 0, 0]], "output_layers": [["b", 0, 0]]}}
    with pytest.raises(UserError, match="circle"):
        read_plan(json.dumps(config).encode(), "ring.h5", 2)


def test_a_subclassed_model_is_named():
    with pytest.raises(CannotRunError, match="MyNet"):
        read_plan(b'{"class_name": "MyNet", "config": {}, "module": "mine"}', "m.keras", 3)


def test_another_backend_in_this_process_is_an_error(monkeypatch):
    other = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "tensorflow"))
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(UserError, match="KERAS_BACKEND"):
        keras_on_torch()


def test_the_persons_own_folder_of_keras_is_left_alone(samples, tmp_path):
    """Keras makes it when it is imported; a keras.json there, say with float64, is for training."""
    program = ("import sys; from core import library; from pathlib import Path\n"
               "library.open_model(library.model_id(Path(sys.argv[1])))\n"
               "import keras; assert keras.config.floatx() == 'float32'\n")
    settings = tmp_path / ".keras" / "keras.json"
    settings.parent.mkdir()
    settings.write_text('{"floatx": "float64"}')
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_HOME"}
    subprocess.run([sys.executable, "-c", program, str(samples / "digits-keras.keras")], check=True,
                   cwd=samples.parent, env=environment | {"HOME": str(tmp_path)})
    assert settings.read_text() == '{"floatx": "float64"}'
    assert list(settings.parent.iterdir()) == [settings]


def test_keras_is_imported_only_when_such_a_file_is_built(samples):
    program = ("import sys; from core import library; from pathlib import Path\n"
               "library.open_model(library.model_id(Path(sys.argv[1])))\n"
               "assert not {'keras', 'h5py', 'tensorflow'} & sys.modules.keys()\n")
    subprocess.run([sys.executable, "-c", program, str(samples / "digits-cnn.safetensors")],
                   check=True, cwd=samples.parent)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_sample_is_as_good_as_its_training_said(suffix, samples):
    data = library.open_dataset(library.dataset_id(samples / "digits-test.json"))
    loaded = library.open_model(library.model_id(samples / f"digits-keras{suffix}"))
    spec = loaded.card.input
    low, high = spec.range or (0, 1)
    x = np.stack([data.image(row) for row in range(len(data))]) / 255 * (high - low) + low
    output = loaded.module(torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2))
    assert (output.argmax(1).numpy() == data.labels).mean() == pytest.approx(0.976, abs=5e-4)
    assert isinstance(dict(loaded.module.named_modules())["conv1"], KerasLayer)


REAL_FILES = ["fer2013_mini_xception_series/fer2013_mini_XCEPTION.102-0.66.hdf5",
              "mlperf_tiny_resnet8/pretrainedResnet.h5",
              "mnist_keras_three_formats/mnist_digit_classifier.h5",
              "mnist_keras_three_formats/mnist_digit_classifier.keras"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files_give_keras_numbers(name, keras):
    path = REAL / name
    model = keras.models.load_model(path, compile=False)
    x = NUMBERS.random((4, *model.input_shape[1:]), dtype=np.float32)
    loaded = FORMAT.load(path, Card())
    found = loaded.module(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    assert np.abs(found.reshape(4, -1) - model.predict(x, verbose=0)).max() < 1e-5


def hostile_entries():
    manifest = HOSTILE / "manifest.json"
    entries = json.loads(manifest.read_text())["entries"] if manifest.is_file() else []
    return [entry for entry in entries if entry["file"].startswith("keras/")]


@pytest.mark.parametrize("entry", hostile_entries(), ids=lambda entry: entry["file"])
def test_the_hostile_corpus_gets_what_its_manifest_says(entry):
    allowed = {entry["action"], *(entry.get("also_ok") or [])}
    try:
        said = " ".join(library.open_model(library.model_id(HOSTILE / entry["file"])).notes)
        assert allowed & {"accept", "warn"}, said
    except UserError as error:
        said = str(error)
        assert "reject" in allowed, said
    named = any(word.lower() in said.lower() for word in entry["must_say"] or [""])
    assert named or "accept" in allowed, said


def test_a_run_of_a_page_leaves_a_network_in_another_thread_alone(samples):
    """Streamlit clears Keras's session after each run; that gave wrong numbers meanwhile."""
    from streamlit.runtime.scriptrunner.script_runner import _clean_problem_modules

    network = library.open_model(library.model_id(samples / "digits-keras.keras")).module
    state = sys.modules["keras"].src.backend.common.global_state.GLOBAL_STATE_TRACKER
    before = network(torch.ones(2, 1, 8, 8))
    _clean_problem_modules()
    assert sys.modules["keras"].src.backend.common.global_state.GLOBAL_STATE_TRACKER is state
    assert torch.equal(network(torch.ones(2, 1, 8, 8)), before)
