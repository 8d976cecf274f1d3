"""``score --train-judge``: the judge of components and novelty, trained on a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from kanjiprep.dataset import sources
from kanjiprep.evaluation import judging
from kanjiprep.evaluation.judge import train as training
from kanjiprep.evaluation.judge.train import Trained
from kanjiprep.evaluation.judging import Ways
from kanjiprep.progress import Progress

SEED: Final = 42


def train(ways: Ways, environ: Mapping[str, str], progress: Progress) -> Trained:
    """The judge of the dataset that ``ways`` names, trained and kept.

    Raises:
        UsageError: If torch is not installed.
        DatasetError: If the dataset cannot be read, or has too few characters that KanjiVG draws.
        InputError: If KanjiVG cannot be found or read.
        TrainerError: If the judge cannot be written.
    """
    folder = judging.dataset_of(ways)
    found = sources.find(sources.KANJIVG, None, environ, sources.cache_folder(), progress)
    drawings = sources.read_kanjivg(found)
    return training.train(folder, drawings, ways.judges, SEED, progress)


def document(trained: Trained) -> dict[str, Any]:
    """``trained`` as a table for machines."""
    judge = trained.judge
    told = {"components": len(judge.components), "characters": len(judge.characters), "seed": judge.seed}
    return {
        "path": str(trained.path),
        "dataset": judge.dataset,
        "seconds": trained.seconds,
        "cpu_s": trained.cpu_s,
        **told,
        "figures": asdict(judge.figures),
    }


def lines(trained: Trained) -> Iterator[str]:
    """How good it is on characters that it has not learnt, a line each."""
    judge, figures = trained.judge, trained.judge.figures
    yield f"learnt     {figures.learnt:,} characters, {len(judge.components)} components, in {trained.seconds:.0f} s"
    yield f"measured   on {figures.measured:,} characters that it has not learnt"
    yield f"components recall {figures.recall:.2f}, precision {figures.precision:.2f}"
    yield f"precision  {figures.average_precision:.2f} on average over components"
    yield f"strokes    {figures.stroke_error:.1f} off on average"
    yield f"novelty    AUC {figures.novelty_auc:.3f} of unknown characters against copies of known ones"
    yield f"copies     {figures.top_1:.1%} of them have their original as the nearest character"
    yield f"kept       {trained.path}"
