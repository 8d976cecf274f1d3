"""A judge trained on the characters of a dataset: minutes on one processor, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import kanjivg
from kanjiprep.dataset.kanjivg import GlyphStrokes, KanjiVG
from kanjiprep.errors import DatasetError
from kanjiprep.evaluation import measures
from kanjiprep.evaluation.judge import glyphs, learn, net, parts, store, variety
from kanjiprep.evaluation.judge.learn import Lesson, Recipe
from kanjiprep.evaluation.judge.store import Figures, Judge
from kanjiprep.progress import Progress

Numbers = NDArray[np.float32]
Indices = NDArray[np.intp]

_PARTS: Final = 16
"""Characters fall into so many parts by their digest: two are held out, the others are learnt."""
_MEASURED: Final = 0
"""The part that the figures are of."""
_CALIBRATED: Final = 1
"""The part that novelty is calibrated on."""
_PLAIN: Final = 1
"""Which of ``glyphs.STROKE_WIDTHS`` the bank is of: the one nearest to the published drawings."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A judge that was trained just now.

    Attributes:
        path: Its file.
        judge: The judge.
        seconds: How long it took.
        cpu_s: Processor seconds that it took.
    """

    path: Path
    judge: Judge
    seconds: float
    cpu_s: float


def train(
    dataset: Path, source: KanjiVG, out: Path, seed: int, progress: Progress, recipe: Recipe | None = None
) -> Trained:
    """Train the judge of a dataset and write it.

    Args:
        dataset: Its folder, with characters that KanjiVG draws.
        source: KanjiVG.
        out: The folder of judges.
        seed: Decides every number that is drawn.
        progress: Hears of two stages, drawing and training.
        recipe: How; None for the usual way.

    Raises:
        UsageError: If torch is not installed.
        DatasetError: If the dataset cannot be read, or has too few characters that KanjiVG draws.
        InputError: If KanjiVG is broken.
        TrainerError: If the judge cannot be written.
    """
    torch, recipe = net.load_torch(), recipe or Recipe()
    began, cpu_began = time.monotonic(), time.process_time()
    key, known = store.key_of(dataset), store.characters_of(dataset)
    drawn = _drawn_of("".join(one.character for one in known), kanjivg.parse(source))
    trees = [parts.of_tree(glyph.tree) for glyph in drawn]
    components = parts.known(trees, recipe.least)
    _refuse_too_few(len(drawn), len(components), dataset, recipe)
    lesson = _lesson_of(drawn, components, progress)
    with net.repeatable(seed):
        network = net.build(len(components))
        learn.teach(network, lesson, recipe, seed, progress)
        bank = net.see(network, lesson.inks[_PLAIN]).features.astype(np.float16).astype(np.float32)
        slope, middle, figures = _measured(network, bank, lesson, seed)
    judge = Judge(
        dataset=key,
        kanjivg=source.sha256,
        seed=seed,
        torch=str(torch.__version__),
        components=components,
        characters="".join(glyph.literal for glyph in drawn),
        phrases=parts.meanings(known, components),
        slope=slope,
        middle=middle,
        figures=figures,
        weights=net.weights(network),
        bank=bank,
    )
    path = store.write(judge, out)
    return Trained(path, judge, time.monotonic() - began, time.process_time() - cpu_began)


def _drawn_of(literals: str, drawings: Mapping[int, GlyphStrokes]) -> tuple[GlyphStrokes, ...]:
    """The drawings of those characters that have one, each once, by code point."""
    return tuple(drawings[code] for code in sorted({ord(one) for one in literals}) if code in drawings)


def part_of(literal: str) -> int:
    """Which of 16 parts a character falls into: 0 is measured, 1 calibrates, the others are learnt."""
    return hashlib.sha256(literal.encode()).digest()[0] % _PARTS


def _lesson_of(drawn: Sequence[GlyphStrokes], components: Sequence[str], progress: Progress) -> Lesson:
    """What is to be learnt of characters, and which of them.

    Args:
        drawn: The characters.
        components: Those to be told apart.
        progress: Hears how many are drawn.

    Raises:
        InputError: If a glyph has broken path data.
    """
    trees = [parts.of_tree(glyph.tree) for glyph in drawn]
    fallen = np.array([part_of(glyph.literal) for glyph in drawn])
    return Lesson(
        inks=glyphs.of_glyphs(drawn, glyphs.STROKE_WIDTHS, progress),
        truth=np.array([[name in tree for name in components] for tree in trees]),
        strokes=np.array([len(glyph.strokes) for glyph in drawn], np.float32),
        learnt=np.flatnonzero(fallen > _CALIBRATED),
        calibrated=np.flatnonzero(fallen == _CALIBRATED),
        measured=np.flatnonzero(fallen == _MEASURED),
    )


def _refuse_too_few(characters: int, components: int, dataset: Path, recipe: Recipe) -> None:
    if characters < recipe.characters:
        raise DatasetError(
            f"has {characters} characters that KanjiVG draws, and a judge needs {recipe.characters}",
            str(dataset),
            "judge without it, or build a larger dataset",
        )
    if not components:
        raise DatasetError(
            f"no component is in {recipe.least} of its characters",
            str(dataset),
            "judge without it, or build a larger dataset",
        )


def _measured(network: net.Net, bank: Numbers, lesson: Lesson, seed: int) -> tuple[float, float, Figures]:
    """Slope and middle of novelty from the characters to calibrate on, and the figures of those to measure."""
    apart = np.concatenate([lesson.calibrated, lesson.measured])
    copies, unknown, _ = _similarities(network, bank, lesson.inks, lesson.calibrated, apart, seed)
    labels = np.repeat([False, True], [len(copies), len(unknown)])
    slope, middle = measures.logistic(np.concatenate([copies, unknown]), labels)
    copies, unknown, top_1 = _similarities(network, bank, lesson.inks, lesson.measured, apart, seed + 1)
    seen, truth = net.see(network, lesson.inks[_PLAIN, lesson.measured]), lesson.truth[lesson.measured]
    figures = Figures(
        learnt=len(lesson.learnt),
        measured=len(lesson.measured),
        average_precision=measures.average_precision(seen.components, truth),
        recall=measures.recall(seen.components, truth),
        precision=measures.precision(seen.components, truth),
        stroke_error=float(np.abs(seen.strokes - lesson.strokes[lesson.measured]).mean()),
        novelty_auc=measures.auc(-copies, -unknown),
        top_1=top_1,
    )
    return slope, middle, figures


def _similarities(
    network: net.Net, bank: Numbers, inks: NDArray[np.uint8], asked: Indices, apart: Indices, seed: int
) -> tuple[Numbers, Numbers, float]:
    """How alike changed pictures of characters and their nearest ones are.

    Args:
        network: It was not taught the characters that are asked.
        bank: Features of all characters.
        inks: Of all characters.
        asked: Which are changed, and looked up.
        apart: Which are taken out of the bank, so that those asked are unknown.
        seed: Decides the changes.

    Returns:
        The similarities with the whole bank, where the pictures are copies; those without ``apart``, where they are
        unknown; and the share of the copies whose original is the nearest.
    """
    alike = net.see(network, variety.changed(inks, asked, seed)).features @ bank.T
    copies, top_1 = alike.max(1), float((alike.argmax(1) == asked).mean())
    alike[:, apart] = -1
    return copies, alike.max(1), top_1
