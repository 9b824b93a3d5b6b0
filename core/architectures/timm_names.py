"""Which of timm's networks share the names and widths of a file's tensors, by a list made once.

The list, timm_names.json, is written by tests/timm_name_list.py and names timm's version. It only
proposes: each network is built and compared tensor by tensor, so a list made with another version
of timm can miss a network, never mistake one.
"""

import json
import re
import zlib
from functools import cache
from pathlib import Path

from core.architectures import Shapes

LIST = Path(__file__).with_suffix(".json")
# What people take off or replace for classes of their own.
HEAD = re.compile(r"((aux_)?head\w*|fc\w*|classifier\w*|last_linear|linear)\.")


def signature(shapes: Shapes) -> str:
    """A digest of the names outside the head and of each tensor's first side: neither classes nor
    the input's channels nor a transformer's picture size change it."""
    said = sorted(f"{name}:{shape[0] if shape else 0}" for name, shape in shapes.items()
                  if not HEAD.match(name))
    return f"{zlib.crc32(' '.join(said).encode('utf-8', 'replace')):08x}"


@cache
def listed() -> tuple[str, dict[str, list[str]]]:
    """timm's version, and its networks' names by signature, the plainest first."""
    read = json.loads(LIST.read_text(encoding="utf-8"))
    return read["timm"], {key: names.split() for key, names in read["networks"].items()}


def names_of(shapes: Shapes) -> list[str]:
    """timm's names of networks with this signature, the plainest first."""
    return listed()[1].get(signature(shapes), [])
