"""Which weights of attention are query, key and value: by names that libraries use, and shapes.

What is packed in another way than in thirds is said to be packed, and no part of it is claimed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
QUERY, KEY, VALUE, OUTPUT = "query", "key", "value", "output"

# Equal thirds one after the other: torch and CLIP; timm, SAM, Swin; lucidrains and torchvision's
# MaxViT; flash attention, MPT, ModernBERT; GPT-2 and nanoGPT.
THIRDS = ("in_proj", "qkv", "to_qkv", "Wqkv", "c_attn")
BY_HEAD = ("query_key_value",)  # GPT-NeoX, Bloom, Falcon: head by head, or groups of heads
MAYBE_THIRDS = ("qkv_proj",)  # thirds in Phi-3 and its kin, in another order in CodeGen
BY_HEAD_BELOW = ("attn_block", "attn_grid")  # of timm's MaxViT, whose qkv is head by head
HALVES = ("kv", "to_kv")  # keys, then values: PVT, Twins, lucidrains
SEPARATE = (  # query, key, value and output of one module
    ("q_proj", "k_proj", "v_proj", "out_proj"),  # torch with other sizes of key, fairseq, CLIP
    ("q_proj", "k_proj", "v_proj", "o_proj"),  # Llama
    ("query", "key", "value", "attention_output"),  # Hugging Face's BERT and ViT, Keras
    ("query_dense", "key_dense", "value_dense", "output_dense"),  # Keras's files of weights
    ("to_q", "to_k", "to_v", "to_out"),  # diffusers
    ("q_lin", "k_lin", "v_lin", "out_lin"),  # DistilBERT
    ("wq", "wk", "wv", "wo"),
    ("q", "k", "v", "o"),  # T5
)
_KINDS = re.compile(r"^(?P<module>.+?)(?P<kind>[._]?(weight|bias|kernel|constant|vars\.\d+))$")


@dataclass(frozen=True)
class Part:
    """Numbers `start` to `stop` along a side of the tensor, the last not included."""

    name: str
    axis: int
    start: int
    stop: int


def attention_parts(name: str, shape: Shape, shapes: Shapes) -> tuple[Part, ...]:
    """The parts of a tensor that holds several; shapes: of all tensors of the network."""
    place = _split(name)[0]
    if _unnamed(name, shapes):
        return _cut(name, shape, shapes, (QUERY, KEY, VALUE))
    if _packed(place, MAYBE_THIRDS) and ".self_attn." in f".{place}":
        return _cut(name, shape, shapes, (QUERY, KEY, VALUE))
    if _packed(place, THIRDS) and not set(place.split(".")) & set(BY_HEAD_BELOW):
        return _cut(name, shape, shapes, (QUERY, KEY, VALUE))
    return _cut(name, shape, shapes, (KEY, VALUE)) if _packed(place, HALVES) else ()


def attention_words(name: str, shape: Shape, shapes: Shapes) -> str:
    """What a tensor is for attention, empty where it is nothing or nothing that is known."""
    place = _split(name)[0]
    if parts := attention_parts(name, shape, shapes):
        return ", ".join(part.name for part in parts)
    if _packed(place, (*BY_HEAD, *THIRDS, *MAYBE_THIRDS)):
        return "query, key, value together, their order not known"
    return _alone(name, shape, shapes)


def _split(name: str) -> tuple[str, str]:
    """(module, what follows), as in in_proj_weight, query.kernel, query_kernel."""
    found = _KINDS.match(name)
    if found and found["module"].endswith("in_proj") and not found["kind"].startswith("_"):
        return name, ""  # a layer of this name is no attention's, but Mamba's
    return (found["module"], found["kind"]) if found else (name, "")


def _packed(place: str, names: tuple[str, ...]) -> bool:
    """Whether one of the names is a whole part at the end of the place."""
    return any(part in names for part in place.split(".")[-1:])


def _unnamed(name: str, shapes: Shapes) -> bool:
    """Whether it is beside a packed bias of torch's attention, whose weight's name exporters to
    ONNX lose; or that bias."""
    module, _, last = name.rpartition(".")
    bias = f"{module}.in_proj_bias" if module else "in_proj_bias"
    beside = [f"{bias.removesuffix('in_proj_bias')}{other}" for other in ("weight", "constant")]
    if bias not in shapes or last not in ("weight", "constant", "in_proj_bias"):
        return False
    return any(_longer_side(shapes[other], 3) is not None for other in beside if other in shapes)


def _cut(name: str, shape: Shape, shapes: Shapes, names: tuple[str, ...]) -> tuple[Part, ...]:
    """Equal parts of a matrix with so many times more outputs than inputs, or of its bias."""
    place, kind = _split(name)
    axis = _longer_side(shape, len(names))
    if len(shape) == 1 and kind.endswith("bias"):
        names_of = [f"{place}{other}" for other in _of_matrices(kind)]
        if place.rpartition(".")[2] == "in_proj":
            names_of += [f"{_beside(place)}{other}" for other in ("weight", "constant")]
        matrices = [shapes[other] for other in names_of if other in shapes]
        fits = any(_longer_side(matrix, len(names)) is not None and max(matrix) == shape[0]
                   for matrix in matrices)
        axis = 0 if fits else None
    if axis is None:
        return ()
    width = shape[axis] // len(names)
    return tuple(Part(part, axis, width * nth, width * (nth + 1))
                 for nth, part in enumerate(names))


def _longer_side(shape: Shape, times: int) -> int | None:
    """Which side of a matrix is so many times the other."""
    if len(shape) != 2 or 0 in shape:
        return None
    rows, columns = shape
    return 0 if rows == times * columns else 1 if columns == times * rows else None


def _of_matrices(kind: str) -> tuple[str, ...]:
    """How the matrix beside a bias may be called; exporters to ONNX drop "in_proj"."""
    start = kind.removesuffix("bias")
    return f"{start}weight", f"{start}kernel", f"{start}constant"


def _beside(place: str) -> str:
    """The module that holds a packed tensor called in_proj."""
    return place.removesuffix("in_proj")


def _alone(name: str, shape: Shape, shapes: Shapes) -> str:
    """One of three tensors that lie beside each other."""
    place, kind = _split(name)
    outer, _, last = place.rpartition(".")
    outer = f"{outer}." if outer else ""
    for names in SEPARATE:
        if last not in names or (last == names[3] and kind == ""):
            continue
        beside = [f"{outer}{other}{kind}" for other in names[:3]]
        if all(other in shapes for other in beside):
            role = (QUERY, KEY, VALUE, OUTPUT)[names.index(last)]
            return role + _shared_by(role, shapes[beside[0]], shape)
    return ""


def _shared_by(role: str, query: Shape, own: Shape) -> str:
    """Where keys and values have fewer heads, how many heads of the query share one."""
    if role not in (KEY, VALUE) or len(query) != len(own):
        return ""
    others = [(a, b) for a, b in zip(query, own, strict=True) if a != b]
    if len(others) != 1 or others[0][1] == 0 or len(own) == 1:
        return ""
    ratio, rest = divmod(*others[0])
    return f", each for {ratio} heads of the query" if ratio > 1 and not rest else ""
