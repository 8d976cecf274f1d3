"""Shell scripts for the box: they travel over stdin, and their answer stands between two marks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from kanjiprep.errors import RemoteError
from kanjiprep.progress import Progress

ROOT: Final = ".kanjiprep"
"""Of all that is ours on a box, seen from the user's home there; no other place is touched."""
BEGIN: Final = b"@kanjiprep begin\n"
END: Final = b"@kanjiprep end "
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MOST_CHARACTERS: Final = 400

T = TypeVar("T")


class Done(Protocol):
    """What came of a command on the box."""

    @property
    def code(self) -> int:
        """Its exit code."""

    @property
    def out(self) -> bytes:
        """Its stdout."""

    @property
    def err(self) -> bytes:
        """Its stderr."""


class Far(Protocol):
    """A box and the way to it; every call raises RemoteError if it cannot be reached."""

    @property
    def name(self) -> str:
        """How the user calls it."""

    def run(self, words: Sequence[str], stdin: bytes, timeout_s: float) -> Done:
        """What came of a command there, whose words no shell reads."""

    def send(self, source: Path, target: str, progress: Progress) -> None:
        """Bring a file, or what is in a folder and not hidden, to a path there."""

    def again(self, action: Callable[[], T]) -> T:
        """What ``action`` gives, tried again while the box is out of reach."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script said.

    Attributes:
        code: Its exit code.
        out: What it wrote to stdout, without what greets whoever logs in.
        err: What it wrote to stderr.
    """

    code: int
    out: bytes
    err: str


def _compose(body: str, values: Mapping[str, str]) -> bytes:
    """A script for ``sh -s``, which runs whole or not at all: one that was cut on its way is no script.

    Args:
        body: Commands; ``$root`` is the folder of ours, and their stdin is empty.
        values: Shell variables by name, which no other process sees.
    """
    given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    begin, end = BEGIN.decode().strip(), END.decode().strip()
    text = f"""\
LC_ALL=C
export LC_ALL
unset BASH_ENV ENV CDPATH
{given}case $root in /*) ;; *) root=$HOME/$root ;; esac
main() {{
{body}
}}
printf '\\n%s\\n' '{begin}'
( main ) </dev/null
printf '\\n%s %s\\n' '{end}' "$?"
"""
    return text.encode("utf-8", "surrogateescape")  # words of a command line may hold any byte


def ask(
    far: Far, body: str, values: Mapping[str, str], timeout_s: float = 60.0, *, hidden: Collection[str] = ()
) -> Answer:
    """What ``body`` says on the box.

    Args:
        far: The box.
        body: As for ``_compose``.
        values: As for ``_compose``.
        timeout_s: Longest wait.
        hidden: Secrets among the values: a shell may quote the line that it stumbles over.

    Raises:
        RemoteError: If the box cannot be reached, or its answer is not whole.
    """
    done = far.run(("sh", "-s"), _compose(body, values), timeout_s)
    return answer_of(far.name, done, hidden)


def answer_of(name: str, done: Done, hidden: Collection[str] = ()) -> Answer:
    """The answer in ``done``, apart from banners, and without what is hidden in its stderr.

    Raises:
        RemoteError: If a mark is missing: the shell there is none of POSIX, or the connection was lost.
    """
    err = done.err.decode("utf-8", "replace")
    for secret in filter(None, hidden):
        err = err.replace(secret, "…")
    _, begun, rest = done.out.partition(b"\n" + BEGIN)
    out, ended, code = rest.rpartition(b"\n" + END)
    if not begun or not ended or not code.strip().isdigit():
        said = last_line(err) or f"exit code {done.code}"
        what = f"its answer is {'cut short' if begun else 'none that kanjiprep understands'} ({said})"
        raise RemoteError(what, name, "try again, and look whether ssh with the command true works there")
    return Answer(int(code), out, err)


def last_line(text: str) -> str:
    """The last line of ``text`` that says something, without colours, and not endless."""
    lines = [line.strip() for line in _ANSI.sub("", text).splitlines() if line.strip()]
    return lines[-1][:_MOST_CHARACTERS] if lines else ""


def refuse(far: Far, answer: Answer, what: str, remedy: str) -> None:
    """Raise if the script failed.

    Raises:
        RemoteError: With the script's last line.
    """
    if answer.code:
        said = last_line(answer.err) or last_line(answer.out.decode("utf-8", "replace")) or f"exit code {answer.code}"
        raise RemoteError(f"{what}: {said}", far.name, remedy)
