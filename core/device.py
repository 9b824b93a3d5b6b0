"""Where networks run, and who may use one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from weakref import WeakKeyDictionary

import torch
from torch import nn

torch.backends.mha.set_fastpath_enabled(
    False
)  # the fused path skips inner layers and has no gradient

_locks: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_guard = threading.Lock()


@cache
def device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def locked(model: nn.Module) -> Iterator[None]:
    """One thread at a time in `model`: hooks and swapped parameters are everybody's."""
    with _guard:
        lock = _locks.setdefault(model, threading.RLock())
    with lock:
        yield


def float_type(model: nn.Module) -> torch.dtype:
    """The floating type of the model's weights, hence of its inputs; float32 without weights."""
    tensors = (*model.parameters(), *model.buffers())
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
