"""The import statements of a module that its stub keeps."""

from __future__ import annotations

import ast
from types import ModuleType

from bridgekit.stubs.definitions import ModuleText, imported_from, module_text
from bridgekit.stubs.names import Place, Qualified, Translator, load

__all__ = ["bound_names", "kept_import"]

ImportNode = ast.Import | ast.ImportFrom


def bound_names(node: ImportNode) -> list[str]:
    """The names that an import statement binds."""
    return [alias.asname or alias.name for alias in node.names]


def kept_import(
    node: ImportNode, module: ModuleType, text: ModuleText, translator: Translator
) -> ImportNode | None:
    """The statement without names that are not there to import; None if nothing is left.

    It may stand in a branch for another platform, or be one that is expected to fail.
    """
    if isinstance(node, ast.Import):
        return node
    source = imported_from(node, text.name, text.is_package)
    if source == "__future__":
        return None
    there = module_text(source)
    names = []
    for alias in node.names:
        if alias.name == "*":
            exists = True
        elif there is None:
            exists = hasattr(module, alias.asname or alias.name)
        else:
            found = translator.resolve(alias.name, Place(there))
            exists = (
                (found is not None and found.module != "builtins")
                or load(Qualified(source, alias.name)) is not None
                or module_text(f"{source}.{alias.name}") is not None
            )
        if exists:
            names.append(alias)
    return ast.ImportFrom(node.module, names, node.level) if names else None
