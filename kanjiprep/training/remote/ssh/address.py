"""Where a box is: ``ssh://user@host:port``, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError

_SCHEME: Final = "ssh://"
FORM: Final = "write it as ssh://user@host or ssh://user@host:port"

# narrow on purpose: what ssh, rsync and a ProxyCommand's shell get is never an option and never expanded
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_PORT = re.compile(r"[0-9]{1,5}")
_MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where a box is.

    Attributes:
        user: Who logs in; empty leaves it to ssh and its config.
        host: A name, an alias of ssh's config, or an IP address (IPv6 without brackets).
        port: None leaves it to ssh and its config, which is 22 if nothing is said there.
        key: A private key to log in with; None leaves it to ssh, its config and its agent.
    """

    user: str
    host: str
    port: int | None = None
    key: Path | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_SCHEME}{user}{host}{f':{self.port}' if self.port else ''}"


def parse(text: str, key: Path | None = None) -> Address:
    """The address that ``text`` names, with ``key`` to log in.

    Raises:
        UsageError: If it is no ``ssh://user@host:port``, or holds a password. A password is not repeated.
    """
    user, has_user, place = text.removeprefix(_SCHEME).rpartition("@")
    if ":" in re.sub("^[A-Za-z]+://", "", user):
        raise UsageError("an address must not hold a password", "", "log in with a key, and write ssh://user@host")
    if not text.startswith(_SCHEME):
        raise UsageError("the address does not begin with ssh://", "", FORM)
    if has_user and not _USER.fullmatch(user):
        raise UsageError("the user in the address is no user name", "", FORM)
    host, port = _split(place)
    return Address(user, host, port, key)


def _split(place: str) -> tuple[str, int | None]:
    place = place.removesuffix("/")
    host, colon, port = place.rpartition(":") if re.fullmatch(r"(\[.*\]|[^:]*):[^:]*", place) else (place, "", "")
    if colon and not (_PORT.fullmatch(port) and 0 < int(port) <= _MOST_PORT):
        raise UsageError(f"{port!r:.40} is no port from 1 to {_MOST_PORT}", "", FORM)
    return _host(host), int(port) if colon else None


def _host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        if _is_ipv6(host[1:-1]):
            return host[1:-1]
        raise UsageError(f"{host!r:.80} is no IPv6 address", "", "write it as ssh://user@[2001:db8::1]:22")
    if _is_ipv6(host):
        raise UsageError(
            f"the IPv6 address {host!r:.80} has no brackets", "", "write it as ssh://user@[2001:db8::1]:22"
        )
    if not _HOST.fullmatch(host):
        what = f"{host!r:.80} is no host name" if host else "the address names no host"
        raise UsageError(what, "", FORM)
    return host


def _is_ipv6(host: str) -> bool:
    if not _IPV6.fullmatch(host):
        return False
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
