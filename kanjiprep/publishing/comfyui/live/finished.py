"""Pictures that were fetched before: a series that was cut off goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.forms import reading
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.nodes import TABLE


def finished(workflows: Mapping[str, Workflow], out: Path) -> dict[str, Path]:
    """The pictures in ``out`` that were made by the very workflow whose name they have.

    ComfyUI writes the workflow into each PNG, so a picture of other settings is told from one of these.
    """
    paths = {name: out / f"{name}.png" for name in workflows}
    return {name: path for name, path in paths.items() if _is_of(path, workflows[name])}


def _is_of(path: Path, workflow: Workflow) -> bool:
    try:
        found, _ = reading.read(path, TABLE)
    except InputError:  # no picture there, or one of something else: whoever writes refuses it
        return False
    return _said(found) == _said(workflow)


def _said(workflow: Workflow) -> dict[str, object]:
    return {node.id: (node.kind, dict(node.inputs)) for node in workflow.nodes}
