"""What counts as a crash: whatever a reader raises that it does not promise, or does not say in one clear line."""

from __future__ import annotations

import hashlib
import traceback
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from kanjiprep.errors import KanjiprepError

Reader = Callable[[bytes], None]

_PACKAGE: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Crash:
    """An input that a reader does not bear.

    Attributes:
        what: The error, or what is wrong with its message.
        place: Where it was raised; two crashes of one place and one kind are one.
        data: The input.
        trace: The whole traceback.
    """

    what: str
    place: str
    data: bytes
    trace: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reader took an input.

    Attributes:
        place: Where it said no; empty if it took it.
        crash: None if all is well.
    """

    place: str
    crash: Crash | None


def tried(read: Reader, allowed: tuple[type[Exception], ...], data: bytes) -> Outcome:
    """What ``read`` does with ``data``."""
    try:
        read(data)
    except Exception as error:  # noqa: BLE001
        place = f"{type(error).__name__} at {_place(error.__traceback__)}"
        what = _wrong(error, allowed)
        trace = "".join(traceback.format_exception(error)) if what else ""
        return Outcome(place, Crash(what, place, data, trace) if what else None)
    return Outcome("", None)


def _wrong(error: Exception, allowed: tuple[type[Exception], ...]) -> str:
    """What is wrong with ``error``; empty if it is as a reader promises."""
    said = str(error)
    if not isinstance(error, allowed):
        return f"{type(error).__name__}: {said:.300}"
    if not said.strip() or (isinstance(error, KanjiprepError) and not error.what.strip()):
        return f"{type(error).__name__} that says nothing"
    every = (said, *getattr(error, "problems", ()))  # which are told one a line
    strange = {letter for one in every for letter in one if unicodedata.category(letter) in ("Cc", "Zl", "Zp")}
    if strange:
        return f"{type(error).__name__} with {', '.join(sorted(map(ascii, strange)))} in its message: {said!r:.300}"
    return f"{type(error).__name__} with a traceback in its message" if "Traceback (most" in said else ""


def _place(trace: TracebackType | None) -> str:
    """The innermost line of this project."""
    frames = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).is_relative_to(_PACKAGE)]
    inner = [frame for frame in frames if ".venv" not in frame.filename]
    return f"{Path(inner[-1].filename).relative_to(_PACKAGE)}:{inner[-1].lineno}" if inner else "elsewhere"
