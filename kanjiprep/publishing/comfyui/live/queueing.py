"""A workflow into the queue of a ComfyUI server, and out of it again if we do not wait for its end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from kanjiprep.errors import Interrupted, RemoteError
from kanjiprep.publishing.comfyui.graph import Workflow, to_api
from kanjiprep.publishing.comfyui.live import answers, refusals
from kanjiprep.publishing.comfyui.live.address import Address
from kanjiprep.publishing.comfyui.live.server_http import ANSWER_S, ask, ask_json, parsed, strange

CANCEL_S: Final = 5.0
"""Longest silence while a workflow is taken off."""
_TAKEN, _REFUSED = 200, 400


@contextmanager
def queued(
    address: Address, workflow: Workflow, client_id: str, where: str, silence_s: float = ANSWER_S
) -> Iterator[str]:
    """The number of ``workflow`` in the server's queue; if the block ends by an error, it is taken off and stopped.

    Nobody else's work is touched.

    Args:
        address: The server.
        workflow: What is to run.
        client_id: Whose websocket hears of it.
        where: The workflow's name, for errors.
        silence_s: Longest silence that is waited for.

    Raises:
        InputError: If the server does not take it, or not all of it.
        RemoteError: If the server does not answer, or is no ComfyUI.
        Interrupted: On Ctrl-C, saying whether the server was told.
    """
    prompt_id = str(uuid.uuid4())  # ours, so that it can be taken off even if the answer never comes
    try:
        answer = _put(address, workflow, client_id, prompt_id, where, silence_s)
        prompt_id = str(answer["prompt_id"])  # older servers give one of their own
        _refuse_part(answer, workflow, where)
        yield prompt_id
    except KeyboardInterrupt as error:
        raise _interrupted(_insist(address, prompt_id), address) from error
    except BaseException:
        _take_off(address, prompt_id)  # if that fails too, the first error is what the user needs
        raise


def _put(
    address: Address, workflow: Workflow, client_id: str, prompt_id: str, where: str, silence_s: float
) -> dict[str, Any]:
    document = {"prompt": to_api(workflow), "client_id": client_id, "prompt_id": prompt_id}
    reply = ask(address, "/prompt", document, silence_s)
    answer = parsed(reply) or {}
    if reply.status == _TAKEN and isinstance(answer.get("prompt_id"), str):
        return answer
    if reply.status == _REFUSED and "error" in answer:
        raise refusals.refusal(answer, workflow, where)
    raise strange(reply, address, "/prompt")


def _refuse_part(answer: Mapping[str, Any], workflow: Workflow, where: str) -> None:
    """A server takes a workflow of which one output is right, and leaves out the others."""
    if answer.get("node_errors"):
        raise refusals.refusal(answer, workflow, where)


def _insist(address: Address, prompt_id: str) -> bool:
    """As ``_take_off``, and once again if Ctrl-C is pressed twice, or sent twice as by timeout(1)."""
    try:
        return _take_off(address, prompt_id)
    except KeyboardInterrupt:
        return _take_off(address, prompt_id)


def _take_off(address: Address, prompt_id: str) -> bool:
    """Whether the server was told; a workflow that begins to run between the two questions is seen by the second."""
    try:
        ask(address, "/queue", {"delete": [prompt_id]}, CANCEL_S)
        if answers.place_of(ask_json(address, "/queue", silence_s=CANCEL_S), prompt_id) == 0:
            ask(address, "/interrupt", {"prompt_id": prompt_id}, CANCEL_S)
    except RemoteError:
        return False
    return True


def _interrupted(is_told: bool, address: Address) -> Interrupted:
    if is_told:
        return Interrupted("interrupted, and taken off the server", address.base)
    what = "interrupted, but the server could not be told and may go on"
    return Interrupted(what, address.base, "stop it in ComfyUI's own queue")
