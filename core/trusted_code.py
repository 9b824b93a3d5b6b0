"""Networks built by code of the server's own: only where whoever runs it has said so."""

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import store
from core.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

VARIABLE = "NETLENS_TRUST_CODE"  # set to 1 on the server: cards may name callables of its modules
NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
SHOWN = 5  # names in a message

Spelling = tuple[Mapping[str, "torch.Tensor"], tuple[str, ...]]


def names_code(architecture: str | None) -> bool:
    """Whether a card's architecture is module:callable, and no name of a known network."""
    return bool(architecture and NAME.fullmatch(architecture))


def trusted() -> bool:
    """Whether whoever started the server lets cards name its code."""
    return os.environ.get(VARIABLE) == "1"


def not_trusted(architecture: str) -> str:
    """What to say where a card names code and the server does not run any."""
    return (
        f"The card names code of the server, {architecture}, which was not run. Whoever runs this "
        f"server must start it with {VARIABLE}=1 for that, and only if everybody who can upload a "
        "card is to be trusted."
    )


def code_digest(architecture: str | None) -> str:
    """Changes when the module that a card names does; empty where no code is named or trusted."""
    if not trusted() or not names_code(architecture):
        return ""
    file = _file_of(architecture.partition(":")[0], architecture)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:32]


def kept(key: str, make: Callable[[], Any], worth: Callable[[Any], bool] = bool) -> Any:
    """As store.kept; on a server that runs code of its own nothing is kept of the networks, since
    nobody sees what else such code imports."""
    return make() if trusted() else store.kept(key, make, worth)


def network_of_code(architecture: str, spellings: Iterable[Spelling],
                    source: str) -> tuple["nn.Module", tuple[str, ...]]:
    """The network that `module:callable` gives, its weights loaded strictly, and notes.

    spellings: the tensors of the file `source` under the names they may stand for, with a note on
    each. Raises UserError that says what does not fit, or that the code is not trusted.
    """
    module = _called(architecture)
    wanted = module.state_dict()
    every = list(spellings)
    tensors, notes = next((s for s in every if s[0].keys() == wanted.keys()), every[0])
    if problem := _misfit(wanted, tensors):
        raise UserError(f"{source} does not fit the network of {architecture}: {problem}. Correct "
                        "the code, or the card.")
    module.load_state_dict(tensors, strict=True)
    said = f"Built by calling {architecture} on this server ({VARIABLE}=1), loaded strictly."
    return module.eval().requires_grad_(False), (said, *notes)


def _called(architecture: str) -> "nn.Module":
    """What the callable gives when called with nothing. Raises UserError if that is no network."""
    from torch import nn

    network = _guarded(architecture, _callable(architecture))
    if not isinstance(network, nn.Module):
        raise UserError(f"{architecture} gives {type(network).__name__}, not a torch.nn.Module. "
                        "Name a class, or a function that builds the network.")
    return network


def _callable(architecture: str) -> Callable[[], Any]:
    """The callable, imported. Raises UserError where the server does not trust or find it."""
    if not trusted():
        raise UserError(not_trusted(architecture))
    place, name = NAME.fullmatch(architecture).groups()
    _file_of(place, architecture)
    module = _guarded(architecture, lambda: importlib.import_module(place))
    found = getattr(module, name, None)
    if not callable(found) or _is_pythons(getattr(found, "__module__", None) or "builtins"):
        raise UserError(f"{architecture}: the module {place} has no callable of its own named "
                        f"{name}. Correct the card.")
    return found


def _file_of(place: str, architecture: str) -> Path:
    """The source of a module on the server's path, never of Python's own or of an upload."""
    spec = None if _is_pythons(place) else _guarded(architecture, lambda: _spec(place))
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise UserError(f"{architecture}: there is no module {place} on the server's Python path. "
                        "Add its folder to PYTHONPATH, or correct the card.")
    if Path(spec.origin).resolve().is_relative_to(store.folder().resolve()):
        raise UserError(f"{architecture}: the module {place} lies where uploads are kept. Name one "
                        "of the server's own.")
    return Path(spec.origin)


def _spec(place: str) -> Any:
    try:
        return find_spec(place)
    except ModuleNotFoundError:  # of a package around it
        return None


def _is_pythons(place: str) -> bool:
    return place.partition(".")[0] in sys.stdlib_module_names  # os:abort takes no arguments


def _guarded(architecture: str, run: Callable[[], Any]) -> Any:
    """What `run` gives; whatever the code named by a card raises is told with its name."""
    try:
        return run()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise UserError(f"{architecture} failed: {reason}. It is imported and called without "
                        "arguments; correct the code, or the card.") from error


def _misfit(wanted: Mapping[str, "torch.Tensor"], tensors: Mapping[str, "torch.Tensor"]) -> str:
    """How the tensors differ from those of the network; empty where they do not."""
    reshaped = [
        f"{name} is {_times(tensors[name])} in the file and {_times(wanted[name])} in the network"
        for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    lists = {
        "the file lacks": [name for name in wanted if name not in tensors],
        "the network lacks": [name for name in tensors if name not in wanted],
        "other shapes:": reshaped,
    }
    return "; ".join(f"{words} {', '.join(names[:SHOWN])}"
                     + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
                     for words, names in lists.items() if names)


def _times(tensor: "torch.Tensor") -> str:
    return " × ".join(map(str, tensor.shape)) or "one number"
