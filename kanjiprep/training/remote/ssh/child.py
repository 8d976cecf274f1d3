"""One ssh or rsync, started in a session of its own, listened to within bounds, and never left behind."""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from kanjiprep.errors import RemoteError, os_reason

MOST_BYTES: Final = 16 << 20
"""Of an answer. Whoever wants more fetches a file."""

_MOST_TALK = 64 << 10
_GRACE_S = 3.0
_CHUNK = 1 << 16
_PACKAGES = {"ssh": "openssh-client", "rsync": "rsync"}

# ssh sends what its config names of its environment, and "SendEnv -*" does not undo a later SendEnv: so it gets
# only what it needs itself, and no token can leave
_NEEDED: Final = frozenset(
    {"HOME", "KRB5CCNAME", "LOGNAME", "PATH", "SHELL", "SSH_AUTH_SOCK", "TMPDIR", "USER", "XDG_RUNTIME_DIR"}
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code; negative for a signal.
        out: What it wrote, unless somebody listened.
        err: The last it wrote to stderr.
    """

    code: int
    out: bytes
    err: bytes


@dataclass(slots=True)
class _Heard:
    hear: Callable[[bytes], None] | None
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)

    def take(self, is_out: bool, data: bytes) -> None:
        if not is_out:
            self.err += data
            del self.err[:-_MOST_TALK]
        elif self.hear is not None:
            self.hear(data)
        else:
            self.out += data
            if len(self.out) > MOST_BYTES:
                raise RemoteError(
                    f"the box answers with more than {MOST_BYTES >> 20} MiB", "", "fetch a file instead"
                )


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What ssh and rsync get of ``environ``: nothing that could be a secret."""
    kept = {name: value for name, value in environ.items() if name in _NEEDED}
    return {**kept, "LC_CTYPE": "C.UTF-8", "SSH_ASKPASS_REQUIRE": "never"}


def follow(
    words: Sequence[str],
    cwd: Path,
    stdin: bytes = b"",
    timeout_s: float | None = None,
    hear: Callable[[bytes], None] | None = None,
) -> Ended:
    """Run ``words`` to their end; whatever happens, the process and its group are over afterwards.

    Args:
        words: A program and its arguments.
        cwd: Where it runs.
        stdin: What it reads.
        timeout_s: The longest that it may take.
        hear: Gets each piece of stdout as it comes.

    Raises:
        RemoteError: If it cannot be started or answers too much.
        TimeoutError: If it takes longer.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    process = start(words, cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        heard = _Heard(hear)
        _converse(process, stdin, heard, deadline)
        code = process.wait(_left_s(deadline))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    finally:
        end(process)
    return Ended(code, bytes(heard.out), bytes(heard.err))


def start(
    words: Sequence[str], cwd: Path, *, stdin: int, stdout: int, stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start ``words``, out of reach of the terminal: its Ctrl-C is ours, and nothing can ask a question on it.

    Raises:
        RemoteError: If the program is not there or cannot be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603
            words, cwd=cwd, env=environment(), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except OSError as error:
        if isinstance(error, FileNotFoundError) and cwd.is_dir():
            package = _PACKAGES.get(words[0], words[0])
            raise RemoteError(f"{words[0]} was not found on this machine", "", f"install {package}") from error
        raise RemoteError(f"{words[0]} cannot be started: {os_reason(error)}", "", "try again") from error


def end(process: subprocess.Popen[bytes]) -> None:
    """Have ``process`` and its group over: asked first, so that rsync keeps what it has, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _converse(process: subprocess.Popen[bytes], stdin: bytes, heard: _Heard, deadline: float | None) -> None:
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018
    left = memoryview(stdin)
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        waiting.register(process.stderr, selectors.EVENT_READ)
        waiting.register(process.stdin, selectors.EVENT_WRITE)
        while waiting.get_map():
            ready = waiting.select(_left_s(deadline))
            if not ready and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            for key, _ in ready:
                pipe = key.fileobj
                if pipe is process.stdin:
                    left = _say(process.stdin, left)
                    is_over = not left
                else:
                    data = os.read(key.fd, _CHUNK)
                    heard.take(pipe is process.stdout, data)
                    is_over = not data
                if is_over:
                    waiting.unregister(pipe)
                    if pipe is process.stdin:
                        process.stdin.close()


def _say(pipe: IO[bytes], left: memoryview) -> memoryview:
    """What is left of ``left`` after as much as never blocks; nothing once nobody reads."""
    try:
        return left[os.write(pipe.fileno(), left[: select.PIPE_BUF]) :] if left else left
    except BrokenPipeError:
        return left[:0]
