"""Where the UI shows each node of a workflow, how large, in which group and in which colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.graph import Link, Node, Workflow
from kanjiprep.publishing.comfyui.kinds import NodeKind

Box = tuple[float, float, float, float]
"""Left, top, width and height, in the UI's pixels."""

STAGES: Final = ("Load", "Prompt", "Sample", "Save")
"""The groups, from left to right."""
TITLE_PX: Final = 30
"""The bar of a node, which lies above its box."""
_SLOT_PX: Final = 20
_WIDGET_PX: Final = 24
_LINE_PX: Final = 16
_LETTER_PX: Final = 7.5
_NARROWEST_PX: Final = 220
_WIDEST_PX: Final = 520
_TEXT_PX: Final = 420
_LABELS_PX: Final = 130
_PICTURE_PX: Final = 440
_FEWEST_LINES, _MOST_LINES = 6, 24
_MARGIN_PX: Final = 24
_HEADING_PX: Final = 40
_GAP_PX: Final = 40
_ROOM_PX: Final = 60

_STAGE_OF: Final[Mapping[str, str]] = {
    "CONDITIONING": "Prompt",
    **dict.fromkeys(("LATENT", "NOISE", "GUIDER", "SIGMAS", "SAMPLER"), "Sample"),
    **dict.fromkeys(("IMAGE", "MASK"), "Save"),
}
_GREEN: Final = {"color": "#232", "bgcolor": "#353"}
_RED: Final = {"color": "#322", "bgcolor": "#533"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where all is.

    Attributes:
        boxes: Of the nodes, by id, without their title bars.
        groups: Their titles and boxes.
        colours: Of the nodes that have one, by id.
    """

    boxes: Mapping[str, Box]
    groups: tuple[tuple[str, Box], ...]
    colours: Mapping[str, Mapping[str, str]]


def layout(workflow: Workflow, table: Mapping[str, NodeKind]) -> Layout:
    """Stages from left to right, columns within them by what waits for what; nothing overlaps.

    Every node must be of a kind in ``table``.
    """
    stages = _stages(workflow, table)
    boxes: dict[str, Box] = {}
    groups: list[tuple[str, Box]] = []
    left = 0.0
    for stage in STAGES:
        members = [node for node in workflow.nodes if stages[node.id] == stage]
        if members:
            placed, box = _stage(members, workflow, table, left)
            boxes |= placed
            groups.append((stage, box))
            left += box[2] + _ROOM_PX
    return Layout(boxes, tuple(groups), _colours(workflow))


def _stages(workflow: Workflow, table: Mapping[str, NodeKind]) -> dict[str, str]:
    """The stage of each node; pictures that no sampler made are still being loaded."""
    painted: set[str] = set()
    stages = {}
    for node in (one for part in tracing.in_order(workflow) for one in part):
        kind = table[node.kind]
        sources = [link.node for _, link in tracing.links(node)]
        if "LATENT" in kind.outputs or painted.intersection(sources):
            painted.add(node.id)
        stage = "Save" if kind.is_output else _STAGE_OF.get(next(iter(kind.outputs), ""), "Load")
        stages[node.id] = "Load" if stage == "Save" and not kind.is_output and node.id not in painted else stage
    return stages


def _stage(
    members: Sequence[Node], workflow: Workflow, table: Mapping[str, NodeKind], left: float
) -> tuple[dict[str, Box], Box]:
    columns: dict[int, list[Node]] = {}
    depths = _depths(members, workflow)
    for node in members:
        columns.setdefault(depths[node.id], []).append(node)
    boxes: dict[str, Box] = {}
    x, bottom = left + _MARGIN_PX, 0.0
    for depth in sorted(columns):
        column = columns[depth]
        sizes = [size(node, table[node.kind]) for node in column]
        width, y = max(one[0] for one in sizes), float(_HEADING_PX + TITLE_PX)
        for node, (_, height) in zip(column, sizes, strict=True):
            boxes[node.id] = (x, y, width, height)
            y += height + TITLE_PX + _GAP_PX
        x, bottom = x + width + _ROOM_PX, max(bottom, y - TITLE_PX - _GAP_PX)
    return boxes, (left, 0.0, x - _ROOM_PX + _MARGIN_PX - left, bottom + _MARGIN_PX)


def _depths(members: Iterable[Node], workflow: Workflow) -> dict[str, int]:
    """How many nodes of the same stage come one after the other before each."""
    own = {node.id for node in members}
    depths: dict[str, int] = {}
    for node in (one for part in tracing.in_order(workflow) for one in part if one.id in own):
        before = [depths[link.node] for _, link in tracing.links(node) if link.node in depths]
        depths[node.id] = 1 + max(before, default=-1)
    return depths


def size(node: Node, kind: NodeKind) -> tuple[float, float]:
    """Width and height of a node that shows its texts."""
    texts = {one.name: str(node.inputs.get(one.name, "")) for one in kind.widgets}
    long = [one.name for one in kind.widgets if one.is_long]
    letters = max((len(text) for name, text in texts.items() if name not in long), default=0)
    width = max(_NARROWEST_PX, _LABELS_PX + _LETTER_PX * letters, _TEXT_PX if long else 0)
    width = max(width, 2 * _LABELS_PX + _LETTER_PX * len(node.title or node.kind) - _LABELS_PX)
    width = min(width, _WIDEST_PX)
    sockets = sum(not one.is_widget or isinstance(node.inputs.get(one.name), Link) for one in kind.inputs)
    rows = len(kind.widgets) - len(long) + sum(one.control_after_generate or one.uploads for one in kind.widgets)
    height = max(sockets, len(kind.outputs)) * _SLOT_PX + rows * _WIDGET_PX + (14 if kind.widgets else 6)
    height += sum(_lines(texts[name], width) * _LINE_PX + _WIDGET_PX for name in long)
    if kind.is_output or any(one.uploads for one in kind.widgets):
        return max(width, _PICTURE_PX), height + _PICTURE_PX
    return width, height


def _lines(text: str, width: float) -> int:
    a_line = int(width / _LETTER_PX)
    wrapped = sum(max(1, ceil(len(line) / a_line)) for line in text.split("\n"))
    return min(max(wrapped, _FEWEST_LINES), _MOST_LINES)


def _colours(workflow: Workflow) -> dict[str, Mapping[str, str]]:
    """Green for what pictures are to show, red for what they are to avoid."""
    nodes = tracing.by_id(workflow)
    colours: dict[str, Mapping[str, str]] = {}
    for name, colour in (("negative", _RED), ("positive", _GREEN)):
        for node in workflow.nodes:
            found = tracing.source(nodes, node, name)
            if found is not None:
                colours[found[0].id] = colour
    return colours
