"""Which weights are query, key and value: as each library names and packs them, and no others."""

import pytest
import torch
from torch import nn

from core.keras.package import keras_on_torch
from core.measures.attention_parts import Part, attention_parts, attention_words

THREE = ("query", "key", "value")
E = 12


def thirds(axis):
    return tuple(Part(name, axis, E * nth, E * (nth + 1)) for nth, name in enumerate(THREE))


@pytest.mark.parametrize(("name", "shape", "axis"), [
    ("encoder.self_attention.in_proj_weight", (3 * E, E), 0),  # torch
    ("in_proj_weight", (3 * E, E), 0),
    ("blocks.0.attn.qkv.weight", (3 * E, E), 0),  # timm
    ("features.1.0.attn.to_qkv.weight", (3 * E, E), 0),  # torchvision's MaxViT
    ("h.0.attn.c_attn.weight", (E, 3 * E), 1),  # GPT-2's Conv1D keeps inputs first
    ("h.0.attn.c_attn.weight", (3 * E, E), 0),  # nanoGPT
    ("layers.0.self_attn.qkv_proj.weight", (3 * E, E), 0),  # Phi-3
    ("layers.0.attn.Wqkv.weight", (3 * E, E), 0),
])
def test_thirds_and_their_bias_are_told_by_the_longer_side(name, shape, axis):
    bias = name[: -len("weight")] + "bias"
    shapes = {name: shape, bias: (3 * E,)}
    assert attention_parts(name, shape, shapes) == thirds(axis)
    assert attention_parts(bias, (3 * E,), shapes) == thirds(0)
    assert attention_words(name, shape, shapes) == "query, key, value"


@pytest.mark.parametrize("weight", ["attn.weight", "attn.constant"])
def test_an_exporter_to_onnx_loses_the_name_of_the_packed_weight(weight):
    shapes = {weight: (E, 3 * E), "attn.in_proj_bias": (3 * E,), "attn.out_proj.weight": (E, E)}
    assert attention_parts(weight, (E, 3 * E), shapes) == thirds(1)
    assert attention_parts("attn.in_proj_bias", (3 * E,), shapes) == thirds(0)
    assert attention_parts("attn.out_proj.weight", (E, E), shapes) == ()


@pytest.mark.parametrize(("name", "shape"), [
    ("layers.0.attention.query_key_value.weight", (3 * E, E)),  # GPT-NeoX: head by head
    ("stages.0.blocks.0.attn_block.attn.qkv.weight", (3 * E, E)),  # timm's MaxViT: head by head
    ("stages.0.blocks.0.attn.qkv.weight", (3 * E, E, 1, 1)),  # as a convolution: head by head
    ("h.0.attn.qkv_proj.weight", (3 * E, E)),  # CodeGen: query, value, key in four parts
    ("layers.0.self_attn.qkv_proj.weight", (E + 2 * 4, E)),  # keys shared by heads
    ("h.0.attn.c_attn.weight", (E + 2 * 4, E)),  # one key for all heads
])
def test_other_packings_are_said_to_be_packed_and_no_part_is_claimed(name, shape):
    assert attention_parts(name, shape, {name: shape}) == ()
    assert attention_words(name, shape, {name: shape}) == (
        "query, key, value together, their order not known")


@pytest.mark.parametrize("names", [
    ("a.q_proj.weight", "a.k_proj.weight", "a.v_proj.weight", "a.o_proj.weight"),
    ("a.q_proj_weight", "a.k_proj_weight", "a.v_proj_weight", None),  # torch, other sizes of key
    ("e.attention.self.query.bias", "e.attention.self.key.bias", "e.attention.self.value.bias",
     None),
    ("t.q_lin.weight", "t.k_lin.weight", "t.v_lin.weight", "t.out_lin.weight"),
    ("d.to_q.weight", "d.to_k.weight", "d.to_v.weight", None),
    ("m.query_kernel", "m.key_kernel", "m.value_kernel", "m.attention_output_kernel"),  # Keras
    ("m.query_dense.vars.0", "m.key_dense.vars.0", "m.value_dense.vars.0", "m.output_dense.vars.0"),
    ("x.q_proj.constant", "x.k_proj.constant", "x.v_proj.constant", None),  # from ONNX
    ("SelfAttention.q.weight", "SelfAttention.k.weight", "SelfAttention.v.weight", None),
])
def test_separate_ones_are_known_by_the_three_beside_each_other(names):
    shapes = {name: (E, E) for name in names if name}
    said = [attention_words(name, (E, E), shapes) for name in names if name]
    assert said == [*THREE, "output"][: len(said)]


def test_halves_of_keys_and_values():
    parts = attention_parts("a.kv.weight", (2 * E, E), {"a.kv.weight": (2 * E, E)})
    assert parts == (Part("key", 0, 0, E), Part("value", 0, E, 2 * E))


def test_keys_that_several_heads_share_are_said_to_be():
    shapes = {"a.q_proj.weight": (32, 32), "a.k_proj.weight": (8, 32), "a.v_proj.weight": (8, 32)}
    said = [attention_words(name, shape, shapes) for name, shape in shapes.items()]
    assert said == ["query", "key, each for 4 heads of the query",
                    "value, each for 4 heads of the query"]


def shapes_in(model):
    return {name: tuple(part.shape) for name, part in model.named_parameters()}


def test_torchs_own_attention_is_told_packed_and_with_other_sizes_of_key():
    packed = shapes_in(nn.ModuleDict({"attn": nn.MultiheadAttention(E, 2)}))
    assert attention_parts("attn.in_proj_weight", packed["attn.in_proj_weight"], packed) == (
        thirds(0))
    others = shapes_in(nn.ModuleDict({"attn": nn.MultiheadAttention(E, 2, kdim=5, vdim=7)}))
    said = {name.rpartition(".")[2]: attention_words(name, shape, others)
            for name, shape in others.items() if "_proj_weight" in name}
    assert said == {"q_proj_weight": "query", "k_proj_weight": "key", "v_proj_weight": "value"}


def test_keras_attention_is_told(tmp_path):
    keras = keras_on_torch()

    from core.library import model_id
    from core.weights import shapes_of

    image = keras.layers.Input((4, 4, 1))
    rows = keras.layers.Reshape((4, 4))(image)
    mixed = keras.layers.MultiHeadAttention(2, 3, name="attn")(rows, rows)
    answer = keras.layers.Dense(2)(keras.layers.Flatten()(mixed))
    keras.Model(image, answer).save(tmp_path / "m.keras")
    shapes = shapes_of(model_id(tmp_path / "m.keras"))
    said = [attention_words(name, shape, shapes) for name, shape in shapes.items()
            if name.startswith("attn.")]
    assert sorted(said) == sorted([*THREE, "output"] * 2)  # kernels and biases


def test_timms_vision_transformer_is_told_and_its_maxvit_is_not():
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        plain = shapes_in(timm.create_model("vit_tiny_patch16_224"))
        mixed = shapes_in(timm.create_model("maxvit_rmlp_pico_rw_256"))
    said = {attention_words(name, shape, plain) for name, shape in plain.items() if "qkv" in name}
    assert said == {"query, key, value"}
    assert {attention_parts(name, shape, mixed)
            for name, shape in mixed.items() if "qkv" in name} == {()}


@pytest.mark.parametrize(("name", "shape"), [
    ("blocks.0.mlp.weight", (3 * E, E)), ("x.qkv.scale", ()), ("key.weight", (E, E)),
    ("mixer.in_proj.weight", (4 * E, E)), ("value.weight", (1, E)), ("", (3,)),
])
def test_what_is_no_attention_is_not_called_so(name, shape):
    assert attention_parts(name, shape, {name: shape}) == ()
    assert attention_words(name, shape, {name: shape}) == ""
