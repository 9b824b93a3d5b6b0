"""How large a file may be: what people upload, and ten times that in the server's own folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds that are checked before anything is unpacked or allocated.

    unpacked_bytes: all members of an archive together. ratio: of one member, above ratio_floor.
    structure_depth: containers inside containers of a pickle.
    """

    unpacked_bytes: int = 512 * MB
    ratio: int = 100
    ratio_floor: int = 8 * MB
    members: int = 3_000
    header_bytes: int = 16 * MB
    pickle_bytes: int = 32 * MB
    pickle_objects: int = 3_000_000
    tensors: int = 5_000
    nodes: int = 5_000  # of an ONNX file; some of torchvision's have more
    elements: int = 250_000_000
    json_depth: int = 100
    structure_depth: int = 64


UPLOADED = Limits()
OWN = Limits(
    unpacked_bytes=5_120 * MB,
    members=30_000,
    tensors=50_000,
    nodes=20_000,  # as many as a graph of ours may have
    elements=2_500_000_000,
)

_current: ContextVar[Limits] = ContextVar("limits", default=OWN)


def current_limits() -> Limits:
    """The limits for the file being read in this thread."""
    return _current.get()


@contextmanager
def limited_to(limits: Limits) -> Iterator[None]:
    """Reads what is opened inside under these limits, as `with limited_to(UPLOADED)`."""
    token = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(token)
