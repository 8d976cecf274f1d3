"""Asks the process that talks to the Hub, waits no longer than agreed, and ends it if it must."""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self

from kanjiprep.errors import HubError, os_reason
from kanjiprep.publishing.hub import child
from kanjiprep.publishing.hub.fault import Fault

Report = Callable[[int, int], None]
"""Hears bytes that are done, and bytes in all."""

ENDPOINT: Final = "https://huggingface.co"
_ENDED: Final = {"ended": True}
_VARIABLES: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_DEFAULTS: Final = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "3",
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "1s",
}
"""What the child is told unless the user says otherwise; by default hf_xet tries again in silence for minutes."""


class HubFault(Exception):
    """A call that failed, for whoever can do something about it.

    Attributes:
        fault: What went wrong.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what or fault.kind)
        self.fault = fault


class Hub(Protocol):
    """Somebody who asks the Hub."""

    @property
    def endpoint(self) -> str:
        """The address that is asked."""

    @property
    def login(self) -> str:
        """What has another token used."""

    def call(
        self,
        name: str,
        within_s: float,
        arguments: Mapping[str, Any],
        report: Report | None = None,
        in_all_s: float = math.inf,
    ) -> Any:
        """The answer to one of ``child.CALLS``.

        Args:
            name: Of the call.
            within_s: Seconds to wait; with ``report``, since the last byte that moved.
            arguments: Of the call.
            report: Hears progress in bytes.
            in_all_s: Seconds after which no progress helps.
        """


class Courier:
    """A child that talks to the Hub, started when it is first asked and again after it was ended.

    Args:
        environ: The environment that it gets; the token is found in it, or where huggingface_hub looks.
        use_xet: Whether uploads go through hf_xet.
    """

    def __init__(self, environ: Mapping[str, str], use_xet: bool = True) -> None:
        self._environ = {**_DEFAULTS, **environ, **({} if use_xet else {"HF_HUB_DISABLE_XET": "1"})}
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._lines: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()

    @property
    def endpoint(self) -> str:
        """The address that is asked."""
        return self._environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT

    @property
    def login(self) -> str:
        """What has another token used: a variable goes before a login."""
        variable = next((name for name in _VARIABLES if self._environ.get(name)), "")
        return f"set {variable} to it" if variable else "run hf auth login"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._said.close()

    def call(
        self,
        name: str,
        within_s: float,
        arguments: Mapping[str, Any],
        report: Report | None = None,
        in_all_s: float = math.inf,
    ) -> Any:
        """The answer to one of ``child.CALLS``; whatever the wait, the child is ended when it is over.

        Raises:
            HubFault: If it fails, takes too long, or the child dies.
            HubError: If there can be no child.
        """
        process = self._process or self._start()
        question = json.dumps({"call": name, "arguments": dict(arguments)})
        with suppress(BrokenPipeError):  # it has died, which is heard below
            assert process.stdin is not None  # noqa: S101
            process.stdin.write(question + "\n")
            process.stdin.flush()
        return self._hear(within_s, report, time.monotonic() + in_all_s)

    def _hear(self, within_s: float, report: Report | None, end: float) -> Any:
        until, most = min(end, time.monotonic() + within_s), 0
        while True:
            message = self._next(until, within_s)
            if "fault" in message:
                raise HubFault(Fault(**message["fault"]))
            if "answer" in message:
                return message["answer"]
            if report is not None:
                if message["done"] > most:  # hf_xet reports while nothing moves, too
                    most, until = message["done"], min(end, time.monotonic() + within_s)
                report(message["done"], message["total"])

    def _next(self, until: float, within_s: float) -> Mapping[str, Any]:
        """What the child says next; without a word until then, or with its last one, it is ended."""
        try:
            message = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty as error:
            self.end()
            raise HubFault(Fault("timeout", self._silence(within_s))) from error
        except BaseException:  # Ctrl-C: nobody would take the answer
            self.end()
            raise
        if message is _ENDED:
            self.end()
            raise HubFault(Fault("died", self._last_line() or "it ended without a word"))
        return message

    def _start(self) -> subprocess.Popen[str]:
        self._said.seek(0)
        self._said.truncate()
        self._lines = queue.SimpleQueue()
        words = [sys.executable, "-P", "-m", child.__name__]
        try:
            process = subprocess.Popen(  # noqa: S603
                words,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is ours to hear
            )
        except OSError as error:
            raise HubError(f"the client of the Hub cannot be started: {os_reason(error)}", sys.executable) from error
        threading.Thread(target=_forward, args=(process, self._lines), daemon=True).start()
        self._process = process
        return process

    def _silence(self, within_s: float) -> str:
        """What there is to say of a wait that was too long; the client tells its own failures to stderr alone."""
        last = self._last_line("Error")
        return f"no answer within {within_s:.3g} s" + (f", after {last}" if last else "")

    def _last_line(self, holding: str = "") -> str:
        """The last line that the child said on stderr, without secrets."""
        self._said.seek(0)
        lines = self._said.read()[-4_000:].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip() and holding in line), "")
        secrets = [value for name, value in self._environ.items() if "TOKEN" in name and os.sep not in value]
        for secret in filter(None, secrets):
            last = child.redacted(last, secret)
        return last

    def end(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _forward(process: subprocess.Popen[str], lines: queue.SimpleQueue[Mapping[str, Any]]) -> None:
    assert process.stdout is not None  # noqa: S101
    with suppress(ValueError, OSError):  # closed under our hands by end()
        for line in process.stdout:
            lines.put(json.loads(line))
    lines.put(_ENDED)
