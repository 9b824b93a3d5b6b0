"""What the C library does with memory that is given back to it."""

import ctypes
import sys
from contextlib import suppress

ARENA_MAX = -8  # of mallopt, in malloc.h
ARENAS = 2
KEPT = 31 << 20  # bytes; glibc raises what it keeps for blocks up to 32 MiB only


def keep_freed_memory() -> None:
    """glibc hands large blocks back to the system, and who makes such blocks again and again then
    has all their pages anew, as much work as what is done with them. One block that is freed
    raises what it keeps (man 3 mallopt)."""
    import numpy as np  # not before the server listens

    np.empty(KEPT, np.uint8)


def share_freed_memory() -> None:
    """glibc gives each of a server's many threads a heap of its own, up to eight a processor, and
    what one frees another cannot use: a tenth of the server's memory. To be called before there are
    threads."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(ARENA_MAX, ARENAS)
