"""Who may ask the page for what: nobody but a browser on this machine, and that asks nobody else."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY: Final = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
"""Source: W3C, Content Security Policy Level 3."""
_HEADERS: Final = ((b"content-security-policy", POLICY), (b"referrer-policy", b"no-referrer"))
_POLICY_VIOLATION: Final = 1008
"""Source: RFC 6455, section 7.4.1."""
_LOCAL: Final = ("127.0.0.1", "localhost")
_CLOSED: Final = re.compile(r"/(?:gradio_api/)?(?:upload|proxy=|file=\w+:)")
"""What Gradio has for other pages: files sent to it, and addresses elsewhere that it fetches."""


def is_welcome(path: str, headers: Mapping[str, str], *, is_public: bool) -> bool:
    """Whether a request is answered.

    Else any page of the web that is open in the same browser could paint here, by its own name for this machine or
    by a form that it sends.

    Args:
        path: Of the address.
        headers: By their names in small letters.
        is_public: Whether the page is shared, and has a name that is not known here.
    """
    if _CLOSED.match(path):
        return False
    host, origin = _name(f"//{headers.get('host', '')}"), headers.get("origin", "")
    if is_public:
        return not origin or _name(origin) in (host, *_LOCAL)
    return host in _LOCAL and (not origin or _name(origin) in _LOCAL)


def _name(address: str) -> str:
    """The machine that an address names; empty if it names none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


class Gate:
    """Answers as ``app`` does, or not at all, in the form of the ASGI specification.

    Args:
        app: What is behind it.
        is_public: Whether the page is shared.
    """

    def __init__(self, app: App, *, is_public: bool = False) -> None:
        self._app = app
        self._is_public = is_public

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_welcome(scope["path"], headers, is_public=self._is_public):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
                return
            await send({"type": "http.response.start", "status": 403, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b"refused"})
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, answer)
