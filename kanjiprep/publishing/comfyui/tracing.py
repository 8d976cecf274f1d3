"""Ways through a workflow: what comes before what, what feeds what, and where something really comes from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from kanjiprep.publishing.comfyui.graph import Link, Node, Workflow

_MODEL: Final = {0: "model"}
_PROMPTS: Final = {0: "positive", 1: "negative"}
_PROMPT: Final = {0: "conditioning"}
_SAMPLES: Final = {0: "samples"}
HANDED_ON: Final[Mapping[str, Mapping[int, str]]] = {
    "LoraLoader": {0: "model", 1: "clip"},
    "LoraLoaderModelOnly": _MODEL,
    "ModelSamplingSD3": _MODEL,
    "ModelSamplingAuraFlow": _MODEL,
    "ModelSamplingDiscrete": _MODEL,
    "SkipLayerGuidanceSD3": _MODEL,
    "SkipLayerGuidanceDiT": _MODEL,
    "PerturbedAttentionGuidance": _MODEL,
    "RescaleCFG": _MODEL,
    "CFGZeroStar": _MODEL,
    "FreeU": _MODEL,
    "FreeU_V2": _MODEL,
    "CLIPSetLastLayer": {0: "clip"},
    "ControlNetApplyAdvanced": _PROMPTS,
    "ControlNetApplySD3": _PROMPTS,
    "ControlNetApply": _PROMPT,
    "ConditioningZeroOut": _PROMPT,
    "ConditioningSetTimestepRange": _PROMPT,
    "ConditioningSetArea": _PROMPT,
    "SetLatentNoiseMask": _SAMPLES,
    "LatentFromBatch": _SAMPLES,
    "RepeatLatentBatch": _SAMPLES,
    "LatentUpscale": _SAMPLES,
    "LatentUpscaleBy": _SAMPLES,
}
"""Kinds that hand on what they get: the input behind each output."""


def links(node: Node) -> Iterator[tuple[str, Link]]:
    """The inputs of a node that come from another one."""
    return ((name, value) for name, value in node.inputs.items() if isinstance(value, Link))


def by_id(workflow: Workflow) -> Mapping[str, Node]:
    """The nodes by their ids; of two with one id, the first."""
    return {node.id: node for node in reversed(workflow.nodes)}


def in_order(workflow: Workflow) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """All nodes, sources first, and those that wait for each other, which have no order."""
    nodes = by_id(workflow)
    waits = {node.id: {link.node for _, link in links(node) if link.node in nodes} for node in nodes.values()}
    feeds: dict[str, list[str]] = {node_id: [] for node_id in nodes}
    for node_id, sources in waits.items():
        for source in sources:
            feeds[source].append(node_id)
    ready, done = deque(node_id for node_id, sources in waits.items() if not sources), []
    while ready:
        done.append(ready.popleft())
        for follower in feeds[done[-1]]:
            waits[follower].discard(done[-1])
            if not waits[follower]:
                ready.append(follower)
    rest = tuple(node for node_id, node in nodes.items() if waits[node_id])
    return tuple(nodes[node_id] for node_id in done), rest


def upstream(workflow: Workflow, starts: Iterable[str]) -> frozenset[str]:
    """The ids of ``starts`` and of all nodes that feed them."""
    nodes, found, waiting = by_id(workflow), set(), deque(starts)
    while waiting:
        node = nodes.get(waiting.popleft())
        if node is not None and node.id not in found:
            found.add(node.id)
            waiting.extend(link.node for _, link in links(node))
    return frozenset(found)


def circle(workflow: Workflow) -> tuple[Node, ...]:
    """Nodes each of which feeds the next, and the last the first; empty if there are none."""
    _, rest = in_order(workflow)
    if not rest:
        return ()
    waiting, place = {one.id: one for one in rest}, {rest[0].id: 0}
    node = rest[0]
    while True:
        node = next(waiting[link.node] for _, link in links(node) if link.node in waiting)
        if node.id in place:
            path = list(place)[place[node.id] :]
            return tuple(waiting[node_id] for node_id in reversed(path))
        place[node.id] = len(place)


def source(nodes: Mapping[str, Node], node: Node, name: str) -> tuple[Node, int] | None:
    """The node, and its output, that really gives an input: behind LoRA, control and whatever hands on.

    None if nothing is connected, or what is connected is not there.
    """
    seen: set[tuple[str, int]] = set()
    value = node.inputs.get(name)
    while isinstance(value, Link) and value.node in nodes and (value.node, value.slot) not in seen:
        seen.add((value.node, value.slot))
        giver = nodes[value.node]
        following = HANDED_ON.get(giver.kind, {}).get(value.slot)
        if following is None:
            return giver, value.slot
        value = giver.inputs.get(following)
    return None


def passed(nodes: Mapping[str, Node], node: Node, name: str) -> Iterator[Node]:
    """The nodes that hand on what ``source`` finds, from the consumer backwards."""
    seen: set[str] = set()
    value = node.inputs.get(name)
    while isinstance(value, Link) and value.node in nodes and value.node not in seen:
        seen.add(value.node)
        giver = nodes[value.node]
        yield giver
        value = giver.inputs.get(HANDED_ON.get(giver.kind, {}).get(value.slot, ""))
