"""The modules and constants of a TorchScript archive, ready for a program to be followed.

Every object is new: following a program may change attributes.
"""

from typing import Any

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import DEEPEST
from core.graph.script_pickles import StoredTensors, script_pickle
from core.graph.script_recorder import Recorder
from core.graph.script_source import AGAIN, Sources
from core.graph.script_values import ScriptObject
from core.pickles.values import Placeholder, StoredTensor

LONGEST_PATH = 1000


class Pickles:
    """What the archive's pickles hold, read once."""

    def __init__(self, archive: Archive) -> None:
        if "data.pkl" not in archive:
            raise UserError("it holds no modules (data.pkl is missing): it was saved by torch 1.3 "
                            f"or older, or is incomplete. {AGAIN}")
        self.root = script_pickle(archive, "data.pkl")
        self.tensors = StoredTensors(archive, "data")
        self.constants = ()
        if "constants.pkl" in archive:
            self.constants = script_pickle(archive, "constants.pkl")
        self.constant_tensors = StoredTensors(archive, "constants")
        if not isinstance(self.root, Placeholder) or not isinstance(self.constants, tuple):
            raise UserError(f"its data.pkl holds no module. {AGAIN}")


class Objects:
    """The tree of modules, every tensor of it a weight under its name in the network.

    training: paths of the modules that were saved in training mode; all are in evaluation mode.
    """

    def __init__(self, pickles: Pickles, sources: Sources, recorder: Recorder) -> None:
        self._pickles, self._sources, self._recorder = pickles, sources, recorder
        self._made: dict[int, ScriptObject] = {}
        self.layers: list[str] = []
        self.training: list[str] = []
        self.root = self._module(pickles.root, "")

    def constant(self, name: str) -> Any:
        """CONSTANTS.c0 and its like."""
        number = int(name[1:]) if name[1:].isdecimal() and len(name) < 10 else -1
        if not 0 <= number < len(self._pickles.constants):
            raise UserError(f"its program uses a constant {shown(name)} that the file does not "
                            f"hold. {AGAIN}")
        return self._constant(self._pickles.constants[number], name)

    def take_constants(self) -> None:
        """Makes weights of all constants, whether or not the program uses them."""
        for number, value in enumerate(self._pickles.constants):
            self._constant(value, f"c{number}")

    def _constant(self, value: Any, name: str) -> Any:
        if isinstance(value, StoredTensor):
            tensor = self._pickles.constant_tensors.tensor(value)
            trained = not self._recorder.trained and tensor.is_floating_point() and tensor.dim() > 0
            return self._recorder.weight(tensor, f"constant_{name[1:]}", trained)
        if isinstance(value, (list, tuple)):
            return type(value)(self._constant(part, f"{name}_{index}")
                               for index, part in enumerate(value))
        return value

    def _module(self, said: Placeholder, path: str) -> ScriptObject:
        """The object and what lies below it; one with two names is one object."""
        if id(said) in self._made:
            return self._made[id(said)]
        if len(path) > LONGEST_PATH or path.count(".") >= DEEPEST:
            raise UserError(f"the name {shown(path)} is longer or nested deeper than any layer's. "
                            "Save the network's state dict.")
        kind = self._sources.class_named(said.name)
        if kind.method("__setstate__") or not isinstance(said.state, dict):
            raise UserError(f"{shown(kind.name)} in it runs code of its own when it is loaded "
                            "(__setstate__); that code was not run, so the program cannot be "
                            "read. Save the network's state dict.")
        made = self._made[id(said)] = ScriptObject(said.name, {}, path)
        if path:
            self.layers.append(path)
        if said.state.get("training") is True:
            self.training.append(path)
        trained, below = kind.parameters(), []
        for name, value in said.state.items():
            if isinstance(value, Placeholder):
                below.append((name, value))
            made.attributes[name] = self._value(value, f"{path}.{name}" if path else name,
                                                name in trained)
        for name, value in below:  # after the tensors, as the network itself lists them
            made.attributes[name] = self._module(value, f"{path}.{name}" if path else name)
        if "training" in made.attributes:
            made.attributes["training"] = False
        return made

    def _value(self, value: Any, name: str, trained: bool, depth: int = 0) -> Any:
        self._recorder.step()
        if depth > DEEPEST:
            raise UserError("its attributes are nested too deep. Save the network's state dict.")
        if isinstance(value, StoredTensor):
            self._recorder.trained |= trained
            return self._recorder.weight(self._pickles.tensors.tensor(value), name, trained)
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(part, f"{name}_{index}", trained, depth + 1)
                               for index, part in enumerate(value))
        if isinstance(value, dict):
            return {key: self._value(part, f"{name}_{key}", trained, depth + 1)
                    for key, part in value.items()}
        return value
