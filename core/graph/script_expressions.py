"""What an expression of a TorchScript program stands for: tensors in the graph, sizes, modules."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.script_language import asked, language_function
from core.graph.script_objects import Objects
from core.graph.script_operators import tensor_operation
from core.graph.script_recorder import Recorder
from core.graph.script_source import AGAIN, Class, Function, Sources, excerpt
from core.graph.script_values import (
    UNSET,
    EnumMember,
    Method,
    Name,
    Record,
    ScriptObject,
    TensorValue,
)

Variables = dict[str, Any]
_FORWARDED = ("annotate", "unchecked_cast")  # they give their second argument


class Expressions(ABC):
    """Values of one program's expressions; `objects` holds its modules and constants.

    files: those whose functions are being followed, the innermost last.
    """

    def __init__(self, sources: Sources, objects: Objects, recorder: Recorder) -> None:
        self.sources, self.objects, self.recorder = sources, objects, recorder
        self.files: list[str] = []

    @abstractmethod
    def run(self, function: Function, arguments: list, keywords: Variables) -> Any:
        """What a function of the program returns."""

    @abstractmethod
    def call_method(self, owner: ScriptObject, name: str, arguments: list,
                    keywords: Variables) -> Any:
        """What a method of an object returns."""

    def truth(self, test: ast.expr, variables: Variables) -> bool:
        value = self.value(test, variables)
        if isinstance(value, TensorValue) and not value.single:
            raise UserError(f"the program decides by numbers that it computes ({excerpt(test)}, "
                            f"{self.recorder.where}), so it is no fixed network and was not run. "
                            "Export the network with torch.export, or save its state dict.")
        return bool(self.recorder.literal(value))

    def refuse(self, node: ast.AST) -> NoReturn:
        raise UserError(f"its code has a {type(node).__name__} that TorchScript does not write or "
                        f"Netlens does not read: {excerpt(node)}, {self.recorder.where}; it was "
                        f"not run. {AGAIN}")

    def value(self, expression: ast.expr, variables: Variables) -> Any:
        if isinstance(expression, ast.Name):
            return variables[expression.id] if expression.id in variables else _free(expression.id)
        if isinstance(expression, ast.Constant):
            return expression.value
        evaluate = _EXPRESSIONS.get(type(expression))
        if evaluate is None:
            self.refuse(expression)
        return evaluate(self, expression, variables)

    def _list(self, expression: ast.List | ast.Tuple, variables: Variables) -> list | tuple:
        self.recorder.step(self.recorder.checked_length(len(expression.elts)))
        parts = [self.value(part, variables) for part in expression.elts]
        return parts if isinstance(expression, ast.List) else tuple(parts)

    def _dict(self, expression: ast.Dict, variables: Variables) -> dict:
        pairs = zip(expression.keys, expression.values, strict=True)
        return {self.recorder.literal(self.value(key, variables)): self.value(value, variables)
                for key, value in pairs if key is not None}

    def _negative(self, expression: ast.UnaryOp, variables: Variables) -> Any:
        if not isinstance(expression.op, ast.USub):
            self.refuse(expression)
        return self.recorder.symbolic("neg", self.value(expression.operand, variables))

    def _choice(self, expression: ast.IfExp, variables: Variables) -> Any:
        chosen = self.truth(expression.test, variables)
        return self.value(expression.body if chosen else expression.orelse, variables)

    def _attribute(self, expression: ast.Attribute, variables: Variables) -> Any:
        return self._named(self.value(expression.value, variables), expression.attr)

    def _named(self, owner: Any, name: str) -> Any:
        """What `owner.name` stands for."""
        if isinstance(owner, Name):
            if owner.dotted == "CONSTANTS":
                return self.objects.constant(name)
            member = self.sources.member(owner.dotted, name)
            return (Name(f"{owner.dotted}.{name}") if member is None
                    else EnumMember(owner.dotted, self.value(member, {})))
        if isinstance(owner, ScriptObject):
            if name in owner.attributes:
                return owner.attributes[name]
            fixed = self.sources.class_named(owner.class_name).constant(name)
            return Method(owner, name) if fixed is None else self.value(fixed, {})
        if isinstance(owner, EnumMember) and name == "value":
            return owner.value
        if isinstance(owner, Record) and name in owner.names:
            return owner[owner.names.index(name)]
        if isinstance(owner, TensorValue):
            answer = asked(self.recorder, name, [owner])
            if answer is not NotImplemented:
                return answer
        raise UserError(f"the program asks for {shown(name)} of a {type(owner).__name__}, "
                        f"{self.recorder.where}, which Netlens does not read. {AGAIN}")

    def _part(self, expression: ast.Subscript, variables: Variables) -> Any:
        owner = self.value(expression.value, variables)
        if isinstance(owner, Name):
            return owner  # a type, such as List[int]
        if not isinstance(owner, (list, tuple, str, dict)):
            self.refuse(expression)
        return owner[self.recorder.literal(self.value(expression.slice, variables))]

    def _call(self, expression: ast.Call, variables: Variables) -> Any:
        called = expression.func
        if isinstance(called, ast.Name) and called.id not in variables:
            if called.id in _FORWARDED and len(expression.args) == 2:
                return self.value(expression.args[1], variables)
            if called.id == "uninitialized":
                return UNSET
        function = self.value(called, variables)
        arguments = [self.value(part, variables) for part in expression.args]
        keywords = {part.arg: self.value(part.value, variables) for part in expression.keywords
                    if part.arg is not None}
        self.recorder.where = f"line {expression.lineno} of {self.files[-1]}"
        if isinstance(function, Method):
            return self.call_method(function.owner, function.name, arguments, keywords)
        if not isinstance(function, Name):
            self.refuse(expression)
        return self._called(function.dotted, arguments, keywords)

    def _called(self, name: str, arguments: list, keywords: Variables) -> Any:
        if name == "getattr" and len(arguments) == 2:
            return self._named(*arguments)
        result = language_function(self.recorder, name, arguments, keywords)
        if result is not NotImplemented:
            return result
        if name.startswith("__torch__."):
            return self._program_function(name, arguments, keywords)
        return tensor_operation(self.recorder, name, arguments, keywords)

    def _program_function(self, name: str, arguments: list, keywords: Variables) -> Any:
        found = self.sources.find(name)
        if isinstance(found, Function):
            return self.run(found, arguments, keywords)
        if isinstance(found, Class) and "NamedTuple" in found.bases:
            record = Record([*arguments, *keywords.values()])
            record.names = found.fields()
            return record
        raise UserError(f"the program makes an object of {shown(name)}, {self.recorder.where}, "
                        "which Netlens does not run. Save the network's state dict.")


def _free(name: str) -> Any:
    return float(name) if name in ("inf", "nan") else Name(name)


_EXPRESSIONS: dict[type, Callable[[Expressions, Any, Variables], Any]] = {
    ast.List: Expressions._list, ast.Tuple: Expressions._list, ast.Dict: Expressions._dict,
    ast.UnaryOp: Expressions._negative, ast.IfExp: Expressions._choice,
    ast.Attribute: Expressions._attribute, ast.Subscript: Expressions._part,
    ast.Call: Expressions._call,
}
