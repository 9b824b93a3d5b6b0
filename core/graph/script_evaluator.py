"""Follows a TorchScript program, statement by statement, and records what it does to tensors.

The program is a small subset of Python, given as a parsed tree. Nothing of it is compiled or run:
each kind of statement that is known has a method here, others are refused.
"""

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.script_expressions import Expressions, Variables
from core.graph.script_language import detached_block
from core.graph.script_source import AGAIN, Function
from core.graph.script_values import DoesNotFitError, ScriptObject

DEEPEST_CALLS = 100


class _Returned(Exception):  # noqa: N818 (no error: it ends a function)
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Evaluator(Expressions):
    """Follows functions of one program."""

    def call_method(self, owner: ScriptObject, name: str, arguments: list,
                    keywords: Variables) -> Any:
        method = self.sources.class_named(owner.class_name).method(name)
        if method is None:
            raise UserError(f"the program calls {shown(name)}, which {shown(owner.class_name)} "
                            f"does not have. {AGAIN}")
        with self.recorder.call(owner, name):
            return self.run(method, [owner, *arguments], keywords)

    def run(self, function: Function, arguments: list, keywords: Variables) -> Any:
        if len(self.files) >= DEEPEST_CALLS:
            raise UserError(f"functions of the program call each other deeper than "
                            f"{DEEPEST_CALLS} levels, it may never end. {AGAIN}")
        signature = function.body.args
        names = [parameter.arg for parameter in signature.args]
        if len(arguments) > len(names):
            raise UserError(f"{shown(function.name)} is called with too many arguments. {AGAIN}")
        variables = dict(zip(names, arguments, strict=False)) | keywords
        defaults = zip(reversed(names), reversed(signature.defaults), strict=False)
        self.files.append(function.file)
        try:
            for name, default in defaults:
                if name not in variables:
                    variables[name] = self.value(default, {})
            self._block(function.body.body, variables)
        except _Returned as returned:
            return returned.value
        finally:
            self.files.pop()
        return None

    # --- statements

    def _block(self, statements: list[ast.stmt], variables: Variables) -> None:
        for statement in statements:
            self.recorder.step()
            self.recorder.where = f"line {statement.lineno} of {self.files[-1]}"
            follow = _STATEMENTS.get(type(statement))
            if follow is None:
                self.refuse(statement)
            follow(self, statement, variables)

    def _assign(self, statement: ast.Assign, variables: Variables) -> None:
        value = self.value(statement.value, variables)
        for target in statement.targets:
            self._bind(target, value, variables)

    def _declare(self, statement: ast.AnnAssign, variables: Variables) -> None:
        if statement.value is not None:
            self._bind(statement.target, self.value(statement.value, variables), variables)

    def _bind(self, target: ast.expr, value: Any, variables: Variables) -> None:
        if isinstance(target, ast.Name):
            variables[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (list, tuple)):
            if len(value) != len(target.elts):
                raise DoesNotFitError(f"{self.recorder.where} takes apart {len(value)} parts as "
                                      f"{len(target.elts)}. {AGAIN}")
            for part, one in zip(target.elts, value, strict=True):
                self._bind(part, one, variables)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, variables)
            if not isinstance(owner, ScriptObject):
                self.refuse(target)
            owner.attributes[target.attr] = value
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value, variables)
            if not isinstance(owner, (list, dict)):
                self.refuse(target)
            owner[self.recorder.literal(self.value(target.slice, variables))] = value
        else:
            self.refuse(target)

    def _if(self, statement: ast.If, variables: Variables) -> None:
        chosen = self.truth(statement.test, variables)
        self._block(statement.body if chosen else statement.orelse, variables)

    def _while(self, statement: ast.While, variables: Variables) -> None:
        while self.truth(statement.test, variables):
            self.recorder.step()
            self._block(statement.body, variables)

    def _for(self, statement: ast.For, variables: Variables) -> None:
        parts = self.value(statement.iter, variables)
        if not isinstance(parts, (list, tuple, range)):
            self.refuse(statement.iter)
        for part in parts:
            self.recorder.step()
            self._bind(statement.target, part, variables)
            self._block(statement.body, variables)

    def _with(self, statement: ast.With, variables: Variables) -> None:
        """no_grad and its like, which a program writes with `with`."""
        blocks = [self.value(item.context_expr, variables) for item in statement.items]
        with detached_block(self.recorder, blocks):
            self._block(statement.body, variables)

    def _assert(self, statement: ast.Assert, variables: Variables) -> None:
        if not self.truth(statement.test, variables):
            raise DoesNotFitError(f"an assertion of the program fails, {self.recorder.where}. "
                                  "Set the input size in the model card.")

    def _return(self, statement: ast.Return, variables: Variables) -> NoReturn:
        returned = None if statement.value is None else self.value(statement.value, variables)
        raise _Returned(returned)


_STATEMENTS: dict[type, Callable[[Evaluator, Any, Variables], None]] = {
    ast.Assign: Evaluator._assign, ast.AnnAssign: Evaluator._declare, ast.If: Evaluator._if,
    ast.While: Evaluator._while, ast.For: Evaluator._for, ast.With: Evaluator._with,
    ast.Assert: Evaluator._assert, ast.Return: Evaluator._return,
    ast.Pass: lambda evaluator, statement, variables: None,
    ast.Expr: lambda evaluator, statement, variables: evaluator.value(statement.value, variables),
}
