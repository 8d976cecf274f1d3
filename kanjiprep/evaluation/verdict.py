"""From judged pictures to judged checkpoints, and to the choice among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kanjiprep.evaluation import choose, score
from kanjiprep.evaluation.choose import Candidate, Flag, Verdict
from kanjiprep.evaluation.judged import JudgedStep, PictureScore


def _steps(
    found: Sequence[PictureScore], against: Mapping[int, tuple[Flag, ...]], kept: Mapping[int, str]
) -> tuple[JudgedStep, ...]:
    """Every step that has a checkpoint or pictures."""
    of: dict[int, list[PictureScore]] = {step: [] for step in {*against, *kept}}
    for one in found:
        if not one.cell.is_base:
            of.setdefault(one.cell.step, []).append(one)
    return tuple(_step(step, of[step], against.get(step, ()), kept) for step in sorted(of))


def _step(step: int, found: Sequence[PictureScore], against: tuple[Flag, ...], kept: Mapping[int, str]) -> JudgedStep:
    style, shape, points = score.means(found)
    return JudgedStep(
        step=step,
        has_weights=step in kept,
        path=kept.get(step, ""),
        pictures=len(found),
        style=style,
        shape=shape,
        score=points,
        flags=(*score.flags(found), *against),
    )


def verdict_of(
    found: Sequence[PictureScore], against: Mapping[int, tuple[Flag, ...]], kept: Mapping[int, str], notes: list[str]
) -> tuple[Verdict, tuple[JudgedStep, ...]]:
    """The choice among checkpoints with pictures, and every step that has a checkpoint or pictures, judged.

    Args:
        found: The pictures, judged.
        against: What record and weights hold against a checkpoint, by step.
        kept: Paths of the checkpoints that can be used, by step.
        notes: Takes what should be known of the choice, a sentence each.
    """
    steps = _steps(found, against, kept)
    usable = [one for one in steps if one.has_weights]
    bare = [one for one in usable if not one.pictures]
    if bare and len(bare) < len(usable):
        notes.append(f"{len(bare)} of {len(usable)} checkpoints have no pictures, and are not judged")
    verdict = choose.choose(candidates(steps, found))
    flags = {one.step: one.flags for one in verdict.ranked}
    if bare and len(bare) == len(usable):
        why = f"none of its {len(usable)} checkpoints has a validation picture to be judged by"
        verdict = replace(verdict, why=why)
    elif verdict.status == "none":
        verdict = replace(verdict, why=f"{verdict.why}{_exploded([one for one in found if one.cell.step in flags])}")
    return verdict, tuple(replace(one, flags=flags.get(one.step, one.flags)) for one in steps)


def _exploded(found: Sequence[PictureScore]) -> str:
    """What is wrong with the pictures of checkpoints of which none is sound, in words; nothing if it is not they."""
    own = [one for one in found if not one.cell.is_base]
    kinds = Counter(one.fault.partition(":")[0] for one in own if one.fault)
    told = ", ".join(kind for kind, _ in kinds.most_common())
    return f"; exploded pictures: {kinds.total()} of {len(own)} ({told})" if kinds else ""


def candidates(steps: Sequence[JudgedStep], found: Sequence[PictureScore]) -> tuple[Candidate, ...]:
    """The checkpoints that can be chosen among: those that are there and have pictures."""
    return tuple(_candidate(one, found) for one in steps if one.has_weights and one.pictures)


def _candidate(step: JudgedStep, found: Sequence[PictureScore]) -> Candidate:
    scores = {one.cell.key: one.score for one in found if one.cell.step == step.step and not one.cell.is_base}
    return Candidate(step.step, scores, step.flags)
