"""Sets up our own tool and the trainer on a box: once, to the end, whatever becomes of the laptop."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import RemoteError
from kanjiprep.progress import Progress
from kanjiprep.training.remote import wheel as wheels
from kanjiprep.training.remote.box import scripts, steps
from kanjiprep.training.remote.box.scripts import ROOT, Far

STEP: Final = "setup"
_HERE: Final = Path(__file__).parent
_STAGE: Final = "@stage "
_FAILED: Final = "@failed "
_ERROR: Final = "error: "
_KEPT_LINES: Final = 4
_AGAIN: Final = "run the same command again; it goes on where it was"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be set up.

    Attributes:
        wheel: Of our tool.
        accelerator: For the trainer; ``none`` sets up no trainer.
        root: Folder of ours on the box.
    """

    wheel: Path
    accelerator: Literal["auto", "cpu", "cuda", "none"] = "auto"
    root: str = ROOT


@dataclass(frozen=True, slots=True)
class Ready:
    """A box on which our tool runs.

    Attributes:
        digest: Of its wheel.
        version: As the tool there says it.
        trainer: Where the trainer is.
        was_there: Whether nothing had to be done.
    """

    digest: str
    version: str
    trainer: str
    was_there: bool


def setup(
    far: Far,
    order: Order,
    progress: Progress,
    poll_s: float = steps.POLL_S,
    pause: Callable[[float], None] = time.sleep,
) -> Ready:
    """The box with our tool and the trainer; a second call verifies and does nothing.

    The work is a step of its own on the box. If the connection is lost, a further call finds it at work and waits
    for it.

    Raises:
        RemoteError: If the box cannot be reached, another setup is at work there, or something fails.
    """
    digest = wheels.digest_of(order.wheel)
    ready = far.again(partial(verify, far, order, digest, was_there=True))
    if ready is not None:
        return ready
    far.again(partial(_begin, far, order, digest, progress))
    attend(far, order.root, progress, poll_s, pause)
    ready = far.again(partial(verify, far, order, digest, was_there=False))
    if ready is None:
        raise RemoteError("was set up, and yet our tool or the trainer does not answer there", far.name, _AGAIN)
    return ready


def verify(far: Far, order: Order, digest: str, *, was_there: bool) -> Ready | None:
    """The box as it stands, if all that ``order`` wants is there and starts.

    Raises:
        RemoteError: If the box cannot be reached.
    """
    values = {
        "root": order.root,
        "kanjiprep_digest": digest,
        "kanjiprep_accelerator": order.accelerator,
        "kanjiprep_wrapper": _wrapper().rstrip("\n"),
    }
    said = scripts.ask(far, _text("verify.sh"), values, timeout_s=300.0)
    lines = said.out.decode("utf-8", "replace").splitlines()
    told = dict(line.partition("=")[::2] for line in lines)
    if not told.get("version") or not told.get("trainer"):
        return None
    return Ready(digest, told["version"], told["trainer"], was_there)


def _begin(far: Far, order: Order, digest: str, progress: Progress) -> None:
    label = f"{digest} {order.accelerator}"
    found = steps.state_of(far, STEP, 0, order.root)
    if found.state != "running":
        far.send(order.wheel, f"{order.root}/wheels/{digest}/{order.wheel.name}", progress)
    busy = steps.detached(far, STEP, script_of(order, digest), label, order.root)
    if busy and busy != label:
        raise RemoteError(
            "another setup is at work there, of another kanjiprep or trainer", far.name, "wait for it and try again"
        )


def script_of(order: Order, digest: str) -> str:
    """The script that does it all on the box."""
    values = {
        "kanjiprep_digest": digest,
        "kanjiprep_wheel": order.wheel.name,
        "kanjiprep_accelerator": order.accelerator,
        "kanjiprep_wrapper": _wrapper(),
    }
    given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"{given}{_text('setup.sh')}"


def attend(
    far: Far,
    root: str,
    progress: Progress,
    poll_s: float = steps.POLL_S,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for a setup that is at work on the box, and tell how far it is.

    Raises:
        RemoteError: If it fails, or the box cannot be reached; a setup that is at work goes on.
    """
    hearing = _Hearing(progress)
    ended = steps.follow(far, STEP, hearing, root, poll_s, pause)
    if ended.state == "lost":
        raise RemoteError("its setup was killed, or the box went down", far.name, _AGAIN)
    if ended.state == "none":
        raise RemoteError("no setup was begun there", far.name, _AGAIN)
    if ended.code:
        raise RemoteError(f"its setup failed: {hearing.reason(ended.code)}", far.name, _AGAIN)


class _Hearing:
    """Turns the log of a setup into progress, and keeps why it failed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage, self._lines, self._failed = "set up the box", 0, ""
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)

    def __call__(self, line: str) -> None:
        if line.startswith(_STAGE):
            self._stage, self._lines = line.removeprefix(_STAGE), 0
            self._said.clear()
        elif line.startswith(_FAILED):
            self._failed = line.removeprefix(_FAILED)
        else:
            self._lines += 1
            self._said.append(scripts.last_line(line))
        self._progress(self._stage, self._lines, None)

    def reason(self, code: int) -> str:
        """Why it failed: its own word, and the last of the tool that failed."""
        errors = [line.removeprefix(_ERROR) for line in self._said if line.startswith(_ERROR)]
        cause = errors[-1] if errors else " ".join(filter(None, self._said))
        if self._failed:
            return f"{self._failed} ({cause})" if cause else self._failed
        return cause or f"exit code {code}"


def _wrapper() -> str:
    return _text("wrapper.sh")


def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8")
