"""What went wrong between us and the Hub, in a closed list of kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal[
    "invalid",  # refused by the client before anything was sent
    "no token",
    "offline",  # HF_HUB_OFFLINE
    "unauthorized",
    "forbidden",
    "payment",
    "missing",  # the repository, or one's right to see it
    "missing revision",
    "gated",
    "conflict",  # 409 and 412
    "too large",
    "busy",  # 429
    "server",  # 5xx
    "refused",  # any other 4xx
    "network",
    "no hub",  # something answers that is none
    "no xet",  # a Hub without hf_xet's routes
    "timeout",  # of ours: the child was ended
    "died",  # the child did
    "broken",  # anything else
]
PASSING: Final = frozenset({"busy", "server", "network", "no hub", "timeout", "died", "conflict"})
"""Kinds that may be gone when one asks again."""

_BY_STATUS: Final[Mapping[int, Kind]] = {
    401: "unauthorized",
    402: "payment",
    403: "forbidden",
    404: "missing",
    408: "network",
    409: "conflict",
    412: "conflict",
    413: "too large",
    429: "busy",
}
_STATUS_IN_TEXT: Final = re.compile(r"\b(?:status(?: code)?:?|HTTP)\W{0,3}([1-5]\d\d)\b|\b([45]\d\d) [A-Z][a-z]+")
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that failed.

    Attributes:
        kind: What sort of failure.
        what: In the words of the server or the client, on one line.
        status: Of HTTP; 0 without one.
        retry_after_s: For how long the server asks us to wait; None if it does not say.
        request_id: By which the Hub's people find it; empty without one.
    """

    kind: Kind
    what: str = ""
    status: int = 0
    retry_after_s: float | None = None
    request_id: str = ""

    @property
    def is_passing(self) -> bool:
        """Whether asking again can help."""
        return self.kind in PASSING


def describe(error: BaseException) -> Fault:
    """The fault that an exception of huggingface_hub or hf_xet stands for.

    Source: Exceptions of huggingface_hub 2.4.0 (``errors.py``) and what hf_xet 1.8.0 was seen to raise.
    """
    from huggingface_hub import errors

    cause = error.__cause__
    is_only_told = isinstance(error, errors.LocalEntryNotFoundError) or (
        isinstance(error, RuntimeError) and isinstance(cause, errors.HfHubHTTPError)  # "Error while uploading"
    )
    if is_only_told and cause is not None:
        return describe(cause)
    what = _one_line(getattr(error, "server_message", None) or str(error) or type(error).__name__)
    response = getattr(error, "response", None)
    if response is not None:
        return Fault(_kind(error, response.status_code), what, response.status_code, *_asides(error, response))
    return Fault(_kind_without_response(error, what), what)


def _kind_without_response(error: BaseException, what: str) -> Kind:
    from huggingface_hub import errors

    if "xet-write-token" in what and "404" in what:
        return "no xet"
    if what.startswith("Consistency check failed"):  # a file came in part
        return "network"
    if isinstance(error, ConnectionError | PermissionError) and (found := _STATUS_IN_TEXT.search(what)):
        return _kind_of_status(int(found[1] or found[2]))
    network: Any = errors.HfHubHTTPError.__bases__[0]  # httpx's or httpx2's HTTPError, as the version has it
    kinds: tuple[tuple[Any, Kind], ...] = (
        (errors.LocalTokenNotFoundError, "no token"),
        (errors.FileMetadataError, "no hub"),
        (errors.OfflineModeIsEnabled, "offline"),
        (PermissionError, "forbidden"),
        ((ConnectionError, TimeoutError, network), "network"),
        (json.JSONDecodeError, "no hub"),
        (ValueError, "invalid"),
    )
    return next((kind for classes, kind in kinds if isinstance(error, classes)), "broken")


def _kind(error: BaseException, status: int) -> Kind:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "gated"
    if isinstance(error, errors.RevisionNotFoundError):
        return "missing revision"
    is_missing = isinstance(error, errors.RepositoryNotFoundError) and status != 401  # noqa: PLR2004
    return "missing" if is_missing else _kind_of_status(status)


def _kind_of_status(status: int) -> Kind:
    """The kind of an HTTP status that is no success."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "server" if status >= 500 else "refused"  # noqa: PLR2004


def _asides(error: BaseException, response: Any) -> tuple[float | None, str]:
    headers = response.headers
    return retry_after_s(headers), str(getattr(error, "request_id", None) or "")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` or the ``RateLimit`` of the Hub ask us to wait; None if they do not.

    Source: RFC 9110 10.2.3 (seconds; the Hub sends no dates); the Hub's rate limits: ``"api";r=0;t=55``.
    """
    plain = headers.get("Retry-After", "").strip()
    if plain.isdecimal():
        return float(plain)
    left = re.search(r"\bt=(\d+)", headers.get("RateLimit", ""))
    return float(left[1]) if left else None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
