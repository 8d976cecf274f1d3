"""Which checkpoint is best, and how sure that is: pure arithmetic on the scores of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

About = Literal["pictures", "gradient", "weights"]
Status = Literal["chosen", "cannot tell", "none"]


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a checkpoint is not to be chosen.

    Attributes:
        about: Which witness says so.
        text: In words.
    """

    about: About
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint with the scores of its pictures.

    Attributes:
        step: Of the run.
        scores: By the picture's ``Cell.key``; 0 to 100, higher is better, finite.
        flags: Why it is not to be chosen; none if it is sound.
    """

    step: int
    scores: Mapping[str, float]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A checkpoint with its place.

    Attributes:
        step: Of the run.
        score: Mean of its pictures.
        smooth: With its sound neighbours taken in; ``score`` for one that is flagged.
        low: Lower end of the 95 % interval of ``smooth``.
        high: Upper end.
        flags: As given.
        is_tied: Whether it may be the best, by the interval of its difference to the best.
    """

    step: int
    score: float
    smooth: float
    low: float
    high: float
    flags: tuple[Flag, ...]
    is_tied: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a run.

    Attributes:
        status: ``chosen``; ``cannot tell`` if the scores do not tell the sound checkpoints apart; ``none`` if no
            checkpoint is sound, or there is none.
        step: The chosen one; None with any other status.
        why: A sentence, without a full stop.
        ranked: Every candidate, ascending by step.
    """

    status: Status
    step: int | None
    why: str
    ranked: tuple[Ranked, ...]

    @property
    def tied(self) -> tuple[int, ...]:
        """Steps of those that may be the best."""
        return tuple(one.step for one in self.ranked if one.is_tied)
