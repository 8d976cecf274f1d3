"""Where a ComfyUI server is: its address, of which user and password go nowhere but to it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from kanjiprep.errors import UsageError

DEFAULT: Final = "http://127.0.0.1:8188"
"""Where ComfyUI listens unless it is told otherwise."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost", "0.0.0.0"})  # noqa: S104
_FORM: Final = f"write it as {DEFAULT}"


@dataclass(frozen=True, slots=True)
class Address:
    """A server.

    Attributes:
        base: Its URL without user, password and a slash at the end; this is shown.
        host: Its name or number.
        port: Its port, that of the scheme if none is written.
        authorization: The header that carries user and password, or an empty string.
    """

    base: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, where no proxy is asked."""
        return self.host in _LOOPBACK


def parse(url: str) -> Address:
    """The server at ``url``: http or https, a host, and perhaps a port, a prefix, a user and a password.

    What is behind a ``#`` is left out, for ComfyUI's own page puts the workflow's number there.

    Raises:
        UsageError: If it is no such address; the message repeats neither user nor password.
    """
    text = url.strip()
    if not re.fullmatch(r"[!-~]+", text):
        raise UsageError("the server's address is empty, or holds spaces or letters that none has", "", _FORM)
    try:
        parts = urlsplit(text)
        return _address(parts)
    except ValueError:
        raise UsageError("the server's address is no URL", "", _FORM) from None


def _address(parts: SplitResult) -> Address:
    if parts.scheme not in ("http", "https"):
        raise UsageError("the server's address begins with neither http:// nor https://", "", _FORM)
    if not parts.hostname:
        raise UsageError("the server's address names no host", "", _FORM)
    if parts.query:
        raise UsageError("the server's address has a query", "", "leave out what is behind the question mark")
    if "@" in parts.path + parts.fragment:  # behind a slash or a # of a password, which is not shown as a path then
        remedy = "write / in a password as %2F, # as %23"
        raise UsageError("the server's address has an @ behind its host", "", remedy)
    if parts.port == 0:
        raise ValueError(parts.port)
    place = parts.netloc.rpartition("@")[2]
    base = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Address(base, parts.hostname, port, _authorization(parts))


def _authorization(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def socket_url(address: Address, client_id: str) -> str:
    """Where the messages for ``client_id`` come from."""
    return f"ws{address.base.removeprefix('http')}/ws?clientId={quote(client_id)}"
