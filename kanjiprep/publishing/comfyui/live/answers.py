"""What a ComfyUI server says, as values: a queue, a history, messages and pictures.

Source: ComfyUI 0.3.64, server.py, execution.py, main.py (hijack_progress) and comfy_execution/progress.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from kanjiprep.publishing.comfyui.graph import Workflow

ENDS: Final = frozenset({"execution_success", "execution_error", "execution_interrupted"})
"""Messages that a workflow has ended; its entry in the history comes a moment later."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a node has made, by the names that /view takes.

    Attributes:
        filename: Its name on the server.
        subfolder: Where it is in the folder of its kind.
        folder: ``output``, or ``temp`` for a preview.
        node: Id of the node.
    """

    filename: str
    subfolder: str
    folder: str
    node: str

    @property
    def path(self) -> str:
        """What to ask for."""
        query = {"filename": self.filename, "subfolder": self.subfolder, "type": self.folder}
        return f"/view?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a workflow was not finished.

    Attributes:
        node: Id of the node, if it is known.
        kind: Its class.
        message: The exception's message; empty if it was interrupted.
        exception: The exception's class; empty if it was interrupted.
        is_interrupted: Whether somebody has stopped it.
    """

    node: str
    kind: str
    message: str
    exception: str
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a workflow has ended.

    Attributes:
        pictures: What there is to be fetched.
        fault: Why it was not finished, if so.
    """

    pictures: tuple[Picture, ...]
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Step:
    """How far a node is."""

    node: str
    done: int
    total: int


Heard = Step | Literal["end"] | None
"""What a message means for one workflow: a step, its end, or nothing."""


def place_of(queue: Mapping[str, Any], prompt_id: str) -> int | None:
    """How many come before it: 0 if it runs, None if it is not in the queue."""
    running, pending = ([_entry(one) for one in _list(queue.get(f"queue_{kind}"))] for kind in ("running", "pending"))
    if prompt_id in [name for _, name in running]:
        return 0
    order = [name for _, name in sorted(pending, key=lambda one: one[0])]  # the list is a heap, and not in order
    return len(running) + order.index(prompt_id) if prompt_id in order else None


def _entry(item: object) -> tuple[float, str]:
    match item:
        case [int() | float() as number, str() as name, *_]:
            return number, name
    return 0.0, ""


def outcome_of(history: Mapping[str, Any], prompt_id: str, workflow: Workflow) -> Outcome | None:
    """How it has ended; None if the history does not hold it."""
    entry = history.get(prompt_id)
    if not isinstance(entry, dict):
        return None
    return Outcome(tuple(_pictures(_table(entry.get("outputs")), workflow)), _fault(_table(entry.get("status"))))


def _pictures(outputs: Mapping[str, Any], workflow: Workflow) -> Iterator[Picture]:
    """Those of nodes that save, or else of those that only show, in the order of the workflow's nodes."""
    order = {node.id: number for number, node in enumerate(workflow.nodes)}
    made: list[Picture] = []
    for node_id in sorted(outputs, key=lambda one: order.get(one.split(":")[0], len(order))):
        made += filter(None, (_picture(one, node_id) for one in _list(_table(outputs[node_id]).get("images"))))
    saved = [one for one in made if one.folder == "output"]
    yield from saved or [one for one in made if one.folder == "temp"]


def _picture(image: object, node_id: str) -> Picture | None:
    match _table(image):
        case {"filename": str() as filename, "type": str() as folder, **other}:
            subfolder = other.get("subfolder")
            return Picture(filename, subfolder if isinstance(subfolder, str) else "", folder, node_id)
    return None


def _fault(status: Mapping[str, Any]) -> Fault | None:
    for message in _list(status.get("messages")):
        match message:
            case ["execution_error" | "execution_interrupted" as kind, dict() as about]:
                return _told(about, kind == "execution_interrupted")
    if status.get("status_str") == "error":
        return Fault("", "", "", "")
    return None


def _told(about: Mapping[str, Any], is_interrupted: bool) -> Fault:
    keys = ("node_id", "node_type", "exception_message", "exception_type")
    node, kind, message, exception = (str(about.get(key, "")) for key in keys)
    return Fault(node, kind, message, exception, is_interrupted)


def heard(text: str | bytes, prompt_id: str) -> Heard:
    """What a message of the websocket means for the workflow ``prompt_id``; pictures in between mean nothing."""
    if isinstance(text, bytes):
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    about = _table(message)
    data = _table(about.get("data"))
    return _meaning(str(about.get("type")), data) if data.get("prompt_id", prompt_id) == prompt_id else None


def _meaning(kind: str, data: Mapping[str, Any]) -> Heard:
    if kind in ENDS or (kind == "executing" and data.get("node") is None):
        return "end"
    if kind == "progress":
        return _step(str(data.get("node", "")), data)
    if kind == "progress_state":
        steps = [_step(str(name), _table(state)) for name, state in _table(data.get("nodes")).items()]
        return next((one for one in steps if one is not None), None)
    return None


def _step(node: str, state: Mapping[str, Any]) -> Step | None:
    match state:
        case {"value": int() | float() as done, "max": int() | float() as total}:
            if 1 < total < float("inf") and 0 <= done <= total and state.get("state", "running") == "running":
                return Step(node, int(done), int(total))
    return None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
