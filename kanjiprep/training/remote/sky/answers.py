"""What SkyPilot's answers mean: machines in use, or one line that says why there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kanjiprep.errors import RemoteError

Trouble = Literal[
    "capacity",
    "key",
    "price",
    "type",
    "exists",
    "credentials",
    "ssh",
    "network",
    "refused",
    "setup",
    "unknown",
    "other",
]

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_REGION = re.compile(r"in all zones in ([a-z]+(?:-[a-z0-9]+)+)")
_HOST = re.compile(r"host='([^']+)'")
_ERRNO = re.compile(r"\[Errno -?\d+\] ([A-Za-z ]+)")
_NO_KEY = frozenset({"Credentials not found", "'api_key'"})
_POINTERS = ("(Background on this error at", "[SQL: ")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Login:
    """How a machine of SkyPilot's is reached.

    Attributes:
        user: There.
        ip: Its address; the port is 22.
        key_file: The private key, which SkyPilot made and registered at Lambda.
    """

    user: str
    ip: str
    key_file: Path


@dataclass(frozen=True, slots=True)
class Launched:
    """Machines that were rented and are ready.

    Attributes:
        cluster: Our name.
        logins: One for each machine, the head first.
        region: Where.
        instance_ids: Lambda's, the head first.
        usd_per_hour: Of all together, as Lambda asked when they were launched.
    """

    cluster: str
    logins: tuple[Login, ...]
    region: str
    instance_ids: tuple[str, ...]
    usd_per_hour: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What SkyPilot holds of a cluster.

    Attributes:
        state: SkyPilot's word. ``UP`` only says that Lambda has the machine: SkyPilot 0.14.1 says it of one whose
            launch failed as well, on which nothing ends by itself. Go by ``ends_by_itself``.
        ends_by_itself: Whether the machine gives itself back some time after the job has ended.
        region: Where it is.
        logins: As far as known, the head first.
        instance_ids: As far as known, the head first.
    """

    state: str
    ends_by_itself: bool
    region: str
    logins: tuple[Login, ...]
    instance_ids: tuple[str, ...]


class EngineError(RemoteError):
    """SkyPilot did not do what it was asked.

    Attributes:
        trouble: What kind of trouble it was.
        may_be_left: Whether a machine may be there and billing; the caller must look, and end it.
    """

    def __init__(self, trouble: Trouble, what: str, where: str, remedy: str, *, may_be_left: bool) -> None:
        super().__init__(what, where, remedy)
        self.trouble = trouble
        self.may_be_left = may_be_left


def launched(done: Mapping[str, Any]) -> Launched:
    """The machines of an answer to ``launch``."""
    return Launched(
        str(done["cluster"]),
        _logins(done),
        str(done["region"]),
        tuple(done["instance_ids"]),
        float(done["usd_per_hour"]),
    )


def standing(done: Mapping[str, Any]) -> Standing:
    """The cluster of an answer to ``status``."""
    ends_by_itself = done["to_down"] and done["autostop_minutes"] >= 0
    ids = tuple(done["instance_ids"])
    return Standing(str(done["state"]), bool(ends_by_itself), str(done["region"]), _logins(done), ids)


def _logins(done: Mapping[str, Any]) -> tuple[Login, ...]:
    return tuple(Login(str(done["user"]), str(ip), Path(done["key_file"])) for ip in done["ips"])


def refusal(failed: Mapping[str, Any], where: str) -> EngineError:
    """Why nothing became of it, in one line, from the exception that SkyPilot raised.

    Args:
        failed: As inside/ask.py tells it.
        where: The log.
    """
    trouble, what = _judged(failed)
    may_be_left = bool(failed["begun"]) or trouble == "exists"
    return EngineError(trouble, what, where, _REMEDIES.get(trouble, ""), may_be_left=may_be_left)


def _judged(failed: Mapping[str, Any]) -> tuple[Trouble, str]:
    last = _line(failed["message"])
    if failed["kind"]:
        return failed["kind"], last
    every = list(_chain(failed))
    types = {name for one in every for name in one["types"]}
    said = _ANSI.sub("", " ".join([*(str(one["message"]) for one in every), *failed["refused"]]))
    if "ResourcesUnavailableError" in types and "invalid-api-key" not in said:
        return _unavailable(said, [str(one) for one in failed["refused"]])
    signs: tuple[tuple[bool, Trouble, str], ...] = (
        ("invalid-api-key" in said or "NoCloudAccessError" in types, "key", "Lambda does not take the API key"),
        ("Failed to SSH to" in said, "ssh", f"the machine was launched and cannot be reached: {last}"),
        ("RequestException" in types, "network", f"SkyPilot has no way to a server: {_network_reason(said)}"),
        ("ImportError" in types or last in _NO_KEY, "setup", f"SkyPilot is not whole: {last}"),
    )
    found = ((trouble, what) for is_so, trouble, what in signs if is_so)
    return next(found, ("other", f"SkyPilot failed: {last}"))


def _unavailable(said: str, refused: list[str]) -> tuple[Trouble, str]:
    """SkyPilot calls it a lack of machines whenever a launch is refused, for whatever reason."""
    tried = ", ".join(dict.fromkeys(_REGION.findall(said))) or "no region"
    others = [_line(one) for one in refused if "insufficient-capacity" not in one]
    if others:
        return "refused", f"Lambda refuses: {others[0]}; tried {tried}"
    return "capacity", f"Lambda has no such machine to rent now; tried {tried}"


def _network_reason(message: str) -> str:
    """Whom it did not reach and why, out of the four exceptions that it takes to say so."""
    host, reason = _HOST.search(message), _ERRNO.search(message)
    return f"{host[1]}, {reason[1].lower()}" if host and reason else _line(message)


_REMEDIES: Mapping[str, str] = {
    "capacity": "try later, or another instance type or region",
    "key": "set LAMBDA_API_KEY and run kanjiprep setup-remote again",
    "price": "raise the limit or take another instance type",
    "type": "look at Lambda's list of instance types",
    "exists": "end it first",
    "credentials": "take other clouds' files out of SkyPilot's home",
    "ssh": "end it, and try again",
    "setup": "run kanjiprep setup-remote",
    "unknown": "look at what Lambda has running",
    "network": "look at the network, then at what Lambda has running",
}


def unknown(reason: str, where: str) -> EngineError:
    """That nobody knows what became of a question."""
    what = f"{reason}, and what became of it is not known"
    return EngineError("unknown", what, where, _REMEDIES["unknown"], may_be_left=True)


def _chain(failed: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield failed
    for one in failed["history"]:
        yield from _chain(one)


def _line(message: str) -> str:
    """The last line of ``message`` that says something, without colours and not too long."""
    lines = [line.strip().rstrip(".") for line in _ANSI.sub("", message).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_POINTERS)]
    last = lines[-1] if lines else "without a word"
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]}..."
