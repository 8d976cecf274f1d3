"""``comfyui --check``: workflows of any origin looked through, and run by a server if they have no error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kanjiprep.cli import talk
from kanjiprep.errors import InputError, UsageError, os_reason

if TYPE_CHECKING:
    from kanjiprep.publishing.comfyui.checks.checking import Checked
    from kanjiprep.publishing.comfyui.checks.findings import Finding
    from kanjiprep.publishing.comfyui.graph import Workflow
    from kanjiprep.publishing.comfyui.kinds import NodeKind

_SUFFIX: Final = ".json"
_PICTURES: Final = "pictures"
_NUMBERS: Final = re.compile(r"(\d+)")
_STRIP_NAME: Final = re.compile(r"step-[0-9]+_\w+")
_ERROR: Final = "error"


def check(path: Path, server: str | None, with_run: bool, out: Path | None, as_json: bool) -> None:
    """Check the workflow at ``path``, or all in it, and have them run if that is wished for.

    Args:
        path: A workflow, or a folder of some.
        server: The URL of the ComfyUI whose nodes are the measure; None for the nodes that ComfyUI ships.
        with_run: Whether the server is to run them.
        out: Where the pictures go; None for beside the workflows.
        as_json: Whether to print one JSON document.

    Raises:
        InputError: If there is no workflow, or an error in one.
        UsageError: If there is no server to run them, or nothing that ``out`` is for.
        RemoteError: If the server cannot be reached or refuses.
    """
    from kanjiprep.publishing.comfyui import nodes
    from kanjiprep.publishing.comfyui.checks import checking

    if with_run and server is None:
        raise UsageError("needs a server", "--run", "add --server with its URL, such as http://127.0.0.1:8188")
    refuse_idle("for the pictures of --run", {"--out": None if with_run else out})
    files, left_out = _workflows(path)
    for one in left_out if not as_json else ():
        talk.say(f"warning: {talk.short(one)}: no workflow, left out")
    table = nodes.TABLE if server is None else _nodes_of(server)
    checked = checking.check_files(files, table, server is not None)
    errors = sum(finding.severity == _ERROR for one in checked for finding in one.findings)
    if not as_json:
        _tell_findings(checked)
    pictures: tuple[Path, ...] = ()
    if with_run and server is not None and not errors:
        pictures = _run(path, checked, server, out, as_json)
    if as_json:
        found = [_checked(one) for one in checked]
        talk.print_json({"files": found, "left_out": left_out, "errors": errors, "pictures": pictures})
    if errors:
        what = f"{errors} error{'' if errors == 1 else 's'} in {len(files)} workflow{'' if len(files) == 1 else 's'}"
        raise InputError(what, str(path), "mend them as said" + (", nothing was queued" if with_run else ""))


def _nodes_of(server: str) -> Mapping[str, NodeKind]:
    from kanjiprep.publishing.comfyui.live.server import read_nodes

    return read_nodes(server)


def _workflows(path: Path) -> tuple[list[Path], list[Path]]:
    """The workflow at ``path``, or all in it; and what is JSON of something else there."""
    from kanjiprep.publishing.comfyui.forms import reading

    files = _files(path)
    left_out = [one for one in files if reading.is_foreign(one)] if path.is_dir() else []
    if len(left_out) == len(files):
        what = f"holds no workflow, and {len(files)} {_SUFFIX} file{'' if len(files) == 1 else 's'} of something else"
        raise InputError(what, str(path), "give a workflow, or the folder of some")
    return [one for one in files if one not in left_out], left_out


def _files(path: Path) -> list[Path]:
    """The workflow at ``path``, or all in it, numbers in their names in order."""
    try:
        if not path.is_dir():
            return [path]
        found = [one for one in path.iterdir() if one.suffix == _SUFFIX and not one.name.startswith(".")]
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(
            f"cannot be read: {reason}", repr(str(path))[1:-1], "give a workflow or its folder"
        ) from error
    if not found:
        raise InputError(f"holds no {_SUFFIX} file", str(path), "give a workflow, or the folder of some")
    return sorted(
        found, key=lambda one: [int(part) if part.isdecimal() else part for part in _NUMBERS.split(one.name)]
    )


def _run(path: Path, checked: Sequence[Checked], server: str, out: Path | None, as_json: bool) -> tuple[Path, ...]:
    from kanjiprep.publishing.comfyui.live.finished import finished
    from kanjiprep.publishing.comfyui.live.server import run

    workflows: dict[str, Workflow] = {one.path.stem: one.workflow for one in checked}
    folder = out or (path if path.is_dir() else path.parent) / _PICTURES
    before = finished(workflows, folder)
    with talk.progress(quiet=as_json) as progress:
        pictures = run(workflows, server, folder, progress)
    if not as_json:
        for picture in pictures:
            talk.out(talk.short(picture))
        if before:
            talk.say(f"note: {len(before)} of {len(workflows)} pictures were there already, of the same workflows")
        if all(_STRIP_NAME.fullmatch(name) for name in workflows):
            talk.say(f"Next: kanjiprep score {talk.short(folder)} --pattern 'step-{{step}}_{{prompt}}.png'")
    return pictures


def _checked(one: Checked) -> dict[str, Any]:
    return {"path": one.path, "form": one.form, "nodes": one.nodes, "findings": one.findings}


def line(found: Finding) -> str:
    """What was found, where, and what to do about it."""
    kind = f" ({found.kind})" if found.kind else ""
    node = f" node {found.node}{kind}" if found.node else ""
    remedy = f"; {found.remedy}" if found.remedy else ""
    return f"{found.severity}{node}: {found.what}{remedy}"


def _tell_findings(checked: Sequence[Checked]) -> None:
    for one in checked:
        place = f"{talk.short(one.path)}: " if len(checked) > 1 else ""
        for found in one.findings:
            talk.out(f"{place}{line(found)}")
    clean = [one for one in checked if not one.findings]
    if len(checked) == 1 and clean:
        talk.say(
            f"{talk.short(clean[0].path)}: {clean[0].form} form, {clean[0].nodes} nodes, nothing to find fault with"
        )
    elif clean:
        talk.say(f"{len(clean)} of {len(checked)} workflows have nothing to find fault with")


def refuse_idle(only: str, options: Mapping[str, object]) -> None:
    """Refuse options that would do nothing.

    Args:
        only: When they do something, such as "for --check FILE".
        options: Their values by name; None for one that was not given.

    Raises:
        UsageError: If one was given.
    """
    found = [name for name, value in options.items() if value is not None]
    if found:
        raise UsageError(f"is {only}", found[0], "leave it out here")
