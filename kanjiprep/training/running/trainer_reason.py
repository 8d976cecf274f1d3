"""Why the trainer ended, in one line, from the end of its log."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.running.trainer_causes import NON_FINITE, known
from kanjiprep.training.running.trainer_lines import BAR, LOG_PREFIX, read

LONGEST: Final = 300

_HEADER: Final = "Traceback (most recent call last):"
_HEAD: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)(?:: ?(.*))?$")
_SAID_BY_ITS_MESSAGE: Final = frozenset({
    "Exception", "FileExistsError", "FileNotFoundError", "ImportError", "IsADirectoryError", "ModuleNotFoundError",
    "NotADirectoryError", "OSError", "PermissionError", "RuntimeError", "ValueError",
})  # fmt: skip
_WRAPPERS: Final = frozenset({"CalledProcessError", "ChildFailedError", "ProcessExitedException", "SignalException"})
"""What a launcher raises because a process of its own has failed."""
_SECONDARY: Final = re.compile(r"NCCL error|gloo/transport|TCPStore|Socket")
"""Of what a process raises because another one has failed."""
_SIGNAL: Final = re.compile(r"\((SIG\w+)\)|<Signals\.(SIG\w+)")
_SUDDEN: Final = frozenset({"SIGKILL", "SIGSEGV", "SIGBUS"})
"""Signals that leave no time to say anything, so that what was said is of others."""
_OTHER_ENDS: Final = re.compile(
    r"\S+\.py: error: (?P<usage>.+)"
    r"|(?:\S{1,200}: line \d+: +\d+ )?(?P<killed>Killed)(?: {2,}.*)?$"
    r"|(?P<fatal>Fatal Python error: .+)"
)
_TORCH: Final = re.compile(r"[IWEF]\d{4} [\d:.]+ +\d+ ")
_GOODBYE: Final = re.compile(r"Unloading all model components|Model components unloaded|Text encoder \d successfully")
_CHAIN: Final = re.compile(r"During handling of the above exception|The above exception was")
_NOT_OF_A_MESSAGE: Final = re.compile(
    rf"{_CHAIN.pattern}|Traceback \(most|Exception in thread|wandb: "
    r"|  File \"|\s+[~^]+\s*$"
)
_LEVELS_OF_WORK: Final = frozenset({"DEBUG", "INFO", "WARNING"})
_LONGEST_MESSAGE: Final = 40
_BARS_AT_THE_END: Final = 3
"""So many bars are drawn once more when the trainer ends; more of them, and it went on."""


@dataclass(frozen=True, slots=True)
class _End:
    """Something that may have ended the trainer: where it stands, where it stops, what it says."""

    first: int
    last: int
    kind: str
    message: str


def reason(tail: str, secrets: Collection[str] = ()) -> str:
    """Why the trainer ended, in one line of at most 300 characters; empty if the log does not tell.

    A trainer killed by a signal says nothing of it, and that it worked until then is no reason: then it is empty.

    Args:
        tail: The end of the log of one attempt; 64 KiB are plenty.
        secrets: Masked beside the Hub's tokens.
    """
    lines = read(tail, secrets)
    said = "\n".join(lines)
    ends = list(_ends(lines))
    found = _final(ends, lines)
    line = _explained([found, *_causes(found, ends, lines)], said) if found else _last_said(lines, said)
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def is_non_finite(reason_or_tail: str) -> bool:
    """Whether the trainer aborted because a loss was not finite.

    Args:
        reason_or_tail: What ``reason`` gave, or what it was given.
    """
    return reason(reason_or_tail).startswith(NON_FINITE)


def _ends(lines: Sequence[str]) -> Iterator[_End]:
    for number, line in enumerate(lines):
        other = _OTHER_ENDS.match(line)
        if line.endswith(_HEADER):
            yield from _exception(lines, number)
        elif other:
            kind = other.lastgroup or ""
            yield _End(number, number, kind, other[kind])


def _exception(lines: Sequence[str], header: int) -> Iterator[_End]:
    head = header + 1
    while head < len(lines) and (not lines[head].strip() or lines[head][0] in " ["):
        head += 1
    named = _HEAD.match(lines[head]) if head < len(lines) else None
    if named is None:
        return
    last = head
    while last + 1 < min(len(lines), head + _LONGEST_MESSAGE) and _is_of_message(lines[last + 1]):
        last += 1
    yield _End(header, last, named[1], "\n".join([named[2] or "", *lines[head + 1 : last + 1]]).strip())


def _is_of_message(line: str) -> bool:
    others = (LOG_PREFIX, _TORCH, _NOT_OF_A_MESSAGE)
    return line != BAR and not any(other.match(line) for other in others)


def _final(ends: Sequence[_End], lines: Sequence[str]) -> _End | None:
    """The one that ended the trainer: the last, unless it is a launcher's word for an earlier one."""
    causes = [end for end in ends if end.kind not in _WRAPPERS]
    wrappers = [end for end in ends if end.kind in _WRAPPERS]
    before = [end for end in causes if wrappers and end.first < wrappers[-1].first]
    if wrappers and not _went_on(wrappers[-1], lines):
        own = [end for end in before if not _SECONDARY.search(end.message)]
        return wrappers[-1] if _signal(wrappers[-1]) in _SUDDEN else (own or before or wrappers)[-1]
    return causes[-1] if causes and not _went_on(causes[-1], lines) else None


def _went_on(end: _End, lines: Sequence[str]) -> bool:
    after = lines[end.last + 1 :]
    return any(map(_is_of_work, after)) or after.count(BAR) > _BARS_AT_THE_END


def _is_of_work(line: str) -> bool:
    logged = LOG_PREFIX.match(line)
    return bool(logged and logged["level"] in _LEVELS_OF_WORK and not _GOODBYE.match(line[logged.end() :]))


def _last_said(lines: Sequence[str], said: str) -> str:
    """The last line, if it is no sign of work and none of the trainer's goodbye."""
    told = [number for number, line in enumerate(lines) if line.strip() and line != BAR and not _TORCH.match(line)]
    last = lines[told[-1]] if told else ""
    logged = LOG_PREFIX.match(last)
    if (logged and logged["level"] in _LEVELS_OF_WORK) or _went_on(_End(0, told[-1] if told else 0, "", ""), lines):
        return ""
    last = last[logged.end() :] if logged else last
    named = _HEAD.match(last)
    return known([named[2] if named and named[2] else last], said) or last


def _causes(end: _End, ends: Sequence[_End], lines: Sequence[str]) -> Iterator[_End]:
    """The exceptions of which ``end`` came, nearest first."""
    for earlier in reversed(ends[: ends.index(end)]):
        if any(line.strip() and not _CHAIN.match(line) for line in lines[earlier.last + 1 : end.first]):
            return
        yield earlier
        end = earlier


def _explained(chain: Sequence[_End], said: str) -> str:
    end = chain[0]
    if end.kind in _WRAPPERS:
        return _of_wrapper(end)
    meaning = known([one.message for one in chain], said)
    bare = re.sub(r"^\[Errno \d+\] ", "", end.message)
    if meaning or end.kind in {"usage", "killed", "fatal"} | (_SAID_BY_ITS_MESSAGE if bare else set()):
        return meaning or bare
    return f"{end.kind}: {bare}" if bare else end.kind


def _of_wrapper(end: _End) -> str:
    if _signal(end):
        return f"a process of the trainer was killed by {_signal(end)}"
    code = re.search(r"exitcode +: (-?\d+)|exit status (\d+)", _first_failure(end))
    return f"a process of the trainer ended with code {code[1] or code[2]}" if code else end.message


def _signal(end: _End) -> str:
    signal = _SIGNAL.search(_first_failure(end))
    return signal[1] or signal[2] if signal else ""


def _first_failure(end: _End) -> str:
    return end.message.partition("Root Cause")[2] or end.message
