"""What is to be seen first of checkpoints and pictures, with the sign that says so without colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from kanjiprep.evaluation.judged import JudgedRun, JudgedStep

Kind = Literal["chosen", "tied", "dropped", "exploded", "sound", "base"]
"""``exploded`` and ``base`` are of pictures alone, all others of checkpoints and their pictures."""
SIGNS: Final[Mapping[Kind, str]] = {
    "chosen": "✓",
    "tied": "≈",
    "dropped": "✕",
    "exploded": "✕",
    "sound": "",
    "base": "0",
}
WORDS: Final[Mapping[Kind, str]] = {
    "chosen": "chosen",
    "tied": "may be as good",
    "dropped": "dropped",
    "exploded": "exploded",
    "sound": "sound",
    "base": "base model",
}


def kinds(run: JudgedRun) -> dict[int, Kind]:
    """The kind of every step of ``run``, ascending by step."""
    tied = set(run.verdict.tied)
    return {one.step: _kind(one, run.verdict.step, tied) for one in run.steps}


def standing_for(run: JudgedRun) -> tuple[int | None, str]:
    """The step that stands for ``run`` beside others, and why this one; None if there are no pictures."""
    chosen, painted = run.verdict.step, [one for one in run.steps if one.pictures]
    if chosen is not None:
        return chosen, f"step {chosen:,}, chosen"
    sound = [one.step for one in painted if not one.flags]
    if sound:
        why = "cannot tell which is best" if run.verdict.status == "cannot tell" else "none is chosen"
        return sound[-1], f"step {sound[-1]:,}, the last sound one; {why}"
    if painted:
        return painted[-1].step, f"step {painted[-1].step:,}, the last one; none is sound"
    return None, "no pictures"


def _kind(one: JudgedStep, chosen: int | None, tied: set[int]) -> Kind:
    if one.step == chosen:
        return "chosen"
    if one.flags:
        return "dropped"
    return "tied" if one.step in tied else "sound"
