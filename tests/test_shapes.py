"""Shapes that are answered without torch's own Python versions, against what these say."""

import subprocess
import sys

import pytest
import torch

from core.graph.shapes import Shapes

aten = torch.ops.aten


def empty(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


PICTURE, FILTERS = empty(2, 6, 9, 11), empty(4, 6, 3, 3)
LAST = PICTURE.to(memory_format=torch.channels_last)
CASES = {
    "conv": lambda: aten.convolution(PICTURE, FILTERS, None, [1, 1], [0, 0], [1, 1], False,
                                     [0, 0], 1),
    "conv-strided": lambda: aten.convolution(PICTURE, empty(4, 3, 3, 2), empty(4), [2, 1], [1, 2],
                                             [2, 3], False, [0, 0], 2),
    "conv-1d": lambda: aten.convolution(empty(2, 6, 9), empty(4, 6, 3), None, [2], [1], [1], False,
                                        [0], 1),
    "conv-last": lambda: aten.convolution(LAST, FILTERS, None, [1, 1], [0, 0], [1, 1], False,
                                          [0, 0], 1),
    "conv-turned": lambda: aten.convolution(PICTURE, empty(6, 4, 3, 3), None, [2, 2], [1, 1],
                                            [1, 1], True, [0, 0], 1),
    "pool": lambda: aten.max_pool2d_with_indices(PICTURE, [3, 3], [2, 2], [1, 1]),
    "pool-one": lambda: aten.max_pool2d_with_indices(PICTURE, [2, 3]),
    "pool-dilated": lambda: aten.max_pool2d_with_indices(PICTURE, [2], [1], [1], [3]),
    "pool-ceil": lambda: aten.max_pool2d_with_indices(PICTURE, [2, 2], [2, 2], [0], [1], True),
    "pool-last": lambda: aten.max_pool2d_with_indices(LAST, [2, 2]),
    "mean": lambda: aten.mean(PICTURE, [2, 3]),
    "mean-kept": lambda: aten.mean(PICTURE, [-1], True),
    "mean-all": lambda: aten.mean(PICTURE),
    "mean-type": lambda: aten.mean(PICTURE, [1], dtype=torch.float64),
    "mean-last": lambda: aten.mean(LAST, [1], True),
    "mm": lambda: aten.mm(empty(3, 4), empty(5, 4).t()),
    "bmm": lambda: aten.bmm(empty(2, 3, 4), empty(2, 4, 5)),
    "addmm": lambda: aten.addmm(empty(5), empty(3, 4), empty(4, 5)),
    "softmax": lambda: aten._softmax(PICTURE.transpose(1, 2), -1, False),
    "relu-gaps": lambda: aten.relu(PICTURE[:, ::2].transpose(1, 3)),
    "relu-last": lambda: aten.relu(LAST),
    "cat": lambda: aten.cat([PICTURE, empty(2, 1, 9, 11)], 1),
    "add": lambda: aten.add(PICTURE.transpose(2, 3), empty(9)),
    "add-types": lambda: aten.add(empty(3, 1, dtype=torch.int64), empty(4)),
}
WRONG = {
    "channels": lambda: aten.convolution(PICTURE, empty(4, 5, 3, 3), None, [1, 1], [0, 0], [1, 1],
                                         False, [0, 0], 1),
    "small": lambda: aten.convolution(empty(1, 6, 2, 2), FILTERS, None, [1, 1], [0, 0], [1, 1],
                                      False, [0, 0], 1),
    "stride": lambda: aten.convolution(PICTURE, FILTERS, None, [0, 1], [0, 0], [1, 1], False,
                                       [0, 0], 1),
    "padding": lambda: aten.max_pool2d_with_indices(PICTURE, [2, 2], [2, 2], [2, 2]),
    "window": lambda: aten.max_pool2d_with_indices(PICTURE, [12, 12]),
    "sides": lambda: aten.mm(empty(3, 4), empty(5, 4)),
    "batches": lambda: aten.bmm(empty(2, 3, 4), empty(3, 4, 5)),
    "cat": lambda: aten.cat([PICTURE, empty(1, 1, 9, 11)], 1),
    "broadcast": lambda: aten.add(empty(3), empty(4)),
    "axes": lambda: aten.mean(PICTURE, [2, 7]),
}


def facts(made):
    """What later operators see of tensors."""
    several = made if isinstance(made, tuple) else (made,)
    return [(tuple(part.shape), part.dtype,
             [step for step, side in zip(part.stride(), part.shape, strict=True) if side > 1])
            for part in several]


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_of_torch(name):
    expected = facts(CASES[name]())
    with Shapes():
        assert facts(CASES[name]()) == expected


@pytest.mark.parametrize("name", WRONG)
def test_what_torch_refuses_is_refused(name):
    refusals = (RuntimeError, ValueError, IndexError, ArithmeticError)
    with pytest.raises(refusals):
        WRONG[name]()
    with Shapes(), pytest.raises(refusals):
        WRONG[name]()


def test_what_is_answered_here_imports_no_solver_of_equations(samples):
    lines = ("import sys; from pathlib import Path; from core.card import Card\n"
             "from core.model_formats.onnx import FORMAT\n"
             "FORMAT.load(Path(sys.argv[1]), Card()); print('sympy' in sys.modules)")
    found = subprocess.run([sys.executable, "-c", lines, samples / "shapes-cnn.onnx"],
                           capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_neither_a_refusal_nor_a_layer_norm_imports_the_compiler():
    lines = """
import sys, torch
from core.graph.shapes import Shapes
from core.measures.multiply_adds import layer_norm_without_numbers
token, patches = torch.empty(1, 1, 8, device="meta"), torch.empty(7, 4, 8, device="meta")
with Shapes():
    layer_norm_without_numbers(patches, [8])
    try:
        torch.cat([token, patches], 1)
    except ValueError:
        print("sympy" in sys.modules, "torch._dynamo" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True,
                           check=True)
    assert found.stdout.strip() == "False False"
