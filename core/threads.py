"""Threads that do not take each other's processors."""

import threading
from concurrent.futures import ThreadPoolExecutor

_starting = threading.Lock()


def side_by_side(count: int, name: str, each: int = 1) -> ThreadPoolExecutor:
    """So many threads, in which an operator of torch's has `each` threads of its own and not, as
    elsewhere, all processors: those beside it use them."""
    import torch  # 1 s

    with _starting:
        usual, all_here = torch.get_num_threads(), threading.Barrier(count + 1)

        def begin() -> None:
            torch.set_num_threads(each)  # of this thread, and of threads yet to come;
            torch.get_num_threads()  # a thread takes what is set when it first asks
            all_here.wait()

        pool = ThreadPoolExecutor(count, name, begin)
        for _ in range(count):
            pool.submit(int)  # starts a thread, since none is free before all are here
        all_here.wait()
        torch.set_num_threads(usual)  # for threads yet to come, as it was
        return pool
