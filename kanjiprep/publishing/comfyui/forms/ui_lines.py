"""What a line in a graph of the UI brings, wherever it really comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kanjiprep.publishing.comfyui.forms.ui_scopes import (
    BYPASSED,
    CONTROLS,
    ENTRY,
    EXIT,
    MUTED,
    Literal,
    Scope,
    UiNode,
)
from kanjiprep.publishing.comfyui.graph import Link
from kanjiprep.publishing.comfyui.kinds import is_unsettled

_FARTHEST: Final = 100
"""Steps that a line is followed; more are a circle."""


def resolved(scope: Scope, link: str, wanted: str, steps: int = 0) -> Link | Literal | None:
    """What a line brings, through reroutes, bypassed nodes, primitive nodes and the walls of subgraphs.

    Args:
        scope: The graph of the line.
        link: Its id.
        wanted: The type of the input where it ends, which tells what passes a bypassed node.
        steps: How far it has been followed.

    Returns:
        None where it brings nothing: there is no such line, it comes from a muted node, or it goes in circles.
    """
    if link not in scope.lines or steps > _FARTHEST:
        return None
    origin, slot = scope.lines[link][:2]
    if origin == ENTRY:
        return _from_outside(scope, slot, wanted, steps + 1)
    node = scope.nodes.get(origin)
    if node is None:
        return Link(scope.path + origin, slot)
    return _from_node(scope, node, slot, wanted, steps + 1)


def _from_node(scope: Scope, node: UiNode, slot: int, wanted: str, steps: int) -> Link | Literal | None:
    if node.mode == MUTED:
        return None
    if node.mode == BYPASSED:
        return resolved(scope, _behind(node, slot, wanted), wanted, steps)
    if node.type == "Reroute":
        return resolved(scope, node.sockets[0].link if node.sockets else "", wanted, steps)
    if node.type == "PrimitiveNode":
        return _first(node.values)
    inner = scope.inside(node)
    if inner is None:
        return Link(scope.path + node.id, slot)
    ends = (link for link, (_, _, end, end_slot) in inner.lines.items() if (end, end_slot) == (EXIT, slot))
    return resolved(inner, next(ends, ""), wanted, steps)


def _behind(node: UiNode, slot: int, wanted: str) -> str:
    """The line that a bypassed node hands on: of the input of the same place if its type fits, else the first."""
    same = node.sockets[slot : slot + 1]
    return next((one.link for one in (*same, *node.sockets) if _is_same(one.type, wanted)), "")


def _is_same(given: str, wanted: str) -> bool:
    return given == wanted or is_unsettled(wanted)


def _from_outside(scope: Scope, slot: int, wanted: str, steps: int) -> Link | Literal | None:
    if scope.outer is None or scope.user is None or not 0 <= slot < len(scope.entries):
        return None
    name = scope.entries[slot]
    link = next((one.link for one in scope.user.sockets if one.name == name), "")
    return resolved(scope.outer, link, wanted, steps) if link else _promoted(scope, scope.user, slot)


def _promoted(scope: Scope, user: UiNode, slot: int) -> Literal | None:
    """The value of a subgraph's own widget: it has one for each of its inputs that ends in a widget."""
    if isinstance(user.values, dict):
        return _literal(user.values.get(scope.entries[slot]))
    places = [number for number in range(len(scope.entries)) if _ends_in_widget(scope, number)]
    values = [
        value
        for number, value in enumerate(user.values)
        if not (isinstance(value, str) and value in CONTROLS and isinstance(_at(user.values, number - 1), int))
    ]
    found = dict(zip(places, values, strict=False))
    return _literal(found.get(slot))


def _at(values: Sequence[object] | Mapping[str, object], number: int) -> object:
    return values[number] if isinstance(values, list) and number >= 0 else None


def _ends_in_widget(scope: Scope, slot: int) -> bool:
    for origin, origin_slot, end, end_slot in scope.lines.values():
        if (origin, origin_slot) == (ENTRY, slot) and end in scope.nodes:
            sockets = scope.nodes[end].sockets
            return 0 <= end_slot < len(sockets) and sockets[end_slot].is_widget
    return False


def _first(values: object) -> Literal | None:
    held = list(values.values()) if isinstance(values, dict) else values
    return _literal(held[0]) if isinstance(held, list) and held else None


def _literal(value: object) -> Literal | None:
    return Literal(value) if isinstance(value, str | int | float) else None
