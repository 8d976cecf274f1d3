"""Rules of how a workflow hangs together: kinds of nodes, their inputs and the links between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui.checks.findings import Finding, Scene, called, error, listed, nearest, said, warning
from kanjiprep.publishing.comfyui.core_nodes import VERSION
from kanjiprep.publishing.comfyui.graph import Link, Node, Value
from kanjiprep.publishing.comfyui.kinds import WIDGETS, Input, NodeKind, fits, is_unsettled

_LIKENESS: Final = 0.75
_ALONE: Final = {
    "UNETLoader": "UNETLoader loads neither text encoders nor a VAE: take CLIP from a TripleCLIPLoader and VAE from "
    "a VAELoader"
}
"""What to say where a node is asked for more than it has."""


def found(scene: Scene) -> Iterator[Finding]:
    """What is wrong with kinds, inputs and links."""
    made = frozenset(part for kind in scene.table.values() for part in kind.outputs) - WIDGETS
    for node in scene.workflow.nodes:
        kind = scene.table.get(node.kind)
        if kind is None:
            yield _unknown(node, scene)
        else:
            yield from _missing(node, kind)
            for name, value in node.inputs.items():
                yield from _input(node, kind, name, value, scene, made)


def _unknown(node: Node, scene: Scene) -> Finding:
    near = nearest(node.kind, scene.table, _LIKENESS)
    meant = f"did you mean {shown(near)}? " if near else ""
    if scene.is_live:
        what = "is of a kind that the server does not have"
        return error(
            node, "unknown-node", what, f"{meant}Install the custom nodes that it belongs to, or update ComfyUI"
        )
    what = f"is of a kind that this check does not know; it knows the usual nodes of ComfyUI {VERSION}"
    return error(node, "unknown-node", what, f"{meant}Check custom and newer nodes against your server with --server")


def _missing(node: Node, kind: NodeKind) -> Iterator[Finding]:
    for spec in kind.inputs:
        if spec.required and spec.name not in node.inputs:
            yield error(node, "missing-input", f"has no {shown(spec.name)}", _offer(spec))


def _offer(spec: Input) -> str:
    if not spec.is_widget:
        return f"connect an output of the type {spec.type}"
    if spec.folder:
        return f"name a file of {_folder(spec)}"
    return f"give it a value, such as {said(spec.default)}" if spec.default not in (None, "") else "give it a value"


def _folder(spec: Input) -> str:
    return f"ComfyUI's {spec.folder}" if spec.folder == "input" else f"models/{spec.folder}"


def _input(
    node: Node, kind: NodeKind, name: str, value: Link | Value, scene: Scene, made: frozenset[str]
) -> Iterator[Finding]:
    spec = kind.input(name)
    if spec is None and not kind.grows(name):
        near = nearest(name, [one.name for one in kind.inputs])
        remedy = f"did you mean {shown(near)}?" if near else "leave it out, ComfyUI passes over it"
        yield warning(node, "unknown-input", f"has an input {shown(name)} that its kind does not know", remedy)
    if isinstance(value, Link):
        yield from _link(node, name, value, spec, scene)
    elif spec is not None and _needs_link(spec, made):
        what = f"has {said(value)} as {shown(name)}, where a link is needed"
        yield error(node, "value-for-link", what, f"connect an output of the type {spec.type}")


def _needs_link(spec: Input, made: frozenset[str]) -> bool:
    """Custom nodes have widgets of types of their own; what some node makes is none of these."""
    types = {part.strip() for part in spec.type.split(",")}
    return not is_unsettled(spec.type) and not types & WIDGETS and bool(types & made)


def _link(node: Node, name: str, link: Link, spec: Input | None, scene: Scene) -> Iterator[Finding]:
    giver = scene.nodes.get(link.node)
    if giver is None:
        what = f"takes {shown(name)} from node {shown(link.node)}, which is not there"
        yield error(node, "link-to-nowhere", what, _connect(spec))
        return
    kind = scene.table.get(giver.kind)
    if kind is None:
        return
    if not 0 <= link.slot < len(kind.outputs):
        what = f"takes {shown(name)} from output {link.slot} of {called(giver)}, which has {_outputs(kind)}"
        yield error(node, "no-such-output", what, _ALONE.get(giver.kind, _connect(spec)))
    elif spec is not None and not fits(kind.outputs[link.slot], spec.type):
        what = f"takes {shown(name)} from {called(giver)}, whose output {link.slot} is of the type "
        what += f"{kind.outputs[link.slot]} and not {spec.type}"
        rule = "link-for-value" if spec.is_widget else "wrong-link-type"
        yield error(node, rule, what, _right(spec, kind, giver))


def _connect(spec: Input | None) -> str:
    if spec is None:
        return "leave it out"
    if spec.is_widget:
        return "give it a value"
    return f"connect an output of the type {spec.type}" + ("" if spec.required else ", or leave it out")


def _outputs(kind: NodeKind) -> str:
    if not kind.outputs:
        return "no output"
    count = f"only the output{'s' if len(kind.outputs) > 1 else ''} "
    return count + listed(f"{slot} ({type_})" for slot, type_ in enumerate(kind.outputs))


def _right(spec: Input, kind: NodeKind, giver: Node) -> str:
    """The output of the same node that was meant, if there is one."""
    slot = next((slot for slot, type_ in enumerate(kind.outputs) if fits(type_, spec.type)), None)
    if slot is not None:
        return f"take output {slot} of {called(giver)}"
    return _connect(spec)
