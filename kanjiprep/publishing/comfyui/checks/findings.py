"""What a check finds in a workflow, and the words that its rules share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.graph import Node, Value, Workflow
from kanjiprep.publishing.comfyui.kinds import NodeKind

_HUGE: Final = 10**15
_LONGEST: Final = 120
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or looks it.

    Attributes:
        severity: An error stops a workflow or spoils its pictures; a warning is worth a look.
        node: Id of the node, fit to be printed; empty for the workflow as a whole.
        kind: Class of the node, fit to be printed.
        rule: A short name of what is wrong, always the same.
        what: What is wrong, a phrase that goes on after the node.
        remedy: What to do, a phrase.
    """

    severity: Severity
    node: str
    kind: str
    rule: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a rule may look at.

    Attributes:
        workflow: What is checked.
        table: The kinds of nodes.
        nodes: By id.
        is_live: Whether the table is that of a server, which knows its files.
        is_ui: Whether it is read by a browser before it is sent to a server.
    """

    workflow: Workflow
    table: Mapping[str, NodeKind]
    nodes: Mapping[str, Node]
    is_live: bool
    is_ui: bool = False


def scene(workflow: Workflow, table: Mapping[str, NodeKind], *, is_live: bool, is_ui: bool = False) -> Scene:
    """What the rules look at."""
    return Scene(workflow, table, tracing.by_id(workflow), is_live, is_ui)


def error(node: Node, rule: str, what: str, remedy: str) -> Finding:
    """Something that stops the workflow."""
    return Finding("error", node.id, node.kind, rule, what, remedy)


def warning(node: Node, rule: str, what: str, remedy: str) -> Finding:
    """Something that is worth a look."""
    return Finding("warning", node.id, node.kind, rule, what, remedy)


def nearest(wanted: str, names: Iterable[Value], likeness: float = 0.6) -> str:
    """The name that was probably meant; empty if none is near."""
    plain = {_plain(str(name)): str(name) for name in names}
    found = get_close_matches(_plain(wanted[:200]), plain, 1, likeness)
    return plain[found[0]] if found else ""


def _plain(name: str) -> str:
    """Samplers are called ``DPM++ 2M`` elsewhere and ``dpmpp_2m`` here."""
    return re.sub(r"[\s_-]+", "_", name.lower().replace("+", "p").replace("\\", "/"))


def said(value: Value) -> str:
    """A value as JSON has it, short and without control characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shown(value)


def listed(words: Iterable[str]) -> str:
    """Words with commas and an ``and``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def called(node: Node) -> str:
    """A node in the middle of a sentence."""
    return f"node {shown(node.id)} ({printable(node.kind)})"


def printable(name: str) -> str:
    """A name out of a file as it is, unless it is long or has control characters."""
    return name if name.isprintable() and len(name) <= _LONGEST else shown(name)[1:-1]


def number(node: Node, name: str) -> float | None:
    """What a widget holds, if it is a number of a size that can be meant."""
    value = node.inputs.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE:
        return value
    return None


def text(node: Node, name: str) -> str:
    """What a widget holds, if it is a text; else an empty one."""
    value = node.inputs.get(name)
    return value if isinstance(value, str) else ""
