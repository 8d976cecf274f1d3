"""Has SkyPilot's Python do one thing, within a time and with nothing of the user's surroundings."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kanjiprep.errors import RemoteError, UsageError, os_reason
from kanjiprep.training.remote.sky import home as homes
from kanjiprep.training.running import processes

SCRIPT: Final = Path(__file__).resolve().parent / "inside" / "ask.py"
ENDPOINT: Final = "https://cloud.lambda.ai"
"""Lambda's production server; SkyPilot's own word for it is a deprecated one that may redirect."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
PATIENCE_S: Final = 5.0

_NETWORK: Final = frozenset({
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "all_proxy", "https_proxy", "http_proxy", "no_proxy",
})  # fmt: skip
"""What of the user's variables the network may need; none of them is a cloud's."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A SkyPilot that can be asked.

    Attributes:
        python: Of its environment.
        home: Its own, as ``home.write`` makes it.
        cache: For what can be fetched or made again.
        endpoint: Lambda's server.
        words: Further environment variables, for tests.
    """

    python: Path
    home: Path
    cache: Path
    endpoint: str = ENDPOINT
    words: Mapping[str, str] = field(default_factory=dict)


class NoAnswer(Exception):
    """Why nothing is known of what became of a question; its text is a phrase."""


def variables(engine: Engine, environ: Mapping[str, str], token: str) -> dict[str, str]:
    """The environment of a question: the way to programs and the network, and no secret.

    Args:
        engine: Whose home and cache they are.
        environ: Ours.
        token: By which all processes of the question are found again.
    """
    return {
        **{name: value for name, value in environ.items() if name in _NETWORK},
        "PATH": os.pathsep.join([str(engine.python.parent), environ.get("PATH", os.defpath)]),
        "HOME": str(engine.home),
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": str(engine.cache),
        "TMPDIR": str(engine.cache),  # each launch leaves a wheel there
        "PYTHONSAFEPATH": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads 0 as "none": SkyPilot builds its wheel without a package index
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
        processes.RUN_VARIABLE: token,
        **engine.words,
    }


def ask(engine: Engine, verb: str, limit_s: float, log: Path, **asked: Any) -> dict[str, Any]:
    """The answer to one question, as inside/ask.py gives it: ``done`` or ``failed``.

    If we are killed, the question goes on: a launch that comes to its end has its dead man's switch, one that is
    cut off has not.

    Args:
        engine: Whom to ask.
        verb: What is to be done.
        limit_s: After so long all its processes are ended.
        log: Takes what SkyPilot says, without secrets.
        asked: The rest of the question.

    Raises:
        NoAnswer: If it took too long or ended without an answer.
        RemoteError: If it cannot be started.
    """
    token = f"sky-{secrets.token_hex(8)}"
    process = _start(engine, token)
    question = json.dumps({"verb": verb, "endpoint": engine.endpoint, "log": str(log), **asked})
    try:
        said, trouble = process.communicate(question, timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"SkyPilot took more than {limit_s:,.0f} s") from error
    finally:
        _end(process, token)
    return _read(said, trouble, process.returncode)


def check_endpoint(endpoint: str) -> None:
    """Nothing, if the key may be sent there.

    Raises:
        UsageError: If it is neither https nor this machine.
    """
    place = urlsplit(endpoint)
    if not (place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)):
        raise UsageError("the key is sent over https only", endpoint, "give another address of Lambda's server")


def _start(engine: Engine, token: str) -> subprocess.Popen[str]:
    """A child in a session of its own, which Ctrl-C does not reach."""
    try:
        engine.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return subprocess.Popen(  # noqa: S603
            [str(engine.python), str(SCRIPT)], env=variables(engine, os.environ, token), cwd=engine.home, umask=0o077,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        place = str(error.filename or engine.python)
        raise RemoteError(
            f"SkyPilot cannot be started: {os_reason(error)}", place, "run kanjiprep setup-remote"
        ) from error


def _end(process: subprocess.Popen[str], token: str) -> None:
    """End whatever is left of a question: its own group, and what left the group, such as ssh in the background."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    processes.end(token, PATIENCE_S, process.poll)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):  # a question that nobody read to its end
                stream.close()
    process.wait()


def _read(said: str, trouble: str, code: int) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        last = (trouble.strip().splitlines() or ["without a word"])[-1]
        raise NoAnswer(f"SkyPilot ended with code {code}: {last}") from None
    return answer


def log_of(engine: Engine, cluster: str) -> Path:
    """Where is kept what SkyPilot said about ``cluster``."""
    return engine.home / homes.LOGS / f"{cluster}.log"
