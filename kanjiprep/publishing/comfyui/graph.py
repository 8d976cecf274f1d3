"""A workflow of ComfyUI as a value, and its API form: what a server takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kanjiprep.errors import InputError, shown

_REMEDY: Final = "export it with Workflow > Export (API), or give the file that the UI saves"


@dataclass(frozen=True, slots=True)
class Link:
    """Where an input comes from.

    Attributes:
        node: Id of the node that makes it.
        slot: Which of its outputs, from 0.
    """

    node: str
    slot: int


Value: TypeAlias = str | int | float | bool | None
"""What a widget holds; None only in broken files."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        id: Unlike that of all others.
        kind: ComfyUI's name of its class.
        inputs: Links and values by the names of the inputs.
        title: As the UI shows it; empty for the name of its class.
    """

    id: str
    kind: str
    inputs: Mapping[str, Link | Value]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """Nodes in the order of the file."""

    nodes: tuple[Node, ...]

    def node(self, node_id: str) -> Node | None:
        """The node with this id."""
        return next((one for one in self.nodes if one.id == node_id), None)

    def of_kind(self, kind: str) -> tuple[Node, ...]:
        """All nodes of a class."""
        return tuple(one for one in self.nodes if one.kind == kind)


def to_api(workflow: Workflow) -> dict[str, Any]:
    """The API form: a table of nodes by id.

    Source: ComfyUI, server.py (``POST /prompt``) and execution.py (``validate_prompt``).
    """
    return {
        node.id: {
            "class_type": node.kind,
            "inputs": {name: _written(value) for name, value in node.inputs.items()},
            "_meta": {"title": node.title or node.kind},
        }
        for node in workflow.nodes
    }


def _written(value: Link | Value) -> object:
    return [value.node, value.slot] if isinstance(value, Link) else value


def from_api(document: object, where: str) -> Workflow:
    """The workflow of an API form.

    Args:
        document: As parsed from JSON; the ``{"prompt": ...}`` around it that a server takes may be there.
        where: Its file, for errors.

    Raises:
        InputError: If it is not of that form, naming the node.
    """
    if isinstance(document, dict) and isinstance(document.get("prompt"), dict):
        document = document["prompt"]
    if not isinstance(document, dict) or not document:
        raise InputError("is no workflow of ComfyUI", where, _REMEDY)
    return Workflow(tuple(_node(str(node_id), entry, where) for node_id, entry in document.items()))


def _node(node_id: str, entry: object, where: str) -> Node:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_type"), str):
        raise InputError(f"node {shown(node_id)} has no class_type", where, _REMEDY)
    inputs = entry.get("inputs", {})
    if not isinstance(inputs, dict):
        raise InputError(f"node {shown(node_id)} has inputs that are no table", where, _REMEDY)
    meta = entry.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    read = {str(name): _read(value, node_id, str(name), where) for name, value in inputs.items()}
    own = title if isinstance(title, str) and title != entry["class_type"] else ""
    return Node(node_id, entry["class_type"], read, own)


def _read(value: object, node_id: str, name: str, where: str) -> Link | Value:
    if isinstance(value, list):
        match value:
            case [str() | int() as source, int() as slot] if not isinstance(slot, bool):
                return Link(str(source), slot)
        raise InputError(f"input {shown(name)} of node {shown(node_id)} is a list and no link", where, _REMEDY)
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(f"input {shown(name)} of node {shown(node_id)} is a table", where, _REMEDY)
