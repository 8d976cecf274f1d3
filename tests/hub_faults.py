"""Faults that the loopback Hub shows on demand, and which of them the next request meets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal[
    "status",  # another status: code, headers, body
    "html",  # a page as of a network that wants a login: body
    "drop_early",  # the connection ends before the request is read
    "hang",  # nothing is said until the Hub closes
    "meanwhile",  # something happens before the request is answered as ever: do, a function
    "slow",  # the reply comes after seconds, or in pieces over seconds: trickle
    "wrong_hash",  # the JSON of the reply tells other hashes of a path
    "lost_reply",  # the work is done, and the connection ends without a reply
    "torn",  # the connection ends within the body, in good order
    "reset",  # the connection is reset within the body
]
KINDS: tuple[Kind, ...] = get_args(Kind)
WORKING: frozenset[Kind] = frozenset({"meanwhile", "slow", "wrong_hash", "lost_reply", "torn", "reset"})
"""With these the Hub does what it is asked; only the reply suffers."""
ALWAYS = 10**9

_OPTIONS: Mapping[Kind, frozenset[str]] = {
    "status": frozenset({"code", "headers", "body"}),
    "slow": frozenset({"seconds", "trickle"}),
    "wrong_hash": frozenset({"path"}),
    "html": frozenset({"body"}),
    "meanwhile": frozenset({"do"}),
}
_NEEDS: Mapping[Kind, str] = {"status": "code", "wrong_hash": "path", "meanwhile": "do"}


@dataclass(slots=True)
class Fault:
    """A planned fault: skip so many matching requests, then spoil so many."""

    method: str
    path: re.Pattern[str]
    kind: Kind
    how: Mapping[str, Any]
    skip: int
    times: int
    met: list[str] = field(default_factory=list)
    """The requests that it spoiled, as "METHOD path"."""


def plan(method: str, path_regex: str, kind: Kind, skip: int, times: int, how: Mapping[str, Any]) -> Fault:
    """A fault, with its options checked, since a wrong one would spoil nothing and nobody would know."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of fault: {kind}; known are {', '.join(KINDS)}")
    if unknown := set(how) - _OPTIONS.get(kind, frozenset()):
        raise ValueError(f"{kind} has no option {', '.join(sorted(unknown))}")
    if kind in _NEEDS and _NEEDS[kind] not in how:
        raise ValueError(f"{kind} needs {_NEEDS[kind]}")
    return Fault(method.upper(), re.compile(path_regex), kind, how, skip, times)


def meet(faults: list[Fault], method: str, path: str) -> Fault | None:
    """The fault that spoils a request, counted down, or None; the first planned goes first."""
    for fault in faults:
        if fault.method not in {method, "*"} or not fault.path.search(path):
            continue
        if fault.skip > 0:
            fault.skip -= 1
        elif fault.times > 0:
            fault.times -= 1
            fault.met.append(f"{method} {path}")
            return fault
    return None


def misreport(reply: Any, path: str) -> Any:
    """A JSON reply in which the hashes of a path are other ones."""
    if isinstance(reply, list):
        return [misreport(one, path) for one in reply]
    if not isinstance(reply, dict):
        return reply
    if reply.get("path") == path or reply.get("rfilename") == path:
        return {key: _other(key, value) for key, value in reply.items()}
    return {key: misreport(value, path) for key, value in reply.items()}


def _other(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _other(inner, one) for inner, one in value.items()}
    if key in {"oid", "sha256", "blobId"} and isinstance(value, str):
        return f"{int(value[0], 16) ^ 1:x}{value[1:]}"
    return value
