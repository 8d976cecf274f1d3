"""The workflow behind the graph that the UI of ComfyUI saves: what its server would be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.forms.ui_lines import resolved
from kanjiprep.publishing.comfyui.forms.ui_scopes import (
    BYPASSED,
    CONTROLS,
    MUTED,
    VIRTUAL,
    Literal,
    Scope,
    UiNode,
    top,
)
from kanjiprep.publishing.comfyui.graph import Link, Node, Value, Workflow
from kanjiprep.publishing.comfyui.kinds import NodeKind

_MOST_NODES: Final = 10_000


def from_ui(document: object, table: Mapping[str, NodeKind], where: str) -> Workflow:
    """The workflow of a UI graph.

    Muted nodes are left out, bypassed ones are passed through by type, reroutes and primitive nodes are followed,
    notes are dropped, and subgraphs are opened: node 3 of subgraph node 8 is called ``8:3``, as in the UI. Of a kind
    that is not in ``table`` only the links are read, since its widgets are known by their order alone.

    Args:
        document: As parsed from JSON.
        table: The kinds of nodes.
        where: Its file, for errors.

    Raises:
        InputError: If it is not of that form.

    Source: ComfyUI frontend 1.27, what it sends for what it shows; compared with what it saves.
    """
    nodes: list[Node] = []
    for scope, node in _real(top(document, where), where):
        if len(nodes) == _MOST_NODES:
            raise InputError(f"has more than {_MOST_NODES:,} nodes", where, "take a smaller workflow")
        nodes.append(_node(scope, node, table.get(node.type)))
    if not nodes:
        raise InputError("holds no node that runs", where, "switch on what is muted or bypassed, and save it again")
    return Workflow(tuple(nodes))


def _real(scope: Scope, where: str) -> Iterator[tuple[Scope, UiNode]]:
    """The nodes that run, those of subgraphs in the place of these."""
    for node in scope.nodes.values():
        if node.mode in (MUTED, BYPASSED) or node.type in VIRTUAL:
            continue
        inner = scope.inside(node)
        if inner is None:
            yield scope, node
        else:
            yield from _real(inner, where)


def _node(scope: Scope, node: UiNode, kind: NodeKind | None) -> Node:
    inputs: dict[str, Link | Value] = dict(_values(node, kind))
    for slot in node.sockets:
        found = resolved(scope, slot.link, slot.type)
        if isinstance(found, Literal):
            inputs[slot.name] = found.value
        elif found is not None:
            inputs[slot.name] = found
    return Node(scope.path + node.id, node.type, inputs, node.title)


def _values(node: UiNode, kind: NodeKind | None) -> Iterator[tuple[str, Value]]:
    if isinstance(node.values, Mapping):
        names = {one.name for one in kind.widgets} if kind else node.values.keys()
        yield from ((name, value) for name, value in node.values.items() if name in names and _is_value(value))
    elif kind is not None:
        yield from _in_order(node.values, kind)


def _in_order(values: Sequence[object], kind: NodeKind) -> Iterator[tuple[str, Value]]:
    place = 0
    for spec in kind.widgets:
        if place >= len(values):
            return
        value = values[place]
        place += 1
        if _is_value(value):
            yield spec.name, value
        if spec.control_after_generate and place < len(values) and _is_control(values[place]):
            place += 1


def _is_control(value: object) -> bool:
    return isinstance(value, str) and value in CONTROLS


def _is_value(value: object) -> TypeGuard[Value]:
    return value is None or isinstance(value, str | int | float)
