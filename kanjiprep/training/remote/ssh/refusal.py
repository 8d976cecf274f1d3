"""Why a box cannot be reached, told from what ssh says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.ssh.address import Address

Kind = Literal[
    "host key changed",
    "permission denied",
    "name unknown",
    "no network",
    "refused",
    "timed out",
    "lost",
    "broken",
]
"""``broken`` is what ssh says of itself: a wrong config, no common cipher."""

KNOWN_HOSTS: Final = "known_hosts"
MAY_PASS: Final[frozenset[Kind]] = frozenset({"name unknown", "no network", "refused", "timed out", "lost"})
"""Waiting may help: with a name that is unknown, for a while."""

_MOST_CHARACTERS = 200
_CHANGED = re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for \S+ has changed")
_OFFENDING = re.compile(r"Offending \S+ key in (.+):(\d+)")
_SIGNS: Final[tuple[tuple[str, Kind], ...]] = (
    ("host key verification failed", "broken"),  # of a jump host: ours are accepted or have changed
    (
        "permission denied|too many authentication failures|no (more|supported) authentication methods",
        "permission denied",
    ),
    (
        "temporary failure in name resolution|no route to host|network is (unreachable|down)|host is down",
        "no network",
    ),
    ("could not resolve hostname|name or service not known|no address associated", "name unknown"),
    ("connection refused", "refused"),
    ("timed out|timeout, server .* not responding", "timed out"),
    ("connection (closed|reset|aborted|to .* closed)|closed by remote host|broken pipe", "lost"),
)
_WHAT: Final[dict[Kind, str]] = {
    "host key changed": "the machine shows another host key than before: it was made anew, or this is an attack by"
    " somebody who answers in its place",
    "permission denied": "the machine does not let you in",
    "name unknown": "nobody knows this host name",
    "no network": "there is no way to the machine, perhaps no network here",
    "refused": "nothing answers at this port",
    "timed out": "the machine does not answer in time",
    "lost": "the connection was lost",
    "broken": "ssh cannot connect",
}
_REMEDY: Final[dict[Kind, str]] = {
    "permission denied": "check the user, and the key or the ssh agent (ssh-add -l)",
    "name unknown": "check the host name and the network",
    "no network": "check the network",
    "refused": "check that the machine is up and that the port is right",
    "timed out": "check that the machine is up and that a firewall lets you through",
    "lost": "try again",
    "broken": "try the same address with ssh -v",
}


class Unreachable(RemoteError):
    """A box that cannot be reached now (exit code 7).

    Args:
        kind: Why.
        what: What is wrong, a phrase without a full stop.
        where: The address, or the line of known_hosts.
        remedy: What to do about it.
    """

    def __init__(self, kind: Kind, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.kind: Kind = kind


def refusal(address: Address, err: bytes, state: Path) -> Unreachable:
    """Why ``address`` was not reached.

    Args:
        address: The box.
        err: What ssh wrote to stderr while it connected, and nobody else.
        state: The folder of our known_hosts.
    """
    said = plain(err)
    if _CHANGED.search(said):
        return _changed(address, said, state)
    kind, line = _first_sign(said) or ("broken", last_line(err))
    remedy = "chmod 600 the key file" if "bad permissions" in said else _REMEDY[kind]
    return Unreachable(kind, _WHAT[kind] + (f" (ssh: {line})" if line else ""), str(address), remedy)


def silent(address: Address) -> Unreachable:
    """Told of a box that says nothing for too long while ssh connects."""
    return Unreachable("timed out", _WHAT["timed out"], str(address), _REMEDY["timed out"])


def lost(address: Address) -> Unreachable:
    """Told of a connection that was there and is no more; what was heard last may be the far program's."""
    return Unreachable("lost", _WHAT["lost"], str(address), _REMEDY["lost"])


def _first_sign(said: str) -> tuple[Kind, str] | None:
    lines = [line.strip()[:_MOST_CHARACTERS] for line in said.splitlines()]
    found = ((kind, line) for sign, kind in _SIGNS for line in lines if re.search(sign, line, re.IGNORECASE))
    return next(found, None)


def _changed(address: Address, said: str, state: Path) -> Unreachable:
    place = _OFFENDING.search(said)
    file, line = (state / place[1], place[2]) if place else (state / KNOWN_HOSTS, "?")
    remedy = "only if you know that the machine was made anew, remove this line"
    return Unreachable("host key changed", f"{address}: {_WHAT['host key changed']}", f"{file}:{line}", remedy)


def plain(talk: bytes) -> str:
    """``talk`` of a program as text without control characters, which the far end may have chosen."""
    text = talk.decode("utf-8", "replace").replace("\r", "\n")
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


def last_line(talk: bytes) -> str:
    """The last line of ``talk`` that says something, shortened."""
    lines = [line.strip() for line in plain(talk).splitlines() if line.strip()]
    return lines[-1][:_MOST_CHARACTERS] if lines else ""
