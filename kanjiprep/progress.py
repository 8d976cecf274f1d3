"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the state of one stage of long work."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Hear that ``done`` of ``total`` units of ``stage`` are finished.

        Args:
            stage: A short name in the user's words, constant over the stage.
            done: Units finished, from 0.
            total: Units in all, or None while it is not known.
        """


def silent(stage: str, done: int, total: int | None) -> None:
    """Hear and say nothing."""
