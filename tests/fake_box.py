"""A box that answers what it is told to, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kanjiprep.progress import Progress
from kanjiprep.training.remote.ssh.connection import Done

T = TypeVar("T")


def said(out: bytes = b"", code: int = 0, err: bytes = b"", banner: bytes = b"") -> Done:
    """What sh says of a script that went through, between its marks."""
    return Done(0, banner + b"\n@kanjiprep begin\n" + out + f"\n@kanjiprep end {code}\n".encode(), err)


@dataclass
class FakeBox:
    """Gives each of ``answers`` once, the last for ever."""

    answers: list[Done]
    asked: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    sent: list[tuple[Path, str]] = field(default_factory=list)
    name: str = "ssh://me@box"

    def run(self, words: Sequence[str], stdin: bytes, timeout_s: float) -> Done:
        self.asked.append((tuple(words), stdin.decode()))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def send(self, source: Path, target: str, progress: Progress) -> None:
        progress("send", 100, 100)
        self.sent.append((source, target))

    def again(self, action: Callable[[], T]) -> T:
        return action()
