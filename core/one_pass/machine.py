"""This machine in words, without waking torch where it was asked before."""

import os
import platform
from functools import cache, partial
from pathlib import Path

from core import store
from core.jobs import Progress, demand

BOOT = Path("/proc/sys/kernel/random/boot_id")
SETTINGS = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@cache
def device_title() -> str:
    """The device that networks run on, for the sidebar and the notes. May raise Working."""
    machine = [
        platform.node(),
        BOOT.read_text() if BOOT.is_file() else platform.platform(),
        os.cpu_count(),
        sorted(path.name for path in Path("/dev").glob("nvidia*")),
        [os.environ.get(name) for name in SETTINGS],
    ]
    key = store.key(machine=machine, code=store.code())
    find = partial(store.read_json, key)
    return demand(key, "Looking at this machine", "", find, partial(_keep, key), "files")


def _keep(key: str, progress: Progress) -> None:
    store.write_json(key, _title())


def _title() -> str:
    import torch

    from core.device import device

    if device().type == "cuda":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    cpu = f"CPU, {threads} thread{'s' * (threads > 1)}"
    return "Apple GPU" if device().type == "mps" else cpu
