"""Rules of what widgets hold: types, ranges, choices and names of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui.checks import model_names
from kanjiprep.publishing.comfyui.checks.findings import Finding, Scene, error, nearest, said, warning
from kanjiprep.publishing.comfyui.graph import Link, Node, Value
from kanjiprep.publishing.comfyui.kinds import Input
from kanjiprep.publishing.comfyui.written.order import MOST_SEED

_SIZES: Final = frozenset({"width", "height"})
_MANY: Final = 12
_MOST_INT: Final = 2**64
"""Beyond it a number is out of every range, which is said instead."""
_REMEDIES: Final[Mapping[str, str]] = {"INT": "a whole number", "FLOAT": "a number"}


def found(scene: Scene) -> Iterator[Finding]:
    """What is wrong with the values of widgets."""
    for node in scene.workflow.nodes:
        kind = scene.table.get(node.kind)
        for spec in kind.widgets if kind else ():
            if spec.name in node.inputs:
                value = node.inputs[spec.name]
                if not isinstance(value, Link):
                    yield from _value(node, spec, value)
                    yield from _rounded(node, spec, value) if scene.is_ui else ()


def _value(node: Node, spec: Input, value: Value) -> Iterator[Finding]:
    if spec.folder and (model_names.is_none(value) or not isinstance(value, str)):
        yield _no_file(node, spec, value)
    elif spec.type == "COMBO":
        yield from _choice(node, spec, value)
    elif spec.type in _REMEDIES:
        yield from _number(node, spec, value)
    else:
        yield from _plain(node, spec, value)


def _no_file(node: Node, spec: Input, value: Value) -> Finding:
    place = "ComfyUI's input folder" if spec.folder == "input" else f"models/{spec.folder}"
    what = f"names no file as {shown(spec.name)}: it is {said(value)}, which ComfyUI writes for a file that it lacks"
    if value is not None and not isinstance(value, str):
        what = f"names no file as {shown(spec.name)}: it is {said(value)}"
    return error(node, "no-file", what, f"put the file into {place}, reload the page and choose it")


def _choice(node: Node, spec: Input, value: Value) -> Iterator[Finding]:
    if spec.choices is None or value in spec.choices:
        return
    near = nearest(str(value), spec.choices)
    meant = f"did you mean {shown(near)}?" if near else ""
    if spec.folder or not spec.choices:
        yield _missing_file(node, spec, value, meant)
        return
    few = len(spec.choices) <= _MANY
    offer = f"take one of {', '.join(map(shown, spec.choices))}" if few else "choose one in the UI"
    what = f"has {said(value)} as {shown(spec.name)}, which is none of its {len(spec.choices)} choices"
    yield error(node, "unknown-choice", what, meant or offer)


def _missing_file(node: Node, spec: Input, value: Value, meant: str) -> Finding:
    """A server lists only the pictures at the top of its input folder, so that others may still be there."""
    if spec.folder == "input":
        what = f"wants the picture {said(value)}, which the server does not list"
        return warning(node, "missing-file", what, meant or "put it into ComfyUI's input folder")
    place = f"models/{spec.folder}" if spec.folder else "the folder of its kind"
    what = f"wants {said(value)} as {shown(spec.name)}, a file that the server does not have in {place}"
    put = f"put it into {place} and reload the page"
    return error(node, "missing-file", what, f"{meant} If not, {put}" if meant else put)


def _number(node: Node, spec: Input, value: Value) -> Iterator[Finding]:
    wanted = _REMEDIES[spec.type]
    read = _read(value, spec.type)
    if read is None:
        what = f"has {said(value)} as {shown(spec.name)}, which is no number"
        yield error(node, "wrong-value-type", what, f"give {wanted}, such as {said(spec.default)}")
        return
    if isinstance(value, str | bool) or (spec.type == "INT" and read != int(read)):
        what = f"has {said(value)} as {shown(spec.name)}, which ComfyUI reads as "
        what += f"{int(read)}" if spec.type == "INT" else f"{read:g}"
        yield warning(node, "wrong-value-type", what, f"give {wanted}")
    yield from _range(node, spec, int(read) if spec.type == "INT" else read)


def _read(value: Value, type_: str) -> float | None:
    """As ``int`` or ``float`` reads it, with which a server begins; None for what is no finite number."""
    try:
        read = (int if type_ == "INT" else float)(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return read if isinstance(read, int) or (read is not None and isfinite(read)) else None


def _range(node: Node, spec: Input, value: float) -> Iterator[Finding]:
    if spec.least is not None and value < spec.least:
        what = f"has {said(value)} as {shown(spec.name)}, and {_plainly(spec.least)} is the least"
        yield error(node, "out-of-range", what, _between(spec))
    elif spec.most is not None and value > spec.most:
        what = f"has {said(value)} as {shown(spec.name)}, and {_plainly(spec.most)} is the most"
        yield error(node, "out-of-range", what, _between(spec))
    elif spec.name in _SIZES and spec.step and spec.step > 1 and value % spec.step:
        step = int(spec.step)
        near = max(round(value / step) * step, int(spec.least or step))
        what = f"has {said(value)} as {shown(spec.name)}, which is no multiple of {step}"
        what += ", so that ComfyUI cuts or pads it"
        yield warning(node, "off-step", what, f"the nearest is {near}")


def _rounded(node: Node, spec: Input, value: Value) -> Iterator[Finding]:
    """Whole numbers that a browser, whose numbers are doubles, cannot hold exactly."""
    if spec.type == "INT" and type(value) is int and MOST_SEED < abs(value) <= _MOST_INT:
        what = f"has {said(value)} as {shown(spec.name)}, which the browser of ComfyUI's window rounds"
        yield warning(node, "rounded", what, f"give one up to {MOST_SEED}, so that everybody gets the same")


def _between(spec: Input) -> str:
    if spec.least is None or spec.most is None:
        return "change it"
    return f"give a number from {_plainly(spec.least)} to {_plainly(spec.most)}"


def _plainly(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _plain(node: Node, spec: Input, value: Value) -> Iterator[Finding]:
    """Texts and flags: a server turns everything into them, but not always into what was meant."""
    if spec.type == "STRING" and value is None:
        yield error(node, "wrong-value-type", f"has no text as {shown(spec.name)}", "write one, or an empty one")
    elif spec.type == "STRING" and not isinstance(value, str):
        what = f"has {said(value)} as {shown(spec.name)}, which ComfyUI reads as a text"
        yield warning(node, "wrong-value-type", what, "put it in quotes")
    elif spec.type == "BOOLEAN" and not isinstance(value, bool):
        what = f"has {said(value)} as {shown(spec.name)}, which ComfyUI reads as {'true' if value else 'false'}"
        yield warning(node, "wrong-value-type", what, "give true or false")
