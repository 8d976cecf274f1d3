"""What sort of checkpoint a checkpoint is, with the sign that says so without colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import JudgedRun

Kind = Literal["chosen", "tied", "flagged", "sound", "base"]
SIGNS: Final[Mapping[Kind, str]] = {"chosen": "✓", "tied": "≈", "flagged": "✕", "sound": "", "base": "0"}
WORDS: Final[Mapping[Kind, str]] = {
    "chosen": "chosen",
    "tied": "may be as good",
    "flagged": "flagged",
    "sound": "sound",
    "base": "base model",
}


def kinds(run: JudgedRun) -> dict[int, Kind]:
    """The kind of every step of ``run``."""
    tied = set(run.verdict.tied)
    return {step: _kind(step, why, run.verdict.step, tied) for step, why in flags(run).items()}


def flags(run: JudgedRun) -> dict[int, tuple[Flag, ...]]:
    """Why each step of ``run`` is not to be chosen, ascending by step."""
    found: dict[int, tuple[Flag, ...]] = {one.step: one.flags for one in run.verdict.ranked}
    found |= {one.step: one.flags for one in run.steps}
    return dict(sorted(found.items()))


def shown_step(run: JudgedRun) -> int | None:
    """The step that stands for ``run``: the chosen one, else the last sound one with pictures, else none."""
    if run.verdict.step is not None:
        return run.verdict.step
    sound = [one.step for one in run.steps if one.pictures and not one.flags]
    return max(sound, default=None)


def _kind(step: int, why: tuple[Flag, ...], chosen: int | None, tied: set[int]) -> Kind:
    if step == chosen:
        return "chosen"
    if why:
        return "flagged"
    return "tied" if step in tied else "sound"
