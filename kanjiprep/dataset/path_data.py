"""SVG path data: as cubic segments where it is of KanjiVG's kind, checked against the whole grammar where not."""

from __future__ import annotations

import re
from typing import Final

ARGUMENTS: Final = {"m": 2, "z": 0, "l": 2, "h": 1, "v": 1, "c": 6, "s": 4, "q": 4, "t": 2, "a": 7}
"""How many numbers each command takes, by its lower-case letter."""

_WHITE = r"[ \t\r\n]*"
_GAP = rf"{_WHITE}(?:,{_WHITE})?"
# What may follow is said, so that 12 and 1.5 are read in one way only. Possessive quantifiers would say it
# shorter, but match wrongly in Python 3.11.2, which Debian 12 has.
_PLAIN_NUMBER = r"[-+]?(?:\d{1,5}\.\d*(?!\d)|\d{1,5}(?![\d.])|\.\d+(?!\d))"


def _repeated(count: int) -> str:
    group = _GAP.join([_PLAIN_NUMBER] * count)
    return rf"{_WHITE}{group}(?:{_GAP}{group})*{_WHITE}"


_PLAIN = re.compile(
    rf"{_WHITE}(?=[Mm])(?:[Mm]{_WHITE}{_GAP.join([_PLAIN_NUMBER] * 2)}{_WHITE}"
    rf"|[Cc]{_repeated(6)}|[Ss]{_repeated(4)})+",
    re.ASCII,
)
_PLAIN_COMMAND = re.compile(r"([MmCcSs])([^MmCcSs]*)")

_COMMAND = re.compile(r"([MmZzLlHhVvCcSsQqTtAa])([^MmZzLlHhVvCcSsQqTtAa]*)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_NEXT_NUMBER = re.compile(rf"{_GAP}({_NUMBER.pattern})", re.ASCII)
_NEXT_FLAG = re.compile(rf"{_GAP}([01])")
_FLAGS_OF_AN_ARC = (3, 4)
_FARTHEST = 1e5


class PathError(ValueError):
    """Path data that breaks the grammar; its text says how."""


Segment = tuple[str, float, float, float, float, float, float]
"""A cubic curve ``(kind, x1, y1, x2, y2, x3, y3)`` in KanjiVG units (the square is 109 wide).

``kind`` is ``C`` with absolute points, ``c`` with points relative to the pen, or ``M``, a move to the
absolute ``x3, y3``. A bare tuple, because 40 of them a picture make the cost of a class felt.
"""


def segments(path: str) -> list[Segment] | None:
    """``path`` as cubic segments, or None if it is right but holds more than M, m, C, c, S and s.

    Relative curves stay relative: cairo rounds the two forms differently, and the pixels must equal
    those of CairoSVG, whose arithmetic for smooth curves (through absolute points) is kept too.

    Raises:
        PathError: If ``path`` breaks the grammar.
    """
    if not _PLAIN.fullmatch(path):
        check(path)
        return None
    pen = _Pen()
    for letter, text in _PLAIN_COMMAND.findall(path):
        numbers = list(map(float, _NUMBER.findall(text)))
        if letter in "Mm":
            pen.move(letter == "m", numbers)
        else:
            pen.curve(letter in "cs", letter in "Ss", numbers)
    return pen.drawn


class _Pen:
    """Where the pen is, and the last curve's second and end points, all absolute."""

    __slots__ = ("curved", "drawn", "x", "x2", "x3", "y", "y2", "y3")

    def __init__(self) -> None:
        self.drawn: list[Segment] = []
        self.x = self.y = self.x2 = self.y2 = self.x3 = self.y3 = 0.0
        self.curved = False

    def move(self, relative: bool, numbers: list[float]) -> None:
        x, y = numbers
        self.x, self.y = (self.x + x, self.y + y) if relative else (x, y)
        self.drawn.append(("M", x, y, x, y, self.x, self.y))
        self.curved = False

    def curve(self, relative: bool, smooth: bool, numbers: list[float]) -> None:
        kind = "c" if relative else "C"
        for start in range(0, len(numbers), 4 if smooth else 6):
            if smooth:
                x2, y2, x3, y3 = numbers[start : start + 4]
                x1, y1 = self._reflected(relative)
            else:
                x1, y1, x2, y2, x3, y3 = numbers[start : start + 6]
            self.drawn.append((kind, x1, y1, x2, y2, x3, y3))
            dx, dy = (self.x, self.y) if relative else (0.0, 0.0)
            self.x2, self.y2 = x2 + dx, y2 + dy
            self.x, self.y = self.x3, self.y3 = x3 + dx, y3 + dy
            self.curved = True

    def _reflected(self, relative: bool) -> tuple[float, float]:
        if relative:
            return (self.x3 - self.x2, self.y3 - self.y2) if self.curved else (0.0, 0.0)
        if self.curved:
            return self.x3 + (self.x3 - self.x2), self.y3 + (self.y3 - self.y2)
        return self.x, self.y


def check(path: str) -> None:
    """Refuse path data that breaks the grammar.

    Source: https://www.w3.org/TR/SVG11/paths.html#PathDataBNF

    Raises:
        PathError: Naming the command and what follows it.
    """
    found = _COMMAND.findall(path)
    if not found or path.lstrip(" \t\r\n")[0] not in "Mm":
        raise PathError(f"path data must begin with M or m: {path!r:.60}")
    for letter, text in found:
        _check_command(letter, text)


def _check_command(letter: str, text: str) -> None:
    wanted = ARGUMENTS[letter.lower()]
    numbers, rest = _numbers(text, wanted if letter in "Aa" else 0)
    if rest:
        raise PathError(f"not a number after {letter}: {rest!r:.40}")
    if len(numbers) % wanted or not numbers if wanted else numbers:
        many = f"{wanted} numbers or a multiple" if wanted else "no numbers"
        raise PathError(f"{letter} takes {many}, not {len(numbers)}: {text!r:.40}")
    if any(abs(number) >= _FARTHEST for number in numbers):
        raise PathError(f"a number after {letter} is out of range: {text!r:.40}")


def _numbers(text: str, arc: int) -> tuple[list[float], str]:
    """The numbers that ``text`` begins with, and what is left of it."""
    numbers: list[float] = []
    at = 0
    while match := _next(numbers, arc).match(text, at):
        if not numbers and match[0].lstrip().startswith(","):
            break
        numbers.append(float(match[1]))
        at = match.end()
    return numbers, text[at:].strip(" \t\r\n")


def _next(numbers: list[float], arc: int) -> re.Pattern[str]:
    is_flag = arc and len(numbers) % arc in _FLAGS_OF_AN_ARC
    return _NEXT_FLAG if is_flag else _NEXT_NUMBER
