"""Questions to a ComfyUI server over HTTP, each with a limit of time and size."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from kanjiprep import __version__
from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.publishing.comfyui.live.address import Address

ANSWER_S: Final = 30.0
"""Longest silence that is waited for. A ComfyUI that reads a model of 16 GB from a slow disk answers late."""
MOST_BYTES: Final = 256 << 20
"""Of one answer; /object_info of a server with hundreds of custom nodes is 20 MiB."""

_WHOLE_S: Final = 300.0
_OK, _FOUND, _BAD, _UNKNOWN_USER, _FORBIDDEN, _BROKEN = 200, 300, 400, 401, 403, 500
_START: Final = "start ComfyUI there (with --listen if it is another machine), or give its address"
_OTHER: Final = "give the address that ComfyUI prints when it starts"
_LOOK: Final = "look at what ComfyUI has printed, or restart it"
_REASONS: Final[tuple[tuple[type[Exception], str, str], ...]] = (  # the narrower ones first
    (TimeoutError, "does not answer within {silence_s:g} s", _LOOK),
    (ConnectionRefusedError, "nothing listens there (connection refused)", _START),
    (ConnectionError, "broke off the connection", "look at what ComfyUI has printed, or try https://"),
    (socket.gaierror, "there is no host {host}", "check the address"),
    (ssl.SSLCertVerificationError, "its certificate is not to be trusted", "give the name that it is for"),
    (ssl.SSLError, "does not speak TLS", "write http:// instead of https:// if it is on your own network"),
    (http.client.IncompleteRead, "its answer stopped early", _LOOK),
    (UnicodeError, "there is no host {host}", "check the address"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: Its number, such as 200.
        body: All of it.
    """

    status: int
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def _not_followed(self, *_: Any) -> None:
        """None: whoever the server points at gets neither the password nor the workflow."""

    http_error_301 = http_error_302 = http_error_303 = http_error_307 = http_error_308 = _not_followed  # type: ignore[assignment]


def ask(address: Address, path: str, document: object = None, silence_s: float = ANSWER_S) -> Reply:
    """The answer to GET ``path``, or to POST of a JSON document; of 3xx, 401, 403 and 5xx nothing is read.

    Raises:
        RemoteError: If there is no answer, or it is one of those.
    """
    try:
        return _asked(_request(address, path, document), address, silence_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _no_answer(error, address, silence_s) from None


def _asked(request: urllib.request.Request, address: Address, silence_s: float) -> Reply:
    direct = [urllib.request.ProxyHandler({})] if address.is_here else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    try:
        with opener.open(request, timeout=silence_s) as reply:
            return Reply(reply.status, _body(reply, address))
    except urllib.error.HTTPError as error:
        with error:
            return _refusal(error, address)


def ask_json(address: Address, path: str, silence_s: float = ANSWER_S) -> dict[str, Any]:
    """The table that GET ``path`` gives.

    Raises:
        RemoteError: If there is none.
    """
    reply = ask(address, path, silence_s=silence_s)
    return table(reply, address, path)


def table(reply: Reply, address: Address, path: str) -> dict[str, Any]:
    """The table in an answer.

    Raises:
        RemoteError: If there is none: something else than ComfyUI has answered.
    """
    document = parsed(reply)
    if reply.status != _OK or document is None:
        raise strange(reply, address, path)
    return document


def parsed(reply: Reply) -> dict[str, Any] | None:
    """The JSON table of an answer of any status, if it is one."""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def strange(reply: Reply, address: Address, path: str) -> RemoteError:
    """That an answer is none of ComfyUI's."""
    gives = "an answer of another form" if reply.status == _OK else f"HTTP {reply.status}"
    return not_comfyui(address, f"{path} gives {gives}")


def not_comfyui(address: Address, how: str) -> RemoteError:
    """That something else answers there, and how that is seen."""
    return RemoteError(f"what answers there is not ComfyUI ({how})", address.base, _OTHER)


def _request(address: Address, path: str, document: object) -> urllib.request.Request:
    headers = {"User-Agent": f"kanjiprep/{__version__}", "Accept": "*/*"}
    data = None
    if document is not None:
        data = json.dumps(document).encode()
        headers["Content-Type"] = "application/json"
    if address.authorization:
        headers["Authorization"] = address.authorization
    return urllib.request.Request(address.base + path, data, headers)  # noqa: S310


def _body(reply: http.client.HTTPResponse | urllib.error.HTTPError, address: Address) -> bytes:
    started, parts = time.monotonic(), bytearray()
    while chunk := reply.read(1 << 16):
        parts += chunk
        if len(parts) > MOST_BYTES:
            raise RemoteError(f"sends more than {MOST_BYTES >> 20} MiB", address.base)
        if time.monotonic() - started > _WHOLE_S:
            raise RemoteError(f"takes longer than {_WHOLE_S:g} s for one answer", address.base)
    left = getattr(reply, "length", None)
    if left:
        raise http.client.IncompleteRead(b"", left)
    return bytes(parts)


def _refusal(error: urllib.error.HTTPError, address: Address) -> Reply:
    if error.code == _UNKNOWN_USER:
        remedy = "write them into it, as in http://USER:PASSWORD@HOST:PORT"
        if address.authorization:
            remedy = "check the user and the password in the address"
        raise RemoteError("asks for a user and a password (HTTP 401)", address.base, remedy)
    if error.code == _FORBIDDEN:
        raise RemoteError(
            "forbids it (HTTP 403)", address.base, "ask whoever runs the server, or the proxy before it"
        )
    if _FOUND <= error.code < _BAD:
        target = _place(error.headers.get("Location", ""))
        remedy = f"give {target} if it is ComfyUI" if target else _OTHER
        raise RemoteError(f"sends us elsewhere (HTTP {error.code})", address.base, remedy)
    if error.code >= _BROKEN:
        raise RemoteError(f"is broken or busy (HTTP {error.code})", address.base, "look at what ComfyUI has printed")
    return Reply(error.code, _body(error, address))


def _place(location: str) -> str:
    """Scheme and host of ``location``; the rest may hold a secret."""
    try:
        parts = urlsplit(location)
        name = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    is_plain = name.isascii() and name.replace("-", "").replace(".", "").isalnum()
    return f"{parts.scheme}://{name}{port}" if is_plain and parts.scheme in ("http", "https") else ""


def _no_answer(error: Exception, address: Address, silence_s: float) -> RemoteError:
    """In the system's words, never in the server's, which may send back what it was sent."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    for kinds, what, remedy in _REASONS:
        if isinstance(cause, kinds):
            return RemoteError(what.format(host=address.host, silence_s=silence_s), address.base, remedy)
    if isinstance(cause, OSError):
        return RemoteError(f"cannot be reached: {os_reason(cause)}", address.base, _START)
    return RemoteError(f"its answer is no HTTP ({type(cause).__name__})", address.base, _OTHER)
