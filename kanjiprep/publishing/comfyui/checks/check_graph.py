"""Rules of a workflow as a whole: that it ends, that it makes something, and that nothing of it is idle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.checks.findings import Finding, Scene, called, error, listed, text, warning
from kanjiprep.publishing.comfyui.graph import Link, Node

_LORAS: Final = frozenset({"LoraLoader", "LoraLoaderModelOnly"})


def found(scene: Scene) -> Iterator[Finding]:
    """What is wrong with the whole."""
    yield from _circle(scene)
    outputs = ends(scene)
    if not outputs:
        what = "has no node that makes something, so ComfyUI refuses it"
        yield Finding("error", "", "", "no-output", what, "add a SaveImage behind the VAEDecode")
        return
    used = tracing.upstream(scene.workflow, [node.id for node in outputs])
    yield from _unpainted(scene, used)
    feeding = {link.node for node in scene.workflow.nodes for _, link in tracing.links(node)}
    for node in scene.workflow.nodes:
        if node.id not in used and (node.kind in _LORAS or node.id not in feeding):
            yield _idle(node)
    yield from _same_prefix(scene)


def ends(scene: Scene) -> tuple[Node, ...]:
    """The nodes for whose sake a server runs a workflow; one of an unknown kind may be such."""
    kinds = ((node, scene.table.get(node.kind)) for node in scene.workflow.nodes)
    return tuple(node for node, kind in kinds if kind is None or kind.is_output)


def _circle(scene: Scene) -> Iterator[Finding]:
    circle = tracing.circle(scene.workflow)
    if circle:
        names = [called(node) for node in circle]
        what = f"waits for itself: {' feeds '.join([*names, names[0]])}"
        yield error(circle[0], "cycle", what, "take one of these links away")


def _unpainted(scene: Scene, used: frozenset[str]) -> Iterator[Finding]:
    """Pictures are saved, and there is a sampler, but the two are not connected."""
    samplers = [node for node in scene.workflow.nodes if _samples(node, scene)]
    if samplers and not any(node.id in used for node in samplers):
        what = f"saves nothing of {listed(map(called, samplers))}"
        remedy = "connect the sampler with a VAEDecode, and this with the SaveImage"
        yield Finding("warning", "", "", "unpainted", what, remedy)


def _samples(node: Node, scene: Scene) -> bool:
    kind = scene.table.get(node.kind)
    return kind is not None and kind.outputs[:1] == ("LATENT",) and kind.input("latent_image") is not None


def _idle(node: Node) -> Finding:
    """Of nodes that feed each other, the last says it for all."""
    if node.kind in _LORAS:
        what = f"is not used, so that the LoRA {shown(text(node, 'lora_name'))} has no effect"
        return warning(node, "lora-unused", what, "connect its MODEL output with the sampler")
    return warning(node, "idle-node", "is not used by anything that is saved", "connect it, or take it away")


def _same_prefix(scene: Scene) -> Iterator[Finding]:
    first: dict[str, Node] = {}
    for node in scene.workflow.of_kind("SaveImage"):
        prefix = node.inputs.get("filename_prefix")
        if isinstance(prefix, Link) or prefix is None:
            continue
        other = first.setdefault(str(prefix), node)
        if other is not node:
            what = f"saves under {shown(prefix)} as {called(other)} does, so that their pictures are mixed"
            yield warning(node, "same-prefix", what, "give each a prefix of its own")
