"""Lambda's prices of this minute, if there is a key: one read-only question, and never an exception."""

from __future__ import annotations

import email.utils
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from kanjiprep import __version__
from kanjiprep.errors import os_reason
from kanjiprep.training.provenance import Figure, exact

ENDPOINT: Final = "https://cloud.lambda.ai"
"""Lambda's production server; the older host may redirect, which would drop the key or give it away."""
TIMEOUT_S: Final = 5.0

_PATH = "/api/v1/instance-types"
_PAUSES_S = (1.0, 2.0)  # Lambda answers one request a second
_LONGEST_PAUSE_S = 20.0
_MOST_BYTES = 4 << 20
_MOST_CENTS = 10**8
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TOO_MANY, _FORBIDDEN, _UNKNOWN_KEY = 429, 403, 401


@dataclass(frozen=True, slots=True)
class LivePrice:
    """What one instance type costs now.

    Attributes:
        name: Lambda's name.
        usd_per_hour: Of the whole machine.
        regions: Where there is one to be had now; perhaps nowhere.
    """

    name: str
    usd_per_hour: float
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prices:
    """Every instance type by name, and when that was so (ISO, UTC)."""

    read_at: str
    by_name: Mapping[str, LivePrice]


@dataclass(frozen=True, slots=True)
class NoPrices:
    """Why there is no live price; the plan goes on with the table's."""

    reason: str


def fetch(
    key: str,
    endpoint: str = ENDPOINT,
    *,
    timeout_s: float = TIMEOUT_S,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Prices | NoPrices:
    """Lambda's prices, or why not. Busy or broken servers are asked up to three times, a second or more apart.

    Args:
        key: A Lambda API key. It goes nowhere but to ``endpoint``, and into no message.
        endpoint: The server: https, or http on this machine.
        timeout_s: Longest silence that is waited for, and longest answer.
        pause: Sleeps; another for tests.
        now: The clock; another for tests.
    """
    try:
        request = _request(key, endpoint)
        body = _ask(request, timeout_s, pause, now)
        return Prices(now().isoformat(timespec="seconds"), _read(body))
    except _NoAnswerError as problem:
        return NoPrices(problem.reason)


def live_price(prices: Prices, name: str) -> Figure | None:
    """What the instance type ``name`` costs an hour now; None if Lambda no longer has it."""
    if name not in prices.by_name:
        return None
    source = f"Lambda's API, read {prices.read_at}"
    return exact(prices.by_name[name].usd_per_hour, "USD/h", "published", source)


class _NoAnswerError(Exception):
    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: whoever the server points at does not get the key."""


def _request(key: str, endpoint: str) -> urllib.request.Request:
    if not _is_safe(endpoint):
        raise _NoAnswerError("the key is sent over https only")
    # checked here, for http.client repeats a header that it dislikes, and so the key, in its error
    if not re.fullmatch(r"[!-~]+", key):
        raise _NoAnswerError("the API key is empty or holds spaces or letters that no key has")
    headers = {
        "Authorization": f"Bearer {key}",
        "User-Agent": f"kanjiprep/{__version__}",
        "Accept": "application/json",
    }
    return urllib.request.Request(endpoint.rstrip("/") + _PATH, headers=headers)  # noqa: S310


def _is_safe(endpoint: str) -> bool:
    try:
        place = urlsplit(endpoint)
    except ValueError:
        return False
    return place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)


def _ask(
    request: urllib.request.Request, timeout_s: float, pause: Callable[[float], None], now: Callable[[], datetime]
) -> bytes:
    for least_pause_s in _PAUSES_S:
        try:
            return _ask_once(request, timeout_s, now)
        except _NoAnswerError as problem:
            if problem.retry_after_s is None or problem.retry_after_s > _LONGEST_PAUSE_S:
                raise
            pause(max(least_pause_s, problem.retry_after_s))
    return _ask_once(request, timeout_s, now)


def _ask_once(request: urllib.request.Request, timeout_s: float, now: Callable[[], datetime]) -> bytes:
    # a proxy would see the key of a plain http request, which is for this machine anyway
    direct = [urllib.request.ProxyHandler({})] if request.type == "http" else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    try:
        with opener.open(request, timeout=timeout_s) as reply:
            body = _body(reply, timeout_s)
            missing = reply.length
    except urllib.error.HTTPError as error:
        raise _refusal(error, now()) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _NoAnswerError(f"Lambda could not be reached: {_reason(error)}", 0.0) from None
    if missing:
        raise _NoAnswerError(f"Lambda's answer stopped {missing:,} bytes early", 0.0)
    return body


def _body(reply: http.client.HTTPResponse, timeout_s: float) -> bytes:
    started, parts = time.monotonic(), bytearray()
    while chunk := reply.read1(1 << 16):
        parts += chunk
        if len(parts) > _MOST_BYTES:
            raise _NoAnswerError(f"Lambda sent more than {_MOST_BYTES >> 20} MiB")
        if time.monotonic() - started > timeout_s:
            raise _NoAnswerError(f"Lambda's answer takes longer than {timeout_s:g} s")
    return bytes(parts)


def _reason(error: Exception) -> str:
    """The system's words, never the server's: it may send back what it was sent, the key among it."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError) and not isinstance(cause, http.client.HTTPException):
        return os_reason(cause)
    return f"its answer is no HTTP ({type(cause).__name__})"


def _refusal(error: urllib.error.HTTPError, now: datetime) -> _NoAnswerError:
    with error:
        code = _code(error)
    said = f"HTTP {error.code}{f', {code}' if code else ''}"
    if error.code == _UNKNOWN_KEY:
        return _NoAnswerError(f"Lambda does not know the API key ({said})")
    if error.code == _FORBIDDEN:
        return _NoAnswerError(f"Lambda forbids it ({said})")
    if 300 <= error.code < 400:  # noqa: PLR2004
        return _NoAnswerError(f"Lambda's server redirects ({said}), and a key does not follow")
    if error.code == _TOO_MANY or error.code >= 500:  # noqa: PLR2004
        wished_s = _retry_after_s(error.headers.get("Retry-After"), now)
        return _NoAnswerError(f"Lambda is busy or broken ({said})", wished_s)
    return _NoAnswerError(f"Lambda refuses ({said})")


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


def _read(body: bytes) -> dict[str, LivePrice]:
    try:
        types = json.loads(body)["data"]
        return {str(name): _price(str(name), entry) for name, entry in types.items()}
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise _NoAnswerError("Lambda's answer has another shape than its documentation says") from None


def _price(name: str, entry: Any) -> LivePrice:
    about = entry["instance_type"]
    cents = int(about["price_cents_per_hour"])
    if not 0 < cents < _MOST_CENTS:
        raise ValueError(cents)
    return LivePrice(
        name=name,
        usd_per_hour=cents / 100,
        regions=tuple(str(region["name"]) for region in entry["regions_with_capacity_available"]),
    )
