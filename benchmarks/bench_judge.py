"""How well the score tells damaged pictures of characters from sound ones, kind by kind; and how fast it looks.

The characters of a dataset fall into two halves by their checksum (``proof.material``). The weights of the score
and its threshold ``score.EXPLODED`` were chosen on the first half, and the bands are made of it. What is printed is
of the other half, by the same code as ``kanjiprep score --selfcheck``: sound pictures are the dataset's own with
natural variation, damaged ones are drawn in its style from KanjiVG's strokes and have the same variation, and
inventions are made of halves of these characters. All seeds are fixed.

AUC is the chance that a damaged picture has a worse score than a sound one, half for a tie. The rival is
the plain mean of how far each statistic of the style, and each of the shape, is outside of its band, added, without
regard to how statistics go together.

--speed measures pictures a second from RGB PNG files of 1024 px, each written for it from a picture of the dataset,
on the processors that ``kanjiprep score`` uses. One rival only decodes them, by Pillow, which no judge can beat. The
other does what is usual with scikit-image in as many threads, at full size: Otsu's threshold, labels, skeleton,
distances, and a region's properties; it gives fewer statistics.

The last line is one JSON document. A ratio of more than 1 says that ours is better: of the mean of 1 - AUC over kinds
that damage what a picture shows, at the three severities, and of the seconds a picture takes.

Usage: python benchmarks/bench_judge.py [--dataset dataset] [--pictures 60] [--speed]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import kanjivg, sources, workers
from kanjiprep.evaluation import bands, features, measures, score, training_pictures
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.proof import material, painted, selfcheck
from kanjiprep.evaluation.proof.corruptions import SEVERITIES
from kanjiprep.evaluation.proof.painted import INVENTED, REDRAWN, SOUND, Measured
from kanjiprep.evaluation.proof.selfcheck import Figures, KindFigures
from kanjiprep.progress import silent

SIDE_PX = 1024
FILES = 240
"""Pictures that speed is measured with; the slow rival gets a sixth of them."""
DEMANDED_PER_S = 60
ROUNDS = 3


def plain(values: Values, found: Bands) -> NDArray[np.float64]:
    """The rival's score, high for bad."""
    far = np.abs(bands.outside(values, found))
    return np.asarray(far[:, features.STYLE].mean(1) + far[:, ~features.STYLE].mean(1))


def plain_auc(measured: Measured, kind: str, severity: float) -> float:
    """Chance that a picture of a group is worse than a sound one by the rival's score."""
    sound, bad = (plain(measured.groups[name], measured.bands) for name in ((SOUND, 0.0), (kind, severity)))
    return measures.auc(sound, bad)


def table(measured: Measured, check: selfcheck.SelfCheck) -> None:
    """Print all figures as Markdown."""
    print(f"Sound: {check.sound} pictures; bands: {check.bands_of} pictures of other characters.\n")
    print("| kind | severity | pictures | score | style | shape | rival | flagged | demanded |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --- |")
    for kind in check.kinds:
        for one in kind.figures:
            row(measured, kind.name, one, demanded(kind, one))
    low, high = selfcheck.LIKE_SOUND_AUC
    row(measured, INVENTED, check.invented, f"{low} to {high}")
    row(measured, REDRAWN, check.redrawn, f"{low} to {high}")
    print(f"\nFalse alarms: {check.false_alarms:.2%} of sound pictures (demanded: {selfcheck.FALSE_ALARMS:.0%}).")
    print(f"Worse than documented: {'; '.join(check.worse) or 'nothing'}.\n")


def demanded(kind: KindFigures, one: Figures) -> str:
    """What is demanded of a row's score, in words."""
    return f"{kind.floor} or more" if kind.floor is not None and kind.floor_at == one.severity else ""


def row(measured: Measured, name: str, one: Figures, wanted: str) -> None:
    """Print a line of the table."""
    rival = plain_auc(measured, name, one.severity)
    aucs = " | ".join(f"{auc:.3f}" for auc in (one.score, one.style, one.shape, rival))
    print(f"| {name} | {one.severity or ''} | {one.pictures} | {aucs} | {one.flagged:.0%} | {wanted} |")


def errors(measured: Measured, check: selfcheck.SelfCheck, name: str) -> tuple[float, float]:
    """Mean of 1 - AUC over kinds of a sort and the severities: ours, and the rival's.

    Args:
        measured: What all pictures measure.
        check: Our figures.
        name: ``content`` or ``further``: kinds with a floor, or those without, that damage what a picture shows.
    """
    kinds = [one for one in check.kinds if not one.exploded and (one.floor is not None) == (name == "content")]
    ours = statistics.fmean(1 - one.score for kind in kinds for one in kind.figures)
    rival = statistics.fmean(1 - plain_auc(measured, kind.name, at) for kind in kinds for at in SEVERITIES)
    return ours, rival


def quality(dataset: Path, pictures: int) -> dict[str, Any]:
    """Measure and print how right the score is."""
    found = sources.find(sources.KANJIVG, None, os.environ, sources.cache_folder(), silent)
    made_of = material.read(dataset, kanjivg.parse(sources.read_kanjivg(found)))
    measured = painted.measure(made_of, pictures, silent)
    check = selfcheck.of(measured)
    table(measured, check)
    document: dict[str, Any] = {"rival": "plain mean outside of the bands, style and shape added"}
    for name in ("content", "further"):
        ours, rival = errors(measured, check, name)
        figures = {"error": ours, "rival_error": rival, "ratio": rival / ours}
        document |= {f"{name}_{what}": round(figure, 4) for what, figure in figures.items()}
    return document | {
        "auc": {kind.name: [round(one.score, 4) for one in kind.figures] for kind in check.kinds},
        "invented": round(check.invented.score, 4),
        "redrawn": round(check.redrawn.score, 4),
        "false_alarms": check.false_alarms,
        "worse": check.worse,
    }


def written(dataset: Path, into: Path) -> list[Cell]:
    """RGB PNG files of 1024 px of pictures spread over the dataset."""
    names = training_pictures.of_dataset(dataset).names
    cells = []
    for number in range(FILES):
        path = into / f"{number}.png"
        with Image.open(dataset / names[number * len(names) // FILES]) as picture:
            picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS).save(path, compress_level=6)
        cells.append(Cell(0, "", number, path))
    return cells


def decoded(cells: Sequence[Cell]) -> int:
    """The fast rival: pixels, and nothing done with them."""
    total = 0
    for cell in cells:
        with Image.open(cell.path) as picture:
            total += len(picture.convert("RGB").tobytes())
    return total


def usual(cells: Sequence[Cell]) -> list[tuple[float, ...]]:
    """The slow rival: scikit-image at full size."""
    from scipy import ndimage
    from skimage import color, filters, measure
    from skimage.io import imread
    from skimage.morphology import skeletonize

    found: list[tuple[float, ...]] = []
    for cell in cells:
        rgb = imread(cell.path)
        grey = color.rgb2gray(rgb)
        mask = grey < filters.threshold_otsu(grey)
        bones = skeletonize(mask)
        widths = 2 * ndimage.distance_transform_edt(mask)[bones]
        labels = measure.label(mask)
        areas = [one.area for one in measure.regionprops(labels)]
        mid = (grey > 0.15) & (grey < 0.85)  # noqa: PLR2004
        found.append((mask.mean(), len(areas), bones.sum(), np.median(widths), mid.mean(), rgb.std(), grey.std()))
    return found


def spread_over_threads(work: Callable[[Sequence[Cell]], object], cells: Sequence[Cell]) -> None:
    """``work`` on all cells, on as many threads as there are processors."""
    for _ in workers.in_threads(work, cells, workers.available(), 8):
        pass


def speed(dataset: Path) -> dict[str, Any]:
    """Measure and print how fast pictures are measured: the median of three rounds, in turn with the rivals."""
    ways: dict[str, tuple[Callable[[Sequence[Cell]], object], int]] = {
        "kanjiprep, style and shape": (partial(score.measure, progress=silent), FILES),
        "Pillow, decoding alone": (partial(spread_over_threads, decoded), FILES),
        "scikit-image at full size": (partial(spread_over_threads, usual), FILES // 6),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        cells = written(dataset, Path(folder))
        for work, _ in ways.values():
            work(cells[:16])
        for _ in range(ROUNDS):
            for name, (work, count) in ways.items():
                began = time.perf_counter()
                work(cells[:count])
                rates[name].append(count / (time.perf_counter() - began))
    medians = {name: round(statistics.median(found), 1) for name, found in rates.items()}
    load = os.getloadavg()[0]
    print(f"| way, {workers.available()} processors, load {load:.1f} | pictures a second |\n| --- | --: |")
    for name, rate in medians.items():
        print(f"| {name} | {rate} |")
    ours, _, rival = medians.values()
    print(f"\nDemanded: {DEMANDED_PER_S} a second on 2 processors.\n")
    return {
        "pictures_per_s": medians,
        "speed_rival": "scikit-image at full size",
        "speed_ratio": round(ours / rival, 2),
    }


def main() -> int:
    """Print the tables and their JSON; 1 if the score is worse than documented, or looking slower than demanded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", type=Path, default=Path("dataset"), help="a dataset that kanjiprep build made")
    parser.add_argument("--pictures", type=int, default=60, help="of each kind at each severity")
    parser.add_argument("--speed", action="store_true", help="measure speed instead")
    options = parser.parse_args()
    document = speed(options.dataset) if options.speed else quality(options.dataset, options.pictures)
    print(json.dumps(document))
    rate = document.get("pictures_per_s", {}).get("kanjiprep, style and shape", DEMANDED_PER_S)
    return int(bool(document.get("worse")) or rate < DEMANDED_PER_S)


if __name__ == "__main__":
    sys.exit(main())
