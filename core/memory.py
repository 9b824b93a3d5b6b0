"""What the C library does with memory that is given back to it."""

import numpy as np

KEPT = 31 << 20  # bytes; glibc raises what it keeps for blocks up to 32 MiB only


def keep_freed_memory() -> None:
    """glibc hands large blocks back to the system, and who makes such blocks again and again then
    has all their pages anew, as much work as what is done with them. One block that is freed
    raises what it keeps (man 3 mallopt)."""
    np.empty(KEPT, np.uint8)
