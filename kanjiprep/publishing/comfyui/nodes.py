"""The kinds of nodes that a check goes by: those written down here, or those of a live server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.core_nodes import TABLE
from kanjiprep.publishing.comfyui.graph import Value
from kanjiprep.publishing.comfyui.kinds import Input, NodeKind

__all__ = ["TABLE", "Input", "NodeKind", "from_object_info"]

_REMEDY: Final = "give the address of a ComfyUI server"
_SEEDS: Final = frozenset({"seed", "noise_seed"})
"""Whole numbers of these names have a second widget even where a node does not ask for one."""
_UPLOADS: Final = ("image_upload", "video_upload", "animated_image_upload", "audio_upload")


def from_object_info(document: object, where: str) -> Mapping[str, NodeKind]:
    """The kinds that a server has, with the names of its model files as choices.

    Entries that are no description of a node are left out: custom nodes may give anything.

    Args:
        document: What ``GET /object_info`` answers, parsed from JSON.
        where: The server, for errors.

    Raises:
        InputError: If it describes no node at all.
    """
    entries = document.items() if isinstance(document, dict) else ()
    kinds = {str(name): _kind(str(name), entry) for name, entry in entries if _is_kind(entry)}
    if not kinds:
        raise InputError("has no list of nodes under /object_info", where, _REMEDY)
    return kinds


def _is_kind(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("input"), dict) and isinstance(entry.get("output"), list)


def _kind(name: str, entry: Mapping[str, Any]) -> NodeKind:
    outputs = tuple(_type(one) for one in entry["output"])
    names = entry.get("output_name")
    named = tuple(map(str, names)) if isinstance(names, list) else ()
    return NodeKind(
        name=name,
        inputs=tuple(_inputs(name, entry)),
        outputs=outputs,
        is_output=entry.get("output_node") is True,
        output_names=named if len(named) == len(outputs) and named != outputs else (),
    )


def _inputs(kind: str, entry: Mapping[str, Any]) -> Iterator[Input]:
    for section in ("required", "optional"):
        given = entry["input"].get(section)
        given = given if isinstance(given, dict) else {}
        order = entry.get("input_order")
        names = order.get(section) if isinstance(order, dict) else None
        for name in names if isinstance(names, list) else given:
            if isinstance(name, str) and isinstance(given.get(name), list) and given[name]:
                yield _input(kind, name, given[name], required=section == "required")


def _input(kind: str, name: str, spec: list[Any], *, required: bool) -> Input:
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    type_ = _type(spec[0])
    known = TABLE[kind].input(name) if kind in TABLE else None
    uploads = any(options.get(word) is True for word in _UPLOADS)
    return Input(
        name=name,
        type=type_,
        required=required,
        default=_scalar(options.get("default")),
        least=_number(options.get("min")),
        most=_number(options.get("max")),
        step=_number(options.get("step")),
        choices=_choices(spec[0], options) if type_ == "COMBO" else None,
        control_after_generate=_is_controlled(name, type_, options),
        folder=known.folder if known else "input" if uploads else "",
        is_long=options.get("multiline") is True,
        is_socket=options.get("forceInput") is True,
        uploads=uploads,
    )


def _is_controlled(name: str, type_: str, options: Mapping[str, Any]) -> bool:
    return bool(options.get("control_after_generate", type_ == "INT" and name in _SEEDS))


def _type(value: object) -> str:
    """A list of choices stands for the type COMBO in the form that most nodes use."""
    return "COMBO" if isinstance(value, list) else str(value)


def _choices(first: object, options: Mapping[str, Any]) -> tuple[Value, ...] | None:
    """None where the UI fetches them elsewhere, so that nobody can say what is a choice."""
    given = first if isinstance(first, list) else options.get("options")
    if not isinstance(given, list) or "remote" in options:
        return None
    return tuple(one for one in given if isinstance(one, str | int | float))


def _scalar(value: object) -> Value:
    return value if isinstance(value, str | int | float) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
