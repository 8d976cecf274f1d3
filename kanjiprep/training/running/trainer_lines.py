"""The lines of the trainer's output as a person would have read them: no colours, no bars, no secrets."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

BAR: Final = "\r"
"""Stands in ``read`` for a progress bar, which is no line but shows that work went on."""
_MASK: Final = "***"

LOG_PREFIX: Final = re.compile(
    r"(?:\[RANK \d+\] )?\d{4}-\d\d-\d\d [\d:,]+ \[(?P<level>[A-Z]+)\] (?:\([\w.]+\) )?(?:\[RANK \d+\] )?"
)
"""What precedes a message. Source: helpers/log_format.py, ColorizedFormatter."""

_ESCAPE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*(?:[@-~]|$)|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|.|$)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_BAR_BEGUN: Final = re.compile(r"[^|\n]{0,200}?\d+%\|")
_BAR: Final = re.compile(r"[^|\n]{0,200}?\d+%\|[^|\n]{0,300}\| *[\d.]+\w*/[\d.]+\w* \[[^\]\n]{0,300}\]\s*")
_COUNTER: Final = re.compile(r"[^|\[\n]{0,200}?\b[\d.]+[kMGT]?(?:it|B) \[\d[^\]\n]{0,200}\]\s*")
_OF_A_RANK: Final = re.compile(r"\[rank\d+\]: ?")
_TOKEN: Final = re.compile(r"\bhf_[A-Za-z0-9]{10,}")
_LONGEST: Final = 20_000
_SHORTEST_SECRET: Final = 4


def without_escapes(text: str) -> str:
    """``text`` without colours, movements of the cursor and other control characters."""
    return _ESCAPE.sub("", text)


def without_bars(segment: str) -> str:
    """What stands in ``segment`` behind the bars with which it begins, for a bar ends without a line break."""
    while found := _BAR.match(segment) or _COUNTER.match(segment):
        segment = segment[found.end() :]
    return "" if _BAR_BEGUN.match(segment) else segment


def masked(text: str, secrets: Collection[str] = ()) -> str:
    """``text`` without the tokens of the Hub and without ``secrets``.

    Args:
        text: Anything.
        secrets: Taken out as they are; those of fewer than four characters would take out words.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _MASK)
    return _TOKEN.sub(f"hf_{_MASK}", text)


def read(text: str, secrets: Collection[str] = ()) -> list[str]:
    """The lines of ``text``, with ``BAR`` for every progress bar.

    Args:
        text: The log, or its tail, with carriage returns and colours.
        secrets: Masked beside the Hub's tokens.
    """
    lines: list[str] = []
    for raw in masked(without_escapes(text), secrets).split("\n"):
        segments = [_OF_A_RANK.sub("", one[:_LONGEST].rstrip(), count=1) for one in raw.split("\r")]
        for segment in filter(None, segments):
            said = without_bars(segment)
            lines += ([BAR] if said != segment else []) + ([said] if said else [])
        if not raw:
            lines.append("")
    return lines


def last_lines(tail: str, count: int, secrets: Collection[str] = ()) -> list[str]:
    """The last lines that say something, to show to the user.

    Args:
        tail: The end of the log.
        count: How many at most; blank ones count, but there are no two in a row.
        secrets: Masked beside the Hub's tokens.
    """
    kept: list[str] = []
    for line in read(tail, secrets):
        if line != BAR and (line or (kept and kept[-1])):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    shown = kept[-count:] if count > 0 else []
    return shown[1:] if shown and not shown[0] else shown
