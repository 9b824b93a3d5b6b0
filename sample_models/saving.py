"""Saves a network in every format, without stack traces or paths of the machine that made it."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors.torch import save_file
from torch import nn

from sample_models.training import FOLDER, Trained


def save_state_dict(model: nn.Module, path: Path) -> None:
    torch.save(model.state_dict(), path)


def save_checkpoint(trained: Trained, settings: dict[str, Any], path: Path) -> None:
    """What a training script keeps: weights among the rest, with an optimizer that has no state."""
    groups = trained.optimizer.state_dict()["param_groups"]
    torch.save({"epoch": settings["epochs"], "state_dict": trained.model.state_dict(),
                "optimizer": {"state": {}, "param_groups": groups},
                "accuracy": trained.accuracy, "args": settings}, path)


def save_safetensors(model: nn.Module, path: Path) -> None:
    save_file(model.state_dict(), path, metadata={"format": "pt"})
    path.chmod(0o644)  # it is written for its owner alone


def save_exported(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    """torch.export with any number of pictures; layers keep names, nodes lose traces."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    for module in program.graph_module.modules():
        for node in module.graph.nodes:
            node.meta.pop("stack_trace", None)
    program._example_inputs = None  # a pickle that nobody needs
    torch.export.save(program, path)


def save_torchscript(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    """A traced network; the debug members, which name source files, are left out."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, example), buffer)
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(path, "w") as kept:
        for member in whole.infolist():
            if not member.filename.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(member.filename), whole.read(member))


def save_onnx(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    """ONNX with its weights inside, any number of pictures, and no notes on its nodes."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        model, (example,), dynamo=True, dynamic_shapes=({0: batch},), input_names=["pictures"],
        output_names=["logits"], external_data=False, verbose=False)
    graph = program.model_proto
    inner = graph.graph
    for part in (graph, inner, *inner.node, *inner.value_info, *inner.input, *inner.output,
                 *inner.initializer, *graph.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString())


def save_card(name: str, card: dict[str, Any]) -> None:
    (FOLDER / f"{name}.card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
