"""A graph of the UI and the subgraphs in it, read without trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kanjiprep.errors import InputError, shown
from kanjiprep.publishing.comfyui.graph import Value

MUTED: Final = 2
"""The mode of a node that does not run, nor what hangs on it."""
BYPASSED: Final = 4
"""The mode of a node that hands on what it gets."""
VIRTUAL: Final = frozenset({"Note", "MarkdownNote", "Reroute", "PrimitiveNode"})
"""Kinds that are in the UI alone; a server does not know them."""
CONTROLS: Final = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What the widget behind a seed holds."""
_DEEPEST: Final = 20
_MOST_PARTS: Final = 50_000
"""Nodes and lines of all uses of subgraphs together; each use is read anew."""
ENTRY, EXIT = "-10", "-20"
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
