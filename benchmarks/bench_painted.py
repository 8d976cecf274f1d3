"""Choose a checkpoint of simulated runs whose pictures are really drawn, damaged, measured and judged.

The rules, rivals and tables are those of ``bench_choice``; what differs is that scores and flags come from pictures.
Nothing was tuned on these runs.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import painted_runs
from bench_choice import OURS, PICTURES, document, report, tried
from choice_runs import Floats, SimulatedRun

from kanjiprep.dataset import kanjivg, sources, workers
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation import reference, training_pictures
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.proof import inventions
from kanjiprep.progress import silent

FIRST_SEED: Final = 1000
CHARACTERS: Final = 200


def main() -> None:
    """Print the tables; the last line is one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", type=Path, default=Path("dataset"), help="whose pictures say what is sound")
    parser.add_argument("--runs", type=int, default=80)
    options = parser.parse_args()
    bands = reference.measure(training_pictures.of_dataset(options.dataset), silent)
    found = sources.find(sources.KANJIVG, None, os.environ, sources.cache_folder(), silent)
    glyphs = kanjivg.parse(sources.read_kanjivg(found))
    invented = inventions.invent(glyphs, CHARACTERS, 5)
    truth = painted_runs.truths(invented, bands)
    work = functools.partial(_painted, invented, bands, truth)
    seeds = range(FIRST_SEED, FIRST_SEED + options.runs)
    runs = [run for part in workers.in_processes(work, seeds, workers.available(), 4) for run in part]
    results = {pictures: tried(runs, pictures) for pictures in PICTURES}
    print(f"{len(runs)} painted runs of 10 to 40 checkpoints, two explosions each\n")
    report(results)
    print(f"\n{'pictures':9}exploded, not seen  sound, dropped by their pictures")
    for pictures in PICTURES:
        print(f"{pictures:<9}{_missed(runs, pictures):18.1%}{_dropped(runs, pictures):31.1%}")
    print(json.dumps({**document(results, {}), "exploded_chosen": results[4][OURS].exploded}))


def _painted(
    glyphs: Sequence[GlyphStrokes], bands: Bands, truth: dict[str, Floats], seeds: Sequence[int]
) -> list[SimulatedRun]:
    return [painted_runs.painted(seed, glyphs, bands, truth) for seed in seeds]


def _missed(runs: Sequence[SimulatedRun], pictures: int) -> float:
    """Share of the exploded checkpoints that no picture gives away."""
    found = [not one.flags for run in runs for one in run.candidates_for(pictures) if one.step in run.exploded]
    return sum(found) / len(found)


def _dropped(runs: Sequence[SimulatedRun], pictures: int) -> float:
    """Share of the others that are dropped nevertheless."""
    found = [bool(one.flags) for run in runs for one in run.candidates_for(pictures) if one.step not in run.exploded]
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
