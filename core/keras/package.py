"""Keras itself, on its torch backend, imported when the first such file is built."""

import os
import sys
from types import ModuleType

from core import store
from core.errors import UserError


def keras_on_torch() -> ModuleType:
    """Keras with its torch backend. Raises UserError where another one is already in use."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
        # Else Keras makes ~/.keras, and what somebody set there for training changes the numbers.
        os.environ.setdefault("KERAS_HOME", str(store.folder() / "keras"))
    try:
        import keras
    except ImportError as error:
        raise UserError(f"Keras models need the package keras ({error}). Install it: "
                        "pip install -r requirements.txt.") from error
    if (backend := keras.backend.backend()) != "torch":
        raise UserError(f"Keras runs on {backend} in this process. Start Netlens with "
                        "KERAS_BACKEND=torch, or without it.")
    # Streamlit calls it after each run of a page, and it swaps the state that a network running in
    # another thread reads: measured, 13 of 192 passes gave wrong numbers.
    keras.backend.clear_session = lambda free_memory=True: None
    return keras
