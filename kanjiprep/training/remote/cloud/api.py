"""Lambda's API as far as we need it: prices, instances, and their end. Nothing is launched from here."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeVar

from kanjiprep.errors import RemoteError
from kanjiprep.training import lambda_http, prices
from kanjiprep.training.lambda_http import NoAnswerError, Pace, Question
from kanjiprep.training.prices import LivePrice

T = TypeVar("T")

CONSOLE: Final = "https://cloud.lambda.ai/instances"
"""Where a person sees and ends what is rented."""
KEYS: Final = "https://cloud.lambda.ai/api-keys"
_TERMINATED: Final = "terminated"
ENDING: Final = frozenset({"terminating", _TERMINATED})
TIMEOUT_S: Final = 20.0

_LONGEST_NAME = 128
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine at Lambda.

    Attributes:
        id: Lambda's name for it, which no other machine ever has.
        name: What the one who launched it called it; empty for nothing.
        status: booting, active, unhealthy, terminating, terminated, preempted, or a word that is new.
        ip: Its address; empty while it has none. Another after each launch.
        region: Where it is.
        type: Lambda's name of what it is.
        usd_per_hour: What it costs.
    """

    id: str
    name: str
    status: str
    ip: str
    region: str
    type: str
    usd_per_hour: float

    @property
    def is_gone(self) -> bool:
        """Whether Lambda says that it is terminated, and so costs nothing more."""
        return self.status == _TERMINATED


class Ask(Protocol):
    """A way to put a question to Lambda."""

    def __call__(self, question: Question, *, pause: Callable[[float], None], pace: Pace | None) -> bytes:
        """The answer."""


@dataclass(frozen=True, slots=True)
class Lambda:
    """An account at Lambda.

    Attributes:
        key: Its API key, which is in no message and no picture of this value.
        endpoint: The server.
        timeout_s: Longest silence that is waited for, and longest answer.
        pause: Sleeps; another for tests.
        pace: Of all requests; by default one a second to Lambda, and any to a server on this machine.
        ask: Puts the questions; another for tests.
    """

    key: str = field(repr=False)
    endpoint: str = lambda_http.ENDPOINT
    timeout_s: float = TIMEOUT_S
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)
    pace: Pace | None = field(default=None, repr=False)
    ask: Ask = field(default=lambda_http.ask, repr=False)

    def types(self) -> dict[str, LivePrice]:
        """Every instance type by name, with its price and the regions where there is one to be had now.

        Raises:
            RemoteError: If Lambda does not tell.
        """
        return self._told("instance types", prices.PATH, prices.read)

    def instances(self) -> tuple[Instance, ...]:
        """Every instance of the account, also those of other people and tools.

        Raises:
            RemoteError: If Lambda does not tell.
        """
        return self._told("instances", "/instances", lambda body: _instances(lambda_http.data_of(body)))

    def instance(self, instance_id: str) -> Instance | None:
        """An instance; None if Lambda knows none with this id.

        Raises:
            RemoteError: If Lambda does not tell, or ``instance_id`` cannot be one.
        """
        _check(instance_id)
        path = f"/instances/{instance_id}"
        try:
            return _instance(lambda_http.data_of(self._asked(path)))
        except NoAnswerError as problem:
            if problem.status == 404:  # noqa: PLR2004
                return None
            raise _failure(f"the instance {instance_id}", problem) from None

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        """End instances for ever, with all that is on them, and give the ids that Lambda says it is terminating.

        It is asked once: if the answer is lost, look before asking again.

        Raises:
            RemoteError: If Lambda refuses, what it did is not known, or one of the ids cannot be one.
        """
        asked = sorted(set(ids))
        for one in asked:
            _check(one)
        if not asked:
            return ()
        path = "/instance-operations/terminate"
        try:
            data = lambda_http.data_of(self._asked(path, "POST", {"instance_ids": asked}))
            return _ids(data)
        except NoAnswerError as problem:
            raise _failure(f"the end of {', '.join(asked)}", problem) from None

    def _asked(
        self, path: str, method: Literal["GET", "POST"] = "GET", body: Mapping[str, object] | None = None
    ) -> bytes:
        question = Question(self.key, path, method, body, self.endpoint, self.timeout_s)
        return self.ask(question, pause=self.pause, pace=self.pace)

    def _told(self, what: str, path: str, read: Callable[[bytes], T]) -> T:
        try:
            return read(self._asked(path))
        except NoAnswerError as problem:
            raise _failure(f"the {what}", problem) from None


def _check(instance_id: str) -> None:
    if not _ID.fullmatch(instance_id):  # an empty one would ask for the list, or for nothing
        raise RemoteError(f"{instance_id!r:.80} is no id of an instance", "", f"look at {CONSOLE}")


def _failure(what: str, problem: NoAnswerError) -> RemoteError:
    remedy = {401: f"make a key at {KEYS} and set LAMBDA_API_KEY to it"}.get(problem.status, "")
    return RemoteError(problem.reason, f"{what} at Lambda", remedy)


def _instances(data: Any) -> tuple[Instance, ...]:
    if not isinstance(data, list):
        raise NoAnswerError(lambda_http.OTHER_SHAPE)
    return tuple(map(_instance, data))


def _instance(entry: Any) -> Instance:
    try:
        return Instance(
            id=_id(entry["id"]),
            name=_words(entry.get("name") or ""),
            status=_words(entry["status"]),
            ip=_address(entry.get("ip") or ""),
            region=_words(entry["region"]["name"]),
            type=_words(entry["instance_type"]["name"]),
            usd_per_hour=prices.usd_per_hour(entry["instance_type"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise NoAnswerError(lambda_http.OTHER_SHAPE) from None


def _ids(data: Any) -> tuple[str, ...]:
    try:
        return tuple(_id(entry["id"]) for entry in data["terminated_instances"])
    except (ValueError, LookupError, TypeError):
        raise NoAnswerError(lambda_http.OTHER_SHAPE) from None


def _id(text: Any) -> str:
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise ValueError
    return text


def _address(text: Any) -> str:
    """``text`` if it is a plain address, for it becomes a word of ssh's command line."""
    if text == "":
        return ""
    if not isinstance(text, str) or "%" in text:
        raise ValueError
    return str(ipaddress.ip_address(text))


def _words(text: Any) -> str:
    """``text`` as it can be shown: a name of somebody else's may hold anything."""
    if not isinstance(text, str):
        raise TypeError
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST_NAME]
