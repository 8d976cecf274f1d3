"""Runs whose checkpoints really paint: characters with damage that training takes away, measured and judged by us.

Each prompt is an invented character, drawn anew at every checkpoint with natural variation. How much it is damaged
follows one of the four shapes of ``choice_runs``; which damage it is differs from run to run. Two explosions paint
noise, blotches, textures, blocks, black or colour instead. The truth about a checkpoint is the mean score of many
pictures with its damage; whether one has exploded is for the judge to see.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import choice_runs
import numpy as np
from choice_runs import KINDS, MOST_PICTURES, Floats, SimulatedRun
from numpy.random import Generator

from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation import bands as ranges
from kanjiprep.evaluation import features, score
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Candidate
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.proof import corruptions

DAMAGES: Final = ("warp", "jitter", "missing", "scribble", "extra", "blur")
EXPLOSIONS: Final = ("noise", "blotch", "texture", "grid", "pixelation", "black", "colour", "inverted")
LEAST_EXPLOSION: Final = 0.4
_NOWHERE: Final = Path("nowhere")
GRID: Final = tuple(number / 10 for number in range(11))
"""Severities at which the truth is measured; it is interpolated between them."""


def painted(seed: int, glyphs: Sequence[GlyphStrokes], bands: Bands, truth: Mapping[str, Floats]) -> SimulatedRun:
    """A run; ``glyphs`` are what its prompts paint.

    Args:
        seed: Of everything; its remainder by four is the shape.
        glyphs: Characters to choose from.
        bands: Of the training pictures.
        truth: From ``truths``.
    """
    random = np.random.default_rng(seed)
    kind, count = KINDS[seed % len(KINDS)], int(random.integers(10, 41))
    damage = str(random.choice(DAMAGES))
    steps = tuple(int(step) for step in 400 * np.arange(1, count + 1))
    wanted = choice_runs.shape(random, kind, np.array(steps) / steps[-1])
    severity = np.clip((wanted.max() - wanted) / 50 + random.uniform(0, 0.15), 0, 1)
    exploded = choice_runs.phases(random, count, 2)
    blasts = random.choice(EXPLOSIONS, count)
    mine = [glyphs[index] for index in random.permutation(len(glyphs))[: MOST_PICTURES + 4]]
    values = np.array(
        [
            _row(mine, str(blast) if is_bad else damage, _force(random, is_bad, one), random)
            for one, is_bad, blast in zip(severity, exploded, blasts, strict=True)
        ]
    )
    quality = np.where(exploded, 0.0, np.interp(severity, GRID, truth[damage]))
    loss = random.normal(0.02, 0.004, count) + 0.002 * severity * random.random() + 0.05 * exploded
    return SimulatedRun(
        kind=f"{kind}, {damage}",
        steps=steps,
        true_quality=dict(zip(steps, quality.tolist(), strict=True)),
        exploded=frozenset(step for step, is_bad in zip(steps, exploded, strict=True) if is_bad),
        loss=dict(zip(steps, loss.tolist(), strict=True)),
        candidates_for=functools.partial(_candidates, steps, values, bands),
        effect=_unknown,
    )


def _unknown(_pictures: int) -> float:
    """What so many pictures add to quality is not known: whether intervals cover it cannot be told."""
    return math.nan


def _force(random: Generator, is_bad: bool, severity: float) -> float:
    return float(random.uniform(LEAST_EXPLOSION, 1)) if is_bad else float(severity)


def _row(glyphs: Sequence[GlyphStrokes], kind: str, severity: float, random: Generator) -> Values:
    """The statistics of a checkpoint's pictures: (``MOST_PICTURES``, statistics)."""
    return np.array([_measured(glyphs, index, kind, severity, random) for index in range(MOST_PICTURES)])


def _measured(glyphs: Sequence[GlyphStrokes], index: int, kind: str, severity: float, random: Generator) -> Values:
    own = np.random.default_rng(random.integers(2**32))
    if severity <= 0:
        return features.measure(corruptions.draw_sound(glyphs[index], own))
    return features.measure(corruptions.draw(kind, severity, glyphs[index], glyphs, own))


def _candidates(steps: Sequence[int], values: Values, bands: Bands, pictures: int) -> tuple[Candidate, ...]:
    """The checkpoints as ``score`` sees them with so many pictures each."""
    cells = [Cell(step, str(index), 0, _NOWHERE) for step in steps for index in range(pictures)]
    judged = score.judge(cells, values[:, :pictures].reshape(len(cells), -1), bands)
    of = {step: [one for one in judged if one.cell.step == step] for step in steps}
    return tuple(
        Candidate(step, {one.cell.key: one.score for one in found}, score.flags(found)) for step, found in of.items()
    )


def truths(glyphs: Sequence[GlyphStrokes], bands: Bands, pictures: int = 120) -> dict[str, Floats]:
    """Mean score of many pictures with each damage at each severity of ``GRID``."""
    return {
        damage: np.array([_mean(glyphs, bands, damage, severity, pictures) for severity in GRID])
        for damage in DAMAGES
    }


def _mean(glyphs: Sequence[GlyphStrokes], bands: Bands, damage: str, severity: float, pictures: int) -> float:
    random = np.random.default_rng(7)
    values = np.array(
        [_measured(_turned(glyphs, index), 0, damage, severity, random) for index in range(pictures)],
    )
    style, shape = ranges.style(values, bands), ranges.distance(values, bands)
    return float(np.mean([score.points(*pair) for pair in zip(style, shape, strict=True)]))


def _turned(glyphs: Sequence[GlyphStrokes], index: int) -> list[GlyphStrokes]:
    place = index % len(glyphs)
    return [*glyphs[place:], *glyphs[:place]][:8]
