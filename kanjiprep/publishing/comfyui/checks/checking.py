"""A file with a workflow, read and checked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.errors import InputError
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


def check_files(paths: Sequence[Path], table: Mapping[str, NodeKind] = TABLE, is_live: bool = False) -> list[Checked]:
    """Several workflows checked; of one that cannot be read this is the one finding, so that the others are seen.

    Args:
        paths: As for ``check_file``.
        table: The kinds of nodes.
        is_live: Whether they are of a server.

    Raises:
        InputError: If there is one alone, and it cannot be read.
    """
    if len(paths) == 1:
        return [check_file(paths[0], table, is_live)]
    return [_check_or_say(path, table, is_live) for path in paths]


def _check_or_say(path: Path, table: Mapping[str, NodeKind], is_live: bool) -> Checked:
    try:
        return check_file(path, table, is_live)
    except InputError as error:
        line = error.where.removeprefix(f"{path}:")
        what = f"{error.what}, in line {line}" if line.isdecimal() else error.what
        return Checked(path, "api", 0, (Finding("error", "", "", "unreadable", what, error.remedy),), Workflow(()))
