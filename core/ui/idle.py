"""Imports in the background, while nobody waits, of what other pages need than the first."""

import gc
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

from core.jobs import active

FOR_OTHERS = ("core.ui.layer_tree", "core.ui.network_totals", "core.ui.charts", "core.ui.runs",
              "core.ui.hyperparameters", "core.ui.log_histograms", "core.ui.log_media",
              "core.ui.embeddings", "core.ui.saliency")
WITH_TORCH = ("core.measures.architecture_of", "core.measures.receptive_field",
              "core.saliency.explained", "core.ui.weights")
LATER = 3.0  # seconds after a run of a page, before which torch is not imported: it takes seconds
TURN = 0.0005  # seconds, after which a thread that is waited for goes on
PAUSE = 0.1  # seconds between two looks
_lock, _importing = threading.Lock(), threading.Lock()
_runs: list[float] = []  # when the last one of a page ended
_now = 0  # of those that go on


@contextmanager
def running() -> Iterator[None]:
    """Around each run of a page: imports wait for it, and begin after the first."""
    global _now
    with _lock:
        _now += 1
    try:
        yield
    finally:
        with _lock:
            first = not _runs
            _now -= 1
            _runs[:] = [time.monotonic()]
        if first:
            threading.Thread(target=_import_when_idle, daemon=True).start()


def _import_when_idle() -> None:
    for module in (*FOR_OTHERS, *WITH_TORCH):
        later = LATER if module in WITH_TORCH and "torch" not in sys.modules else 0.0
        while _now or active() or time.monotonic() < _runs[0] + later:
            time.sleep(PAUSE)
        import_aside([module])
    gc.collect()
    gc.freeze()  # Streamlit looks through all that is left after each run of a page


def import_aside(modules: Iterable[str]) -> None:
    """Imports in a thread beside others, which are soon given their turn."""
    with _importing:
        turn = sys.getswitchinterval()
        sys.setswitchinterval(TURN)
        try:
            for module in modules:
                import_module(module)
        finally:
            sys.setswitchinterval(turn)
