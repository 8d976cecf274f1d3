"""The file tree with a line for each module: the first of its own words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parent.parent
_COLUMN: Final = 34


def tree() -> str:
    """Every module of the package below its folder, with the first line of its docstring."""
    return "\n".join(("```", f"{PACKAGE.name}/", *_lines(PACKAGE, 1), "```"))


def _lines(folder: Path, depth: int) -> Iterator[str]:
    inside = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    for path in inside:
        if path.is_dir() and any(path.rglob("*.py")):
            yield _line(f"{path.name}/", path / "__init__.py", depth)
            yield from _lines(path, depth + 1)
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield _line(path.name, path, depth)


def _line(name: str, module: Path, depth: int) -> str:
    said = _first_line(module) if module.is_file() else ""
    return f"{'  ' * depth + name:{_COLUMN}} {said}".rstrip()


def _first_line(module: Path) -> str:
    words = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return words.partition("\n")[0].removesuffix(".")
