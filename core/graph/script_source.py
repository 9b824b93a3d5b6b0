"""The source text in a TorchScript archive, parsed and never run: classes, functions, methods."""

import ast
from dataclasses import dataclass

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.text_of_files import shown

LARGEST_SOURCE = 4 << 20  # bytes of all the text; the largest real network that was met has 0.3 MB
LONGEST_EXCERPT = 120
AGAIN = "Save the network again with torch.jit.save, or save its state dict."


@dataclass(frozen=True)
class Function:
    """A function of the program, and the member of the archive that it stands in."""

    name: str
    body: ast.FunctionDef
    file: str


@dataclass(frozen=True)
class Class:
    """A class of the program: methods, the values fixed in its body, what it calls parameters."""

    name: str
    body: ast.ClassDef
    file: str

    @property
    def bases(self) -> set[str]:
        return {base.id for base in self.body.bases if isinstance(base, ast.Name)}

    def method(self, name: str) -> Function | None:
        for part in self.body.body:
            if isinstance(part, ast.FunctionDef) and part.name == name:
                return Function(name, part, self.file)
        return None

    def constant(self, name: str) -> ast.expr | None:
        """`name : Final[int] = 4`, or `name = 4` of an enumeration."""
        for part in self.body.body:
            if isinstance(part, (ast.Assign, ast.AnnAssign)):
                target = part.targets[0] if isinstance(part, ast.Assign) else part.target
                if isinstance(target, ast.Name) and target.id == name:
                    return part.value
        return None

    def fields(self) -> tuple[str, ...]:
        """The names of a NamedTuple's fields."""
        return tuple(part.target.id for part in self.body.body
                     if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name))

    def parameters(self) -> frozenset[str]:
        """The attributes that are trained."""
        said = self.constant("__parameters__")
        parts = said.elts if isinstance(said, ast.List) else []
        return frozenset(str(part.value) for part in parts if isinstance(part, ast.Constant))


class Sources:
    """The definitions in code/, each file parsed when it is first asked for."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._files: dict[str, dict[str, Function | Class]] = {}
        size = sum(archive.size(name) for name in archive.names
                   if name.startswith("code/") and name.endswith(".py"))
        if size > LARGEST_SOURCE:
            raise UserError(f"its program has {size:,} bytes of source, the limit is "
                            f"{LARGEST_SOURCE:,}. Save the network's state dict.")

    def find(self, full_name: str) -> Function | Class:
        """What a name such as "__torch__.models.Net" stands for. Raises UserError."""
        module, _, name = full_name.rpartition(".")
        found = self._definitions(f"code/{module.replace('.', '/')}.py").get(name)
        if found is None:
            raise UserError(f"its program has no definition of {shown(full_name)}. {AGAIN}")
        return found

    def class_named(self, full_name: str) -> Class:
        found = self.find(full_name)
        if not isinstance(found, Class):
            raise UserError(f"{shown(full_name)} in its program is no class. {AGAIN}")
        return found

    def member(self, class_name: str, name: str) -> ast.expr | None:
        """The value of an enumeration's member; None where the name is no enumeration's."""
        module, _, last = class_name.rpartition(".")
        file = f"code/{module.replace('.', '/')}.py"
        found = self._definitions(file).get(last) if file in self._archive else None
        return found.constant(name) if isinstance(found, Class) and "Enum" in found.bases else None

    def _definitions(self, file: str) -> dict[str, Function | Class]:
        if file not in self._files:
            self._files[file] = {
                part.name: (Function if isinstance(part, ast.FunctionDef) else Class)(
                    part.name, part, file)
                for part in self._parsed(file).body
                if isinstance(part, (ast.FunctionDef, ast.ClassDef))}
        return self._files[file]

    def _parsed(self, file: str) -> ast.Module:
        if file not in self._archive:
            raise UserError(f"its program lacks the file {shown(file)}, it is incomplete. {AGAIN}")
        try:
            return ast.parse(self._archive.read(file, LARGEST_SOURCE).decode())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or type(error).__name__
            raise UserError(f"the code in {shown(file)} is damaged or nested too deep to be read "
                            f"({shown(reason)}); nothing of it was run. {AGAIN}") from error


def excerpt(node: ast.AST) -> str:
    """The beginning of a piece of source, for a message."""
    return shown(ast.unparse(node), LONGEST_EXCERPT)
