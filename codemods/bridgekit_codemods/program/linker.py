"""Modules, imports and names: what a name stands for before any value is inferred."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping

from bridgekit_codemods.catalog import canonical
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.scopes import Binding, Scope
from bridgekit_codemods.program.source import SourceFile

_IMPORT_ROOTS = ("", "src", "lib", "python")


class Linker:
    """Resolves module names to files and names to dotted names, by imports alone."""

    def __init__(self, files: Mapping[str, SourceFile], facts: Facts) -> None:
        self.files = files
        self.facts = facts
        self._by_name: dict[str, list[str]] = {}
        self._by_suffix: dict[str, list[str]] = {}
        self._modules: dict[tuple[str, str], str | None] = {}
        self._imported: dict[tuple[str, str, str, int], str] = {}
        self._directories: set[str] = set()
        for path, file in files.items():
            self._by_name.setdefault(file.module, []).append(path)
            parts = path.removesuffix("/__init__.py").removesuffix(".py").split("/")
            for start in range(len(parts)):
                self._by_suffix.setdefault(".".join(parts[start:]), []).append(path)
            for end in range(1, len(parts)):
                self._directories.add("/".join(parts[:end]))

    def module_path(self, name: str, importer: str) -> str | None:
        """The file of a module as imported from `importer`; None when it is not the program's."""
        key = (name, importer.rpartition("/")[0])
        if key not in self._modules:
            self._modules[key] = self._find_module(name, importer)
        return self._modules[key]

    def _find_module(self, name: str, importer: str) -> str | None:
        here = importer.rpartition("/")[0]
        for path in self._by_name.get(name, ()):
            file = self.files[path]
            directory = path.rpartition("/")[0]
            packaged = "." in file.module or path.endswith("__init__.py")
            if packaged or directory in _IMPORT_ROOTS or _is_above(directory, here):
                return path
        candidates = [p for p in self._by_suffix.get(name, ()) if p != importer]
        if "." not in name:
            # a bare script is importable only from where it lies (or by the tests' path set-up)
            candidates = [
                p
                for p in candidates
                if p.rpartition("/")[0] == here and "." not in self.files[p].module
            ]
        if len(candidates) > 1:
            shared = [(len(_common(p, importer)), p) for p in candidates]
            best = max(length for length, _ in shared)
            candidates = [p for length, p in shared if length == best]
        return candidates[0] if len(candidates) == 1 else None

    def submodule(self, path: str, name: str) -> str | None:
        """The file of submodule `name` of the package whose `__init__.py` is `path`."""
        if not path.endswith("__init__.py"):
            return None
        directory = path.removesuffix("__init__.py")
        for candidate in (f"{directory}{name}.py", f"{directory}{name}/__init__.py"):
            if candidate in self.files:
                return candidate
        return None

    def is_namespace(self, name: str) -> bool:
        """Whether a dotted name is a directory of the program without an `__init__.py`."""
        return name == "." or name.replace(".", "/") in self._directories

    def module_names(self, path: str, name: str, seen: frozenset[str] = frozenset()) -> (
        tuple[Scope, list[Binding]] | None
    ):  # fmt: skip
        """The bindings of a module's attribute, through `import *`."""
        scope = self.facts.modules.get(path)
        if scope is None or path in seen:
            return None
        bindings = scope.names.get(name)
        if bindings:
            return scope, bindings
        if name.startswith("_"):
            return None
        for module in scope.star_imports:
            target = self.module_path(module, path)
            if target is not None:
                found = self.module_names(target, name, seen | {path})
                if found is not None:
                    return found
        return None

    def external_star(self, scope: Scope, name: str) -> str | None:
        """Dotted name that an unbound name may have from `from library import *`.

        Only one such import leaves no doubt about where the name comes from.
        """
        outer = scope.module_scope
        modules = [m for m in outer.star_imports if self.module_path(m, outer.file.path) is None]
        if len(modules) == 1 and not name.startswith("_"):
            return canonical(f"{modules[0]}.{name}")
        return None

    def lookup(self, scope: Scope, name: str) -> tuple[Scope, list[Binding]] | None:
        """The bindings of a name read in `scope`, through the module's star imports."""
        found = scope.find(name)
        if found is None:
            outer = scope.module_scope
            if outer.star_imports:
                found = self.module_names(outer.file.path, name)
        return found

    # -- dotted names ----------------------------------------------------------------------

    def dotted(self, scope: Scope, node: ast.expr) -> str | None:
        """The dotted name of a name or attribute chain as far as imports and definitions tell."""
        if isinstance(node, ast.Name):
            found = self.lookup(scope, node.id)
            if found is None:
                star = self.external_star(scope, node.id)
                if star is None and not hasattr(builtins, node.id):
                    return None
                return star or f"builtins.{node.id}"
            owner, bindings = found
            return self.binding_name(owner, bindings, node.id)
        if isinstance(node, ast.Attribute):
            base = self.dotted(scope, node.value)
            return None if base is None else self.member_name(base, node.attr, scope.file.path)
        return None

    def binding_name(
        self, owner: Scope, bindings: list[Binding], name: str, depth: int = 0
    ) -> str | None:
        binding = bindings[-1]
        if binding.function is not None and binding.kind == "function":
            return binding.function.qualname
        if binding.cls is not None and binding.kind == "class":
            return binding.cls.qualname
        path = owner.file.path
        if binding.kind == "import":
            target = self.module_path(binding.module, path)
            return self.files[target].module if target else binding.module
        if binding.kind == "from":
            return self.imported_name(binding.module, binding.attribute, path, depth + 1)
        if owner.kind == "module":
            return f"{owner.file.module}.{name}"
        return None

    def imported_name(self, module: str, attribute: str, importer: str, depth: int = 0) -> str:
        key = (module, attribute, importer, depth)
        known = self._imported.get(key)
        if known is None:
            known = self._imported[key] = self._imported_name(*key)
        return known

    def _imported_name(self, module: str, attribute: str, importer: str, depth: int) -> str:
        target = self.module_path(module, importer)
        if target is not None:
            return self.member_name(self.files[target].module, attribute, importer, target, depth)
        if self.is_namespace(module):
            inner = attribute if module == "." else f"{module}.{attribute}"
            path = self.module_path(inner, importer)
            if path is not None:
                return self.files[path].module
        return canonical(f"{module}.{attribute}")

    def member_name(
        self, base: str, attribute: str, importer: str, path: str | None = None, depth: int = 0
    ) -> str:
        """The dotted name of an attribute of a dotted thing, re-exports resolved."""
        if path is None and base not in self.facts.classes:
            path = self.module_path(base, importer)
        if path is None or depth > 20:
            if path is None and not self._is_project(base):
                return canonical(f"{base}.{attribute}")
            return f"{base}.{attribute}"
        found = self.module_names(path, attribute)
        if found is not None:
            owner, bindings = found
            binding = bindings[-1]
            if binding.kind == "from" and (binding.module, binding.attribute) != (base, attribute):
                target = self.module_path(binding.module, owner.file.path)
                if target is not None and target != path:
                    return self.member_name(
                        self.files[target].module, binding.attribute, importer, target, depth + 1
                    )
            if binding.kind != "from" or self.submodule(path, attribute) is None:
                named = self.binding_name(owner, bindings, attribute, depth + 1)
                return named or f"{base}.{attribute}"
        inner = self.submodule(path, attribute)
        if inner is not None:
            return self.files[inner].module
        star = self.external_star(self.facts.modules[path], attribute) if (
            path in self.facts.modules) else None  # fmt: skip
        return star or f"{base}.{attribute}"

    def _is_project(self, dotted: str) -> bool:
        return dotted in self.facts.classes or dotted in self.facts.functions


def _is_above(directory: str, here: str) -> bool:
    return here == directory or here.startswith(directory + "/")


def _common(first: str, second: str) -> list[str]:
    shared = []
    for left, right in zip(first.split("/"), second.split("/"), strict=False):
        if left != right:
            break
        shared.append(left)
    return shared
