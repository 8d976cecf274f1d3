"""Talk to a live ComfyUI server: which nodes it has, and workflows run to pictures."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kanjiprep.errors import InputError, UsageError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.publishing.comfyui import nodes
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.live import address as addresses
from kanjiprep.publishing.comfyui.live import fetched, following, queueing, refusals, server_http
from kanjiprep.publishing.comfyui.live.address import DEFAULT, Address
from kanjiprep.publishing.comfyui.live.answers import Outcome, Picture
from kanjiprep.publishing.comfyui.live.finished import finished
from kanjiprep.publishing.comfyui.live.following import Patience
from kanjiprep.publishing.comfyui.nodes import NodeKind

__all__ = ["DEFAULT", "Patience", "read_nodes", "run"]

WORKFLOW_STAGE: Final = "workflow"
_PATIENCE: Final = Patience()


def read_nodes(url: str, silence_s: float = server_http.ANSWER_S) -> Mapping[str, NodeKind]:
    """The kinds of nodes that the server at ``url`` has, with the model files that it has as their choices.

    Raises:
        UsageError: If ``url`` is no address of a server.
        RemoteError: If nothing answers there, or something else than ComfyUI.
    """
    address = addresses.parse(url)
    document = server_http.ask_json(address, "/object_info", silence_s=silence_s)
    try:
        return nodes.from_object_info(document, address.base)
    except InputError as error:
        raise server_http.not_comfyui(address, "/object_info describes no nodes") from error


def run(
    workflows: Mapping[str, Workflow], url: str, out: Path, progress: Progress, patience: Patience = _PATIENCE
) -> tuple[Path, ...]:
    """The pictures of all workflows in ``out``, painted by the server one workflow after the other.

    A workflow whose picture is there already, painted by the very same one, is not queued again.

    Args:
        workflows: By the names that their pictures get.
        url: The server.
        out: A folder; it is made, and nothing in it is written over.
        progress: Hears workflows, places in the server's queue, and steps.
        patience: How long is waited for what.

    Raises:
        UsageError: If ``url`` is no address, or a picture cannot be put into ``out``.
        InputError: If the server does not take a workflow, or lacks a file for it.
        RemoteError: If the server is not there, fails, is restarted, or takes too long.
        Interrupted: On Ctrl-C; what we had on the server is taken off.
    """
    address = addresses.parse(url)
    before = finished(workflows, out)
    fetched.refuse_taken(out, [name for name in workflows if name not in before])
    paths: list[Path] = []
    with _made(out):
        for done, (name, workflow) in enumerate(workflows.items()):
            progress(WORKFLOW_STAGE, done, len(workflows))
            if name in before:
                paths.append(before[name])
                continue
            outcome = _ended(address, workflow, name, progress, patience)
            pictures = _pictures(outcome, workflow, name)
            paths += fetched.fetch(address, pictures, name, out, workflows, patience.answer_s)
    progress(WORKFLOW_STAGE, len(workflows), len(workflows))
    return tuple(paths)


def _pictures(outcome: Outcome, workflow: Workflow, name: str) -> tuple[Picture, ...]:
    if outcome.fault is not None:
        raise refusals.failure(outcome.fault, workflow, name)
    if not outcome.pictures:
        raise InputError("has run, and made no picture", name, "let it end in a SaveImage node")
    return outcome.pictures


def _ended(address: Address, workflow: Workflow, name: str, progress: Progress, patience: Patience) -> Outcome:
    client_id = uuid.uuid4().hex
    with (
        following.listening(address, client_id, patience) as channel,
        queueing.queued(address, workflow, client_id, name, patience.answer_s) as prompt_id,
    ):
        return following.follow(address, prompt_id, workflow, channel, progress, patience)


@contextmanager
def _made(out: Path) -> Iterator[None]:
    """``out`` as a folder, which is gone again if it is new and nothing came into it."""
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):  # before the server works for nothing
            pass
    except OSError as error:
        remedy = "fix the permissions, or give another folder"
        raise UsageError(f"cannot be written: {os_reason(error)}", str(out), remedy) from error
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds pictures
                out.rmdir()
