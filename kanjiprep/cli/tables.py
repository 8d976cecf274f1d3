"""Generated documentation: the keys of run.toml, the presets and the rules, as Markdown."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from kanjiprep.training import presets, rules, run_spec
from kanjiprep.training.run_spec import RunSpec

_ATTRIBUTE = re.compile(r"^(\w+): (.*)$")


def spec_keys() -> str:
    """Every table of run.toml with its keys, their kinds, defaults and meanings."""
    kinds = typing.get_type_hints(RunSpec, include_extras=True)
    return "\n".join(_table(name, kind) for name, kind in kinds.items() if inspect.isclass(kind) and kind is not str)


def preset_list() -> str:
    """Every shipped preset with its reasons."""
    found = {name: presets.load(name).spec for name in presets.names()}
    return "\n".join(f"### {name}\n\n{spec.title}.\n\n{spec.why.strip()}\n" for name, spec in found.items())


def rule_list() -> str:
    """Every rule with its severity, reason, remedy and source."""
    return "\n".join(
        f"### {rule.id}\n\n*{rule.severity}*: {rule.title}.\n\n{rule.why} {rule.fix}\n\nSource: {rule.source}.\n"
        for rule in rules.RULES
    )


def _table(name: str, cls: type) -> str:
    meanings = attributes(cls)
    kinds = typing.get_type_hints(cls, include_extras=True)
    head = f"### [{name}]\n\n{_first_line(cls)}\n\n| key | kind | default | meaning |\n| --- | --- | --- | --- |"
    rows = (
        f"| `{field.name}` | {_kind(kinds[field.name])} | {_default(field)} | {meanings[field.name]} |"
        for field in dataclasses.fields(cls)
    )
    return "\n".join((head, *rows)) + "\n"


def attributes(cls: type) -> Mapping[str, str]:
    """Meaning by name from the ``Attributes`` of a docstring, each on one line."""
    _, _, text = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for line in text.splitlines():
        start = _ATTRIBUTE.match(line.strip()) if line.startswith("    ") and line[4:5] != " " else None
        if start:
            found[start[1]] = start[2]
        elif found:
            last = next(reversed(found))
            found[last] = f"{found[last]} {line.strip()}".strip()
    return {name: meaning.replace("``", "`").replace("|", "\\|") for name, meaning in found.items()}


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").splitlines()[0].replace("``", "`")


def _kind(kind: Any) -> str:
    return " or ".join(dict.fromkeys(_words(kind)))


def _words(kind: Any) -> Iterator[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        yield from (f"`{choice}`" for choice in arguments)
    elif origin is typing.Annotated:
        yield f"{_kind(arguments[0])} {arguments[1]}".strip()
    elif origin is tuple:
        yield f"list of {_kind(arguments[0])}"
    elif origin is not None and issubclass(origin if inspect.isclass(origin) else object, Mapping):
        yield f"table of {_kind(arguments[1])}"
    elif arguments:
        yield from (word for inner in arguments if inner is not type(None) for word in _words(inner))
    else:
        yield {bool: "boolean", int: "whole number", float: "number", str: "text"}[kind]


def _default(field: dataclasses.Field[Any]) -> str:
    made = field.default_factory
    value = field.default if made is dataclasses.MISSING else made()
    if value is None or value == "" or isinstance(value, Mapping):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def flavours() -> str:
    """The flavours of each family as a list."""
    lines = (f"- `{family}`: {', '.join(map('`{}`'.format, known))}" for family, known in run_spec.FLAVOURS.items())
    return "\n".join(lines) + "\n"
