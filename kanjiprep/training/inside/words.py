"""The keys that SimpleTuner can read in a dataloader entry, read off its sources. Runs under the trainer's Python.

SimpleTuner has no list of them, and passes over silently what it does not know.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_READERS: Final = (
    "caching", "data_backend", "data_generation", "data_transforms", "image_manipulation", "metadata", "multiaspect",
    "prompts.py",
)  # fmt: skip
"""Where SimpleTuner reads the entries of a dataloader file."""


def words_of(package: Path) -> frozenset[str]:
    """Every name by which the sources that read dataloader entries look something up."""
    places = [package / "helpers" / name for name in _READERS]
    files = [path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place])]
    return frozenset(word for path in files if path.is_file() for word in words_in(path.read_text("utf-8")))


def words_in(source: str) -> Iterator[str]:
    """The names in ``source`` that stand where a key can: looked up, compared, listed or given to a function."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(slice=one) | ast.Compare(left=one):
                places: Sequence[ast.expr | None] = [one]
            case ast.Tuple(elts=many) | ast.List(elts=many) | ast.Set(elts=many) | ast.Call(args=many):
                places = many
            case ast.Dict(keys=keys):
                places = keys
            case _:
                places = []
        for place in places:
            if isinstance(place, ast.Constant) and isinstance(place.value, str) and place.value.isidentifier():
                yield place.value
