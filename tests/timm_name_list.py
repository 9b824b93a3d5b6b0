"""Writes core/architectures/timm_names.json for the timm that is installed; minutes.

`python -m tests.timm_name_list`; goes on where it was stopped.
"""

import json

import timm
import torch
from torch import nn

from core.architectures.layers_from_shapes import shapes_of
from core.architectures.timm_build import made
from core.architectures.timm_names import LIST, signature

SAVED_EVERY = 25
PROGRESS = LIST.with_suffix(".progress.json")


def plainest_first(names: list[str]) -> list[str]:
    """Those that pad as TensorFlow does, and longer names, come later."""
    return sorted(names, key=lambda name: (name.startswith(("tf_", "tv_")), len(name), name))


def without_memory(name: str) -> nn.Module | None:
    """The network on the meta device, which most can be made on; else None."""
    try:
        with torch.device("meta"):
            return timm.create_model(name)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AssertionError):
        return None


def written(signatures: dict[str, str]) -> None:
    """The list from signatures by name: one line a signature, so that a new timm's diff is short."""
    networks: dict[str, list[str]] = {}
    for name, key in signatures.items():
        networks.setdefault(key, []).append(name)
    lines = {key: " ".join(plainest_first(names)) for key, names in sorted(networks.items())}
    whole = {"timm": timm.__version__, "networks": lines}
    LIST.write_text(json.dumps(whole, indent=0) + "\n", encoding="utf-8")


def main() -> None:
    signatures: dict[str, str] = json.loads(PROGRESS.read_text()) if PROGRESS.exists() else {}
    left = [name for name in timm.list_models() if name not in signatures]
    for number, name in enumerate(left, start=1):
        if (module := without_memory(name) or made(name)) is not None:
            signatures[name] = signature(shapes_of(module.state_dict()))
        if number % SAVED_EVERY == 0 or number == len(left):
            PROGRESS.write_text(json.dumps(signatures))
            print(number, "of", len(left), name, flush=True)
    written(signatures)
    PROGRESS.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
