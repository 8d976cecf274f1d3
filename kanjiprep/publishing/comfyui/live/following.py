"""A workflow on a ComfyUI server from its queue to its end: steps by the websocket, the truth by questions."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from kanjiprep.errors import RemoteError
from kanjiprep.progress import Progress
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.live import answers
from kanjiprep.publishing.comfyui.live.address import Address, socket_url
from kanjiprep.publishing.comfyui.live.answers import Outcome, Step
from kanjiprep.publishing.comfyui.live.server_http import ANSWER_S, ask_json

QUEUE_STAGE: Final = "before us in the queue"
STEP_STAGE: Final = "step"

_MOST_MESSAGE: Final = 4 << 20
"""Bytes; previews are small. At a larger one the connection is closed, and all is asked from then on."""
_MOST_WAITING: Final = 1024
"""Messages that wait while a question is asked; with a full queue version 14 of the library never closes."""
_OPEN_S: Final = 5.0
_WRITTEN_S: Final = 0.05
"""Between the message of a workflow's end and its entry in the history, mostly."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited.

    Attributes:
        answer_s: For an answer, while there is silence.
        lost_s: For a server that was there and answers no more.
        workflow_s: For one workflow, with its time in the queue.
        poll_s: Between two questions while there is no websocket.
        quiet_s: Between two questions while there is one.
    """

    answer_s: float = ANSWER_S
    lost_s: float = 120.0
    workflow_s: float = 3600.0
    poll_s: float = 1.0
    quiet_s: float = 5.0


@dataclass(slots=True)
class Channel:
    """The websocket; without a connection nothing is heard and all is asked."""

    connection: ClientConnection | None


@contextmanager
def listening(address: Address, client_id: str, patience: Patience) -> Iterator[Channel]:
    """The websocket of a client, without a connection if there can be none."""
    with ExitStack() as open_things:
        yield Channel(_connected(address, client_id, patience, open_things))


def _connected(
    address: Address, client_id: str, patience: Patience, open_things: ExitStack
) -> ClientConnection | None:
    # a socket of our own: a redirect is not followed with it, so that the password goes nowhere else
    try:
        plug = socket.create_connection((address.host, address.port), min(_OPEN_S, patience.answer_s))
        open_things.callback(plug.close)
        return open_things.enter_context(
            connect(
                socket_url(address, client_id),
                sock=plug,
                additional_headers={"Authorization": address.authorization} if address.authorization else None,
                open_timeout=min(_OPEN_S, patience.answer_s),
                close_timeout=1,
                ping_timeout=60,
                max_size=_MOST_MESSAGE,
                max_queue=_MOST_WAITING,
                logger=_quiet(),
            )
        )
    except (OSError, WebSocketException, ValueError):
        return None


def _quiet() -> logging.Logger:
    """A logger that says nothing: at its lowest level the library tells headers, and so the password."""
    logger = logging.getLogger("kanjiprep.comfyui")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


def follow(
    address: Address, prompt_id: str, workflow: Workflow, channel: Channel, progress: Progress, patience: Patience
) -> Outcome:
    """How the workflow has ended, once it has.

    Args:
        address: The server.
        prompt_id: The workflow's number there.
        workflow: What was queued.
        channel: The websocket that its messages come by; it loses its connection if that fails.
        progress: Hears how many are before it in the queue, and steps.
        patience: How long is waited.

    Raises:
        RemoteError: If the server is gone, does not know it any more, or takes too long.
    """
    hear, started = _listener(workflow, progress), time.monotonic()
    answered, place = started, 0
    while True:
        state = _state(address, prompt_id, workflow, patience)
        if isinstance(state, Outcome):
            return state
        if state is None:
            what = "the server does not know it any more: it was restarted, or somebody has cleared its queue"
            raise RemoteError(what, address.base, "run it again")
        if isinstance(state, RemoteError):
            _refuse_lost(state, time.monotonic() - answered, patience)
        else:
            answered, place = time.monotonic(), _told(state, place, progress)
        _refuse_late(address, place, time.monotonic() - started, patience)
        _wait(channel, prompt_id, hear, patience)


def _state(
    address: Address, prompt_id: str, workflow: Workflow, patience: Patience
) -> int | Outcome | RemoteError | None:
    """Its place in the queue, how it has ended, None if the server does not know it, or why that cannot be said.

    The queue is asked first: what has left it is in the history from the same moment on.
    """
    try:
        place = answers.place_of(ask_json(address, "/queue", silence_s=patience.answer_s), prompt_id)
        if place is not None:
            return place
        history = ask_json(address, f"/history/{quote(prompt_id, safe='')}", silence_s=patience.answer_s)
    except RemoteError as error:
        return error
    return answers.outcome_of(history, prompt_id, workflow)


def _told(place: int, before: int, progress: Progress) -> int:
    if place and place != before:
        progress(QUEUE_STAGE, place, None)
    return place


def _refuse_lost(error: RemoteError, silent_s: float, patience: Patience) -> None:
    if silent_s > patience.lost_s:
        what = f"{error.what}, and that since {silent_s:.0f} s in the middle of the work"
        raise RemoteError(what, error.where, error.remedy) from error


def _refuse_late(address: Address, place: int, spent_s: float, patience: Patience) -> None:
    if spent_s > patience.workflow_s:
        state = f"is still behind {place} others in the queue" if place else "is still at work"
        what = f"{state} after {patience.workflow_s:,.0f} s, and was taken off the server"
        raise RemoteError(what, address.base, "allow more time, or look at what ComfyUI has printed")


def _listener(workflow: Workflow, progress: Progress) -> Callable[[Step], None]:
    said: list[Step] = []

    def hear(step: Step) -> None:
        if step not in said[-1:]:  # newer servers say each twice, in two kinds of messages
            said[:] = [step]
            progress(_stage(workflow, step), step.done, step.total)

    return hear


def _stage(workflow: Workflow, step: Step) -> str:
    node = workflow.node(step.node.split(":")[0])
    return STEP_STAGE if node is None or "sampler" in node.kind.lower() else f"{STEP_STAGE} of {node.kind}"


def _wait(channel: Channel, prompt_id: str, hear: Callable[[Step], None], patience: Patience) -> None:
    """Listen until it is time to ask again."""
    if channel.connection is None:
        time.sleep(patience.poll_s)
        return
    until = time.monotonic() + patience.quiet_s
    try:
        while (left_s := until - time.monotonic()) > 0:
            meaning = answers.heard(channel.connection.recv(timeout=left_s), prompt_id)
            if meaning == "end":
                time.sleep(_WRITTEN_S)
                return
            if meaning is not None:
                hear(meaning)
    except TimeoutError:
        return
    except (OSError, EOFError, WebSocketException):
        channel.connection = None
