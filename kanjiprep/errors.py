"""Every way to fail, each with its exit code, its place and its remedy."""

from __future__ import annotations

import re
import reprlib
from typing import ClassVar, Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """``text`` on one line, with what a terminal would obey in it shown and not obeyed."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], " ".join(text.split()))


class KanjiprepError(Exception):
    """A failure that a user can read in one line.

    Args:
        what: What is wrong, a phrase without a full stop.
        where: The place: a path, ``path:line``, a literal or a key. Empty when there is none.
        remedy: What to do about it, a phrase without a full stop. Empty when nothing helps.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{place}{self.what}{remedy}")


class UsageError(KanjiprepError):
    """A wrong option, template or spec (exit code 2)."""

    exit_code = 2


class InputError(KanjiprepError):
    """Source data that cannot be read or trusted (exit code 3)."""

    exit_code = 3


class DatasetError(KanjiprepError):
    """A dataset folder that cannot be written, or is not what it says (exit code 4)."""

    exit_code = 4


class HubError(KanjiprepError):
    """The Hub refuses, cannot be reached, or does not hold what it was sent (exit code 5)."""

    exit_code = 5


class TrainerError(KanjiprepError):
    """A trainer that cannot be found, set up or trusted, or a run that failed (exit code 6)."""

    exit_code = 6


class RemoteError(KanjiprepError):
    """A machine that cannot be reached, or does not do what it was asked (exit code 7)."""

    exit_code = 7


class Interrupted(KanjiprepError):
    """Ctrl-C (exit code 130)."""

    exit_code = 130


def os_reason(error: OSError) -> str:
    """The operating system's own words for ``error``, without its number and path."""
    return (error.strerror or str(error) or type(error).__name__).lower()


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120


def shown(value: object) -> str:
    """A name or value out of a file, quoted, short and without control characters."""
    return _brief.repr(value)
