"""Imports in the background, while nobody waits, of what other pages need than the first."""

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from importlib import import_module

from core.jobs import active

FOR_OTHERS = {  # by the seconds after the last run of a page; torch takes seconds itself
    0.5: ("core.ui.charts", "core.ui.curves", "core.ui.embeddings", "core.ui.layer_tree",
          "core.ui.network_totals", "core.ui.saliency"),
    2.0: ("core.saliency.explained", "core.ui.weights"),
}
TURN = 0.0005  # seconds, after which a thread that is waited for goes on
_lock, _importing = threading.Lock(), threading.Lock()
_runs: deque[float] = deque(maxlen=1)  # when the last one ended


def run_ended() -> None:
    """Starts the imports after the first run, and has them wait after each."""
    with _lock:
        first = not _runs
        _runs.append(time.monotonic())
    if first:
        threading.Thread(target=_import_when_idle, daemon=True).start()


def _import_when_idle() -> None:
    for seconds, modules in FOR_OTHERS.items():
        for module in modules:
            while active() or time.monotonic() < _runs[0] + seconds:
                time.sleep(seconds / 5)
            import_aside([module])


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
