"""Finds what ships beside the code, and renders templates in a closed Jinja."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """The folder ``templates`` or ``simpletuner_configs``: from the wheel, or from the checkout."""
    in_wheel = _PACKAGE / "_shipped" / folder
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / folder


@functools.cache
def environment() -> jinja2.Environment:
    """A sandboxed Jinja without loaders or globals, in which an unknown name is an error."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    closed = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    closed.globals.clear()
    closed.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    return closed


@functools.cache
def html_environment() -> jinja2.Environment:
    """``environment`` for HTML: whatever is not markup already is escaped."""
    return environment().overlay(autoescape=True)


def unknown_names(source: str, known: Container[str]) -> Iterator[tuple[str, int]]:
    """Each name that the template ``source`` uses without it being ``known``, with its line.

    Raises:
        jinja2.TemplateSyntaxError: If it is not a template.
    """
    from jinja2 import meta, nodes

    tree = environment().parse(source)
    unknown = {name for name in meta.find_undeclared_variables(tree) if name not in known}
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            yield node.name, node.lineno


def _printable(value: object) -> object:
    """``value``, unless its text would be a memory address, different in every run.

    Raises:
        TypeError: For functions and iterators.
    """
    import jinja2

    is_text = isinstance(value, jinja2.Undefined) or not (callable(value) or isinstance(value, Iterator))
    if not is_text:
        raise TypeError(f"{type(value).__name__} is not a text; call it or join it")
    return value
