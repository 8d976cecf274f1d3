"""One question to Lambda's API and its answer in bytes; the key goes nowhere else and into no message."""

from __future__ import annotations

import email.utils
import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from kanjiprep import __version__
from kanjiprep.errors import os_reason

ENDPOINT: Final = "https://cloud.lambda.ai"
"""Lambda's production server; the older host may redirect, which would drop the key or give it away."""
TIMEOUT_S: Final = 5.0
OTHER_SHAPE: Final = "Lambda's answer has another shape than its documentation says"

_ROOT = "/api/v1"
_PAUSES_S = (1.0, 2.0)
_LONGEST_PAUSE_S = 20.0
_MOST_BYTES = 4 << 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TOO_MANY, _FORBIDDEN, _UNKNOWN_KEY = 429, 403, 401


class NoAnswerError(Exception):
    """Why there is no answer that can be used.

    Attributes:
        reason: A phrase without the key and without a word of the server's but the code of its failure.
        retry_after_s: How long to wait before the same is asked again; None if that does not help.
        status: Of the HTTP answer; 0 if there was none, or none that says why.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.status = status


@dataclass(slots=True)
class Pace:
    """Lets requests through, the next no sooner than so many seconds after the one before.

    Attributes:
        least_s: From one to the next.
        clock: Seconds; another for tests.
        pause: Sleeps; another for tests.
    """

    least_s: float = 1.0
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _next: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when it is time for the next request."""
        with self._lock:
            wait_s = self._next - self.clock()
            if wait_s > 0:
                self.pause(wait_s)
            self._next = self.clock() + self.least_s


LAMBDAS_PACE: Final = Pace()
"""One request a second, for all of this process. Source: docs.lambda.ai/api/cloud."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        key: A Lambda API key.
        path: After /api/v1.
        method: GET may be asked again; what a POST did is not known if its answer is lost, so it is asked once.
        body: For a POST, to be sent as JSON.
        endpoint: The server: https, or http on this machine.
        timeout_s: Longest silence that is waited for, and longest answer.
    """

    key: str = field(repr=False)
    path: str
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, object] | None = None
    endpoint: str = ENDPOINT
    timeout_s: float = TIMEOUT_S


def _utc_now() -> datetime:
    return datetime.now(UTC)


def ask(
    question: Question,
    *,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = _utc_now,
    pace: Pace | None = None,
) -> bytes:
    """Lambda's answer. A busy or broken server is asked up to three times, a second or more apart, if it is a GET.

    Args:
        question: What is asked.
        pause: Sleeps between the tries; another for tests.
        now: The clock; another for tests.
        pace: Of all requests; by default one a second to Lambda, and any to a server on this machine.

    Raises:
        NoAnswerError: If there is none that can be used.
    """
    request, pace = _request(question), pace or _pace_of(question.endpoint)
    for least_pause_s in _PAUSES_S if question.method == "GET" else ():
        try:
            return _ask_once(request, question.timeout_s, now, pace)
        except NoAnswerError as problem:
            if problem.retry_after_s is None or problem.retry_after_s > _LONGEST_PAUSE_S:
                raise
            pause(max(least_pause_s, problem.retry_after_s))
    return _ask_once(request, question.timeout_s, now, pace)


def data_of(body: bytes) -> Any:
    """What an answer holds under ``data``.

    Raises:
        NoAnswerError: If it is no JSON, holds none, or tells of a further page.
    """
    try:
        answer = json.loads(body)
        data = answer["data"]
        pages = [key for key in answer if "page" in key and answer[key]]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NoAnswerError(OTHER_SHAPE) from None
    if pages:
        raise NoAnswerError("Lambda's answer is only the first page of several")
    return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: whoever the server points at does not get the key."""


def _request(question: Question) -> urllib.request.Request:
    if not _is_safe(question.endpoint):
        raise NoAnswerError("the key is sent over https only")
    # checked here, for http.client repeats a header that it dislikes, and so the key, in its error
    if not re.fullmatch(r"[!-~]+", question.key):
        raise NoAnswerError("the API key is empty or holds spaces or letters that no key has")
    headers = {
        "Authorization": f"Bearer {question.key}",
        "User-Agent": f"kanjiprep/{__version__}",
        "Accept": "application/json",
    }
    data = None
    if question.method == "POST":
        data, headers["Content-Type"] = json.dumps(question.body).encode(), "application/json"
    url = question.endpoint.rstrip("/") + _ROOT + question.path
    return urllib.request.Request(url, data, headers, method=question.method)  # noqa: S310


def _is_safe(endpoint: str) -> bool:
    try:
        place = urlsplit(endpoint)
    except ValueError:
        return False
    return place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)


def _pace_of(endpoint: str) -> Pace:
    return LAMBDAS_PACE if urlsplit(endpoint).scheme == "https" else Pace(0.0)


def _ask_once(request: urllib.request.Request, timeout_s: float, now: Callable[[], datetime], pace: Pace) -> bytes:
    # a proxy would see the key of a plain http request, which is for this machine anyway
    direct = [urllib.request.ProxyHandler({})] if request.type == "http" else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    pace.wait()
    try:
        with opener.open(request, timeout=timeout_s) as reply:
            body = _body(reply, timeout_s)
            missing = reply.length
    except urllib.error.HTTPError as error:
        raise _refusal(error, now()) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(f"Lambda could not be reached: {_reason(error)}", 0.0) from None
    if missing:
        raise NoAnswerError(f"Lambda's answer stopped {missing:,} bytes early", 0.0)
    return body


def _body(reply: http.client.HTTPResponse, timeout_s: float) -> bytes:
    started, parts = time.monotonic(), bytearray()
    while chunk := reply.read1(1 << 16):
        parts += chunk
        if len(parts) > _MOST_BYTES:
            raise NoAnswerError(f"Lambda sent more than {_MOST_BYTES >> 20} MiB")
        if time.monotonic() - started > timeout_s:
            raise NoAnswerError(f"Lambda's answer takes longer than {timeout_s:g} s")
    return bytes(parts)


def _reason(error: Exception) -> str:
    """The system's words, never the server's: it may send back what it was sent, the key among it."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError) and not isinstance(cause, http.client.HTTPException):
        return os_reason(cause)
    return f"its answer is no HTTP ({type(cause).__name__})"


def _refusal(error: urllib.error.HTTPError, now: datetime) -> NoAnswerError:
    with error:
        code = _code(error)
    said, wished_s = f"HTTP {error.code}{f', {code}' if code else ''}", None
    if error.code == _UNKNOWN_KEY:
        reason = f"Lambda does not know the API key ({said})"
    elif error.code == _FORBIDDEN:
        reason = f"Lambda forbids it ({said})"
    elif 300 <= error.code < 400:  # noqa: PLR2004
        reason = f"Lambda's server redirects ({said}), and a key does not follow"
    elif error.code == _TOO_MANY or error.code >= 500:  # noqa: PLR2004
        reason = f"Lambda is busy or broken ({said})"
        wished_s = _retry_after_s(error.headers.get("Retry-After"), now)
    else:
        reason = f"Lambda refuses ({said})"
    return NoAnswerError(reason, wished_s, error.code)


def _code(error: urllib.error.HTTPError) -> str:
    """Lambda's code of the failure; nothing else of the answer is repeated, whatever it holds."""
    try:
        code = json.loads(error.read(_MOST_BYTES))["error"]["code"]
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z-]+(/[a-z-]+)*", code) else ""


def _retry_after_s(header: str | None, now: datetime) -> float:
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0
