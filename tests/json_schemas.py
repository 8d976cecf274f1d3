"""A JSON Schema (draft 2020-12) of a dataclass, as ``--json`` prints it, with what its docstring says of each key."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import functools
import importlib
import inspect
import pathlib
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from kanjiprep.cli import tables
from kanjiprep.spec import Bounds

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: Final[Mapping[Any, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    pathlib.Path: {"type": "string"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    type(None): {"type": "null"},
    object: {},
}
_UNITS: Final = {
    "_s": "seconds",
    "seconds": "seconds",
    "_px": "pixels",
    "_h": "hours",
    "hours": "hours",
    "usd": "US dollars",
    "_gib": "GiB",
    "bytes": "bytes",
    "usd_per_hour": "US dollars an hour",
    "usd_so_far": "US dollars",
}
"""By the end of a name, the longest that fits."""


@dataclasses.dataclass(frozen=True, slots=True)
class Words:
    """What the dataclasses do not say themselves.

    Attributes:
        meanings: Of a key, by ``Class.key``.
        choices: The words that a text may be, by ``Class.key``.
        nullable: Numbers that may be null in JSON, by ``Class.key``.
        without: Keys that are not printed, by ``Class.key``.
    """

    meanings: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    nullable: frozenset[str]
    without: frozenset[str]


class Book:
    """The definitions of one schema, which its documents refer to."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._names: dict[type, str] = {}
        self.defs: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a value of ``kind``.

        Raises:
            TypeError: If there is none.
        """
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return {"$ref": f"#/$defs/{self._named(kind)}"}
        make = self._MADE.get(typing.get_origin(kind))
        if make is None:
            raise TypeError(f"no schema for {kind}")
        return make(self, typing.get_args(kind))

    def _literal(self, arguments: Sequence[Any]) -> Schema:
        return {"enum": list(arguments)}

    def _annotated(self, arguments: Sequence[Any]) -> Schema:
        return {**self.of(arguments[0]), **_limits(arguments[1])}

    def _union(self, arguments: Sequence[Any]) -> Schema:
        return _any([self.of(one) for one in arguments])

    def _mapping(self, arguments: Sequence[Any]) -> Schema:
        return {"type": "object", "additionalProperties": self.of(arguments[1])}

    def _tuple(self, arguments: Sequence[Any]) -> Schema:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self.of(arguments[0])}
        number = len(arguments)
        items = [self.of(one) for one in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": number, "maxItems": number}

    _MADE: ClassVar[Mapping[Any, Callable[[Book, Sequence[Any]], Schema]]] = {
        typing.Literal: _literal,
        typing.Annotated: _annotated,
        typing.Union: _union,
        types.UnionType: _union,
        Mapping: _mapping,
        dict: _mapping,
        tuple: _tuple,
    }

    def properties(self, cls: type, *without: str) -> dict[str, Schema]:
        """Schemas of the fields of ``cls`` by name."""
        told = tables.attributes(cls)
        return {
            name: self._described(cls, name, kind, told)
            for name, kind in kinds(cls).items()
            if name not in without and f"{cls.__name__}.{name}" not in self._words.without
        }

    def _described(self, cls: type, name: str, kind: Any, told: Mapping[str, str]) -> Schema:
        key = f"{cls.__name__}.{name}"
        choices = self._words.choices.get(key)
        schema = self.of(kind) if choices is None else {"enum": list(choices)}
        if key in self._words.nullable:
            schema = _any([schema, {"type": "null"}])
        meaning = self._words.meanings.get(key) or told.get(name, "").replace("\\|", "|") or _first_line(kind)
        assert meaning, f"{cls.__module__}.{key} is not described"
        return {"description": with_unit(name, meaning), **schema}

    def _named(self, cls: type) -> str:
        if cls not in self._names:
            name = cls.__name__
            if name in self.defs:
                name = f"{cls.__module__.rpartition('.')[2].title().replace('_', '')}{name}"
            assert name not in self.defs, name
            self._names[cls] = name
            self.defs[name] = {}
            self.defs[name] = {"description": _first_line(cls), **closed(self.properties(cls))}
        return self._names[cls]


def _first_line(kind: Any) -> str:
    """What a dataclass says of itself; of anything else nothing."""
    told = inspect.getdoc(kind) if dataclasses.is_dataclass(kind) else None
    return (told or "").split("\n", 1)[0].replace("``", "`")


def closed(properties: Mapping[str, Schema]) -> Schema:
    """An object with these keys, all of them, and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def with_unit(name: str, meaning: str) -> str:
    """``meaning``, which names the unit that the end of ``name`` tells."""
    found = max((end for end in _UNITS if name.endswith(end)), key=len, default="")
    if not found or _UNITS[found].split()[-1].lower() in meaning.lower():
        return meaning
    return f"{meaning} In {_UNITS[found]}."


@functools.cache
def kinds(cls: type) -> dict[str, Any]:
    """The kind of every field of ``cls`` by name, also where its module imports it only to check types."""
    hints = typing.get_type_hints(cls, _names_of(cls.__module__), include_extras=True)
    return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar}


def _names_of(module: str) -> dict[str, Any]:
    found = dict(vars(sys.modules[module]))
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                found |= dict(_imported(line))
    return found


def _imported(line: ast.ImportFrom) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(line.module or "")
    for one in line.names:
        yield one.asname or one.name, getattr(module, one.name)


def _any(schemas: Sequence[Schema]) -> Schema:
    """One of ``schemas``, short where they are plain."""
    if all(set(one) == {"type"} for one in schemas):
        return {"type": [one["type"] for one in schemas]}
    if all(set(one) == {"enum"} or one == {"type": "null"} for one in schemas):
        return {"enum": [choice for one in schemas for choice in one.get("enum", [None])]}
    return {"anyOf": list(schemas)}


def _limits(bounds: Bounds) -> Schema:
    limits = {"minimum": bounds.least, "exclusiveMinimum": bounds.above, "maximum": bounds.most}
    return {name: limit for name, limit in limits.items() if limit is not None}


def sentences(schema: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every key of every object in ``schema`` with its description, empty where there is none."""
    if isinstance(schema, Mapping):
        for name, one in schema.get("properties", {}).items():
            yield f"{place}.{name}", one.get("description", "")
        for name, one in schema.items():
            yield from sentences(one, f"{place}/{name}")
    elif isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from sentences(one, f"{place}/{number}")


_WORD: Final = re.compile(r"^\S.*[.)?]$", re.DOTALL)


def is_sentence(text: str) -> bool:
    """Whether ``text`` ends as a sentence does; it may begin with the name of a program."""
    return bool(_WORD.match(text))
