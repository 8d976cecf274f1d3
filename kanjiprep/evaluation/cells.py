"""Where a picture to be judged is, and what it is of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kanjiprep.training.running.picture_file import Box


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture: a whole file, or a part of one.

    Attributes:
        step: Of the run, when it was painted; 0 for the base model's.
        prompt: Short name of the prompt.
        seed: Number of the picture among those of this prompt and step, from 0.
        path: The file, absolute.
        box: The part of the file; None for all of it.
        is_base: Whether the base model painted it, without the adapter.
    """

    step: int
    prompt: str
    seed: int
    path: Path
    box: Box | None = None
    is_base: bool = False

    @property
    def key(self) -> str:
        """What pictures of different checkpoints that can be compared have in common."""
        return f"{self.prompt} {self.seed}"
