"""A graph of the UI and the subgraphs in it, read without trust, and what each of its lines really comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kanjiprep.errors import InputError
from kanjiprep.evaluation.weights.safetensors_file import shown
from kanjiprep.publishing.comfyui.graph import Link, Value
from kanjiprep.publishing.comfyui.kinds import is_unsettled

MUTED: Final = 2
"""The mode of a node that does not run, nor what hangs on it."""
BYPASSED: Final = 4
"""The mode of a node that hands on what it gets."""
VIRTUAL: Final = frozenset({"Note", "MarkdownNote", "Reroute", "PrimitiveNode"})
"""Kinds that are in the UI alone; a server does not know them."""
CONTROLS: Final = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What the widget behind a seed holds."""
_FARTHEST: Final = 100
"""Steps that a line is followed; more are a circle."""
_DEEPEST: Final = 20
_MOST_PARTS: Final = 50_000
"""Nodes and lines of all uses of subgraphs together; each use is read anew."""
_ENTRY, _EXIT = "-10", "-20"
"""Ids of the two ends of a subgraph."""
_REMEDY: Final = "save it again in the UI of ComfyUI"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the UI holds elsewhere than in the node that uses it."""

    value: Value


@dataclass(frozen=True, slots=True)
class Socket:
    """An end of a line.

    Attributes:
        name: Of the input.
        type: Of the input.
        link: Id of the line; empty for none.
        is_widget: Whether it is a widget with a dot.
    """

    name: str
    type: str
    link: str
    is_widget: bool


@dataclass(frozen=True, slots=True)
class UiNode:
    """A node as it is saved.

    Attributes:
        id: In its graph.
        type: Its kind, a virtual one, or the id of a subgraph.
        mode: 0 for a node that runs.
        title: Empty where it is the kind's own.
        sockets: Its inputs that have a dot.
        values: Of its widgets, in order or by name.
    """

    id: str
    type: str
    mode: int
    title: str
    sockets: tuple[Socket, ...]
    values: Sequence[object] | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Scope:
    """One graph: that of the file, or one use of a subgraph.

    Attributes:
        path: What the ids of its nodes are preceded by.
        nodes: By id.
        lines: Origin and its output, end and its input, by the id of the line.
        entries: Names of the inputs of a subgraph.
        definitions: All subgraphs of the file, by id.
        where: The file, for errors.
        outer: The graph around it.
        user: The node that stands for it there.
    """

    path: str
    nodes: Mapping[str, UiNode]
    lines: Mapping[str, tuple[str, int, str, int]]
    entries: tuple[str, ...]
    definitions: Mapping[str, Mapping[str, Any]]
    where: str
    outer: Scope | None = None
    user: UiNode | None = None
    _opened: dict[str, Scope] = field(default_factory=dict)
    _parts: Counter[str] = field(default_factory=Counter)

    def inside(self, node: UiNode) -> Scope | None:
        """The subgraph that a node stands for; None if it is a node of its own.

        Raises:
            InputError: If subgraphs hold each other, or are broken.
        """
        if node.type not in self.definitions:
            return None
        if node.id not in self._opened:
            path = f"{self.path}{node.id}:"
            if path.count(":") > _DEEPEST:
                raise InputError(f"has subgraph {shown(node.type)} within itself", self.where, _REMEDY)
            self._count(self.definitions[node.type])
            self._opened[node.id] = _scope(
                self.definitions[node.type], path, self.definitions, self.where, self, node
            )
        return self._opened[node.id]

    def _count(self, graph: Mapping[str, Any]) -> None:
        """Subgraphs in subgraphs can be used more often than anybody waits for, out of a small file."""
        self._parts["all"] += 1 + len(_list(graph.get("nodes"))) + len(_list(graph.get("links")))
        if self._parts["all"] > _MOST_PARTS:
            what = "uses its subgraphs too often: opened, they have more nodes and lines than can be read"
            raise InputError(what, self.where, "take a smaller workflow")


def top(document: object, where: str) -> Scope:
    """The graph of a file.

    Raises:
        InputError: If it is no graph of the UI.
    """
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
        raise InputError("is no graph of ComfyUI's UI", where, _REMEDY)
    definitions = document.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    known = {str(one.get("id")): one for one in _tables(subgraphs)}
    return _scope(document, "", known, where)


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
    if origin == _ENTRY:
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
    ends = (link for link, (_, _, end, end_slot) in inner.lines.items() if (end, end_slot) == (_EXIT, slot))
    return resolved(inner, next(ends, ""), wanted, steps)


def _behind(node: UiNode, slot: int, wanted: str) -> str:
    """The line that a bypassed node hands on: of the input of the same place if its type fits, else the first."""
    same = node.sockets[slot : slot + 1]
    return next((one.link for one in (*same, *node.sockets) if _is_same(one.type, wanted)), "")


def _is_same(given: str, wanted: str) -> bool:
    return given == wanted or is_unsettled(wanted)


def _from_outside(scope: Scope, slot: int, wanted: str, steps: int) -> Link | Literal | None:
    if scope.outer is None or scope.user is None or slot >= len(scope.entries):
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
        if (origin, origin_slot) == (_ENTRY, slot) and end in scope.nodes:
            sockets = scope.nodes[end].sockets
            return end_slot < len(sockets) and sockets[end_slot].is_widget
    return False


def _first(values: object) -> Literal | None:
    held = list(values.values()) if isinstance(values, dict) else values
    return _literal(held[0]) if isinstance(held, list) and held else None


def _literal(value: object) -> Literal | None:
    return Literal(value) if isinstance(value, str | int | float) else None


def _scope(
    graph: Mapping[str, Any],
    path: str,
    definitions: Mapping[str, Mapping[str, Any]],
    where: str,
    outer: Scope | None = None,
    user: UiNode | None = None,
) -> Scope:
    nodes = [_node(one, number, where) for number, one in enumerate(_list(graph.get("nodes")))]
    twice = [one for one, count in Counter(node.id for node in nodes).items() if count > 1]
    if twice:
        raise InputError(f"has several nodes with the id {shown(path + twice[0])}", where, _REMEDY)
    lines = dict(line for line in map(_line, _list(graph.get("links"))) if line is not None)
    entries = tuple(str(one.get("name")) for one in _tables(graph.get("inputs")))
    parts = outer._parts if outer else Counter[str]()
    return Scope(path, {one.id: one for one in nodes}, lines, entries, definitions, where, outer, user, _parts=parts)


def _node(entry: object, number: int, where: str) -> UiNode:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not _is_id(entry.get("id")):
        raise InputError(f"entry {number} of its nodes has no id and type", where, _REMEDY)
    values, title, mode = entry.get("widgets_values"), entry.get("title"), entry.get("mode")
    return UiNode(
        id=str(entry["id"]),
        type=entry["type"],
        mode=mode if isinstance(mode, int) else 0,
        title=title if isinstance(title, str) else "",
        sockets=tuple(_socket(one) for one in _tables(entry.get("inputs"))),
        values=values if isinstance(values, list | dict) else [],
    )


def _socket(entry: Mapping[str, Any]) -> Socket:
    link = entry.get("link")
    return Socket(
        name=str(entry.get("name")),
        type=str(entry.get("type")),
        link=str(link) if _is_id(link) else "",
        is_widget=isinstance(entry.get("widget"), dict),
    )


def _line(entry: object) -> tuple[str, tuple[str, int, str, int]] | None:
    """A line in the form of a list, as it is in a graph, or of a table, as it is in a subgraph."""
    if isinstance(entry, dict):
        entry = [entry.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    match entry:
        case [link, origin, int() as slot, end, int() as end_slot, *_] if all(map(_is_id, (link, origin, end))):
            return str(link), (str(origin), slot, str(end), end_slot)
    return None


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
