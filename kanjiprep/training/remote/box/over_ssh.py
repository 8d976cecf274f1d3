"""A box as the rest of this room sees it, over OpenSSH."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kanjiprep.progress import Progress
from kanjiprep.training.remote.ssh import connection, transfer
from kanjiprep.training.remote.ssh.connection import Box, Done
from kanjiprep.training.remote.ssh.refusal import Unreachable

T = TypeVar("T")


def _silent(_problem: Unreachable, _pause_s: float) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class OverSsh:
    """A box that is reached over its shared connection.

    Attributes:
        box: The machine.
        patience_s: How long a lost connection is tried again where that is safe; None is for ever.
        tell: Hears of each failure, and for how long it is waited.
    """

    box: Box
    patience_s: float | None = None
    tell: Callable[[Unreachable, float], None] = field(default=_silent)

    @property
    def name(self) -> str:
        """How the user calls it."""
        return str(self.box.address)

    def run(self, words: Sequence[str], stdin: bytes, timeout_s: float) -> Done:
        """What came of a command there, as ``connection.run`` tells it."""
        return connection.run(self.box, words, stdin, timeout_s)

    def send(self, source: Path, target: str, progress: Progress) -> None:
        """Bring a file, or what is in a folder and not hidden, to a path there, as ``transfer.send`` does."""
        transfer.send(self.box, source, target, progress, exclude=(".*",))

    def again(self, action: Callable[[], T]) -> T:
        """What ``action`` gives, tried again while the box is out of reach."""
        return connection.again(action, patience_s=self.patience_s, tell=self.tell)
