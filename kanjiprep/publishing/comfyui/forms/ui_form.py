"""A workflow in the form that the UI of ComfyUI saves and opens: a graph with places, links and widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from kanjiprep.errors import InputError, shown
from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.forms.ui_boxes import Layout, layout
from kanjiprep.publishing.comfyui.forms.ui_reading import from_ui
from kanjiprep.publishing.comfyui.graph import Link, Node, Value, Workflow
from kanjiprep.publishing.comfyui.kinds import Input, NodeKind

__all__ = ["from_ui", "to_ui"]

_VERSION: Final = 0.4
_GROUP: Final = {"color": "#3f789e", "font_size": 24, "flags": {}}
_EMPTY: Final[Mapping[str, Value]] = {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False}
_OPTIONAL: Final = 7
"""The shape of a socket that may stay empty: a ring."""
_REMEDY: Final = "check the workflow first, and mend what is wrong"

_Lines = Mapping[tuple[str, str], list[Any]]
"""The UI's lines between nodes, by the node and the input where they end."""
_Starts = Mapping[tuple[int | str, int], list[int]]
"""The lines' ids, by the node and the output where they begin."""


def to_ui(workflow: Workflow, table: Mapping[str, NodeKind]) -> dict[str, Any]:
    """The UI's graph, laid out in groups from left to right.

    ``from_ui`` makes the same workflow of it, but for widgets that are left out before one that is given: the UI
    knows them by their order, so that they get their defaults.

    Source: ComfyUI frontend 1.27, what it saves; version 0.4 of its format.

    Raises:
        InputError: If a node, an input or a link is not in ``table``, so that it cannot be drawn.
    """
    _refuse(workflow, table)
    lines, placed = _lines(workflow, table), layout(workflow, table)
    starts: dict[tuple[int | str, int], list[int]] = {}
    for number, origin, slot, *_ in lines.values():
        starts.setdefault((origin, slot), []).append(number)
    order = {node.id: number for number, node in enumerate(chain(*tracing.in_order(workflow)))}
    ids = [_id(node.id) for node in workflow.nodes]
    return {
        "last_node_id": max((one for one in ids if isinstance(one, int)), default=0),
        "last_link_id": len(lines),
        "nodes": [
            _node(one, table[one.kind], lines, starts, placed) | {"order": order[one.id]} for one in workflow.nodes
        ],
        "links": list(lines.values()),
        "groups": [
            {"id": number, "title": title, "bounding": list(box), **_GROUP}
            for number, (title, box) in enumerate(placed.groups, 1)
        ],
        "config": {},
        "extra": {},
        "version": _VERSION,
    }


def _refuse(workflow: Workflow, table: Mapping[str, NodeKind]) -> None:
    nodes = tracing.by_id(workflow)
    for node in workflow.nodes:
        if node.kind not in table:
            raise InputError(f"is of the kind {shown(node.kind)}, which is not known", _place(node), _REMEDY)
        if nodes[node.id] is not node:
            raise InputError("has the id of another node", _place(node), _REMEDY)
        for name, value in node.inputs.items():
            fault = _fault(value, table[node.kind].input(name), nodes, table)
            if fault:
                raise InputError(f"cannot be drawn, its input {shown(name)} {fault}", _place(node), _REMEDY)


def _fault(value: Link | Value, spec: Input | None, nodes: Mapping[str, Node], table: Mapping[str, NodeKind]) -> str:
    if spec is None:
        return "is not known"
    if not isinstance(value, Link):
        return "" if spec.is_widget else "is no link"
    giver = nodes.get(value.node)
    if giver is None:
        return f"comes from node {shown(value.node)}, which is not there"
    outputs = table[giver.kind].outputs if giver.kind in table else ()
    return "" if 0 <= value.slot < len(outputs) else f"comes from no output of node {shown(value.node)}"


def _place(node: Node) -> str:
    return f"node {shown(node.id)}"


def _id(node_id: str) -> int | str:
    """A number where it is one, as the UI has it."""
    return int(node_id) if node_id.isascii() and node_id.isdecimal() and str(int(node_id)) == node_id else node_id


def _sockets(node: Node, kind: NodeKind) -> Iterator[Input]:
    """The inputs with a dot for a line: a widget has one only while it is connected."""
    return (one for one in kind.inputs if not one.is_widget or isinstance(node.inputs.get(one.name), Link))


def _lines(workflow: Workflow, table: Mapping[str, NodeKind]) -> _Lines:
    kinds = {node.id: table[node.kind] for node in workflow.nodes}
    lines: dict[tuple[str, str], list[Any]] = {}
    for node in workflow.nodes:
        for slot, spec in enumerate(_sockets(node, kinds[node.id])):
            value = node.inputs.get(spec.name)
            if isinstance(value, Link):
                type_ = kinds[value.node].outputs[value.slot]
                line = [len(lines) + 1, _id(value.node), value.slot, _id(node.id), slot, type_]
                lines[node.id, spec.name] = line
    return lines


def _node(node: Node, kind: NodeKind, lines: _Lines, starts: _Starts, placed: Layout) -> dict[str, Any]:
    left, top, width, height = placed.boxes[node.id]
    title = {"title": node.title} if node.title else {}
    return {
        "id": _id(node.id),
        "type": node.kind,
        "pos": [left, top],
        "size": [width, height],
        "flags": {},
        "mode": 0,
        "inputs": [_input(node, spec, lines) for spec in _sockets(node, kind)],
        "outputs": [_output(node, kind, slot, starts) for slot in range(len(kind.outputs))],
        **title,
        "properties": {"Node name for S&R": node.kind},
        "widgets_values": _widgets_values(node, kind.widgets),
        **placed.colours.get(node.id, {}),
    }


def _input(node: Node, spec: Input, lines: _Lines) -> dict[str, Any]:
    line = lines.get((node.id, spec.name))
    return {
        "name": spec.name,
        "type": spec.type,
        **({} if spec.required else {"shape": _OPTIONAL}),
        **({"widget": {"name": spec.name}} if spec.is_widget else {}),
        "link": line[0] if line else None,
    }


def _output(node: Node, kind: NodeKind, slot: int, starts: _Starts) -> dict[str, Any]:
    return {
        "name": (kind.output_names or kind.outputs)[slot],
        "type": kind.outputs[slot],
        "slot_index": slot,
        "links": starts.get((_id(node.id), slot), []),
    }


def _widgets_values(node: Node, widgets: Sequence[Input]) -> list[Value]:
    """All values up to the last one that is given; a seed is followed by what happens to it afterwards."""
    given = [number for number, one in enumerate(widgets, 1) if one.name in node.inputs]
    values: list[Value] = []
    for spec in widgets[: max(given, default=0)]:
        value = node.inputs.get(spec.name, blank(spec))
        values.append(blank(spec) if isinstance(value, Link) else value)
        values.extend(["fixed"] if spec.control_after_generate else [])
    is_full = bool(given) and max(given) == len(widgets)
    return values + (["image"] if is_full and any(one.uploads for one in widgets) else [])


def blank(spec: Input) -> Value:
    """What a widget holds that nobody has touched."""
    if spec.default is not None:
        return spec.default
    if spec.choices:
        return spec.choices[0]
    return _EMPTY.get(spec.type, "")
