"""A file with a workflow, read and checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.publishing.comfyui.checks.check import Finding, check
from kanjiprep.publishing.comfyui.forms.reading import Form, read
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.nodes import TABLE, NodeKind


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        path: The file.
        form: ``api``, ``ui`` or ``picture``.
        nodes: How many there are.
        findings: Errors first.
        workflow: What the file holds.
    """

    path: Path
    form: Form
    nodes: int
    findings: tuple[Finding, ...]
    workflow: Workflow


def check_file(path: Path, table: Mapping[str, NodeKind] = TABLE, is_live: bool = False) -> Checked:
    """Read a workflow and check it.

    Args:
        path: JSON of either form, or a PNG picture that ComfyUI made.
        table: The kinds of nodes.
        is_live: Whether they are of a server, which knows its files.

    Raises:
        InputError: If the file cannot be read, or holds no workflow.
    """
    workflow, form = read(path, table)
    return Checked(path, form, len(workflow.nodes), check(workflow, table, is_live, form == "ui"), workflow)
