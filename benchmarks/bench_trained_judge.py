"""What the trained judge sees, on characters that it has not learnt and on invented ones, against pixels.

The judge is trained with seed 0 on 14 of 16 parts of the dataset's characters, unless --judges holds it already; one
part calibrates novelty. What is printed is of the last part, of inventions made of it (by ``proof.inventions``), and
of copies of learnt characters; held-out characters are taken out of the bank. Every picture is varied as a generator
might paint it (by ``variants``), or bent as those to learn from (by ``judge.variety``). The rival is the
nearest learnt character by the cosine of its pixels, framed and reduced as for the network: a picture has that one's
components and strokes. The last line is one JSON document.

Usage: python benchmarks/bench_trained_judge.py [--dataset dataset] [--judges DIR] [--count 200] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import drawing, kanjivg, sources
from kanjiprep.dataset.kanjivg import GlyphStrokes, KanjiVG
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.evaluation import measures, variants
from kanjiprep.evaluation.judge import glyphs, net, parts, see, store, train, variety
from kanjiprep.evaluation.judge.store import Judge
from kanjiprep.evaluation.proof import corruptions, inventions
from kanjiprep.progress import silent

Numbers = NDArray[np.float32]
Bools = NDArray[np.bool_]
Picture = NDArray[np.uint8]

SIZE_PX = 256
NEW = ("held_out", "invented")
"""Sets of characters that are not learnt."""


@dataclass(frozen=True)
class Answers:
    """What a judge says of pictures: probabilities, strokes, and the similarity of the nearest learnt character."""

    components: Numbers
    strokes: Numbers
    nearest: Numbers


def pictures_of(drawings: Sequence[GlyphStrokes], seed: int) -> list[Picture]:
    """Each drawing as a generator might paint it."""
    style = Style(SIZE_PX)
    canvas, rng = Canvas(style), np.random.default_rng(seed)
    return [variants.vary(drawing.pixels_of(drawing.drawing_of(one), canvas, style), rng) for one in drawings]


def inks_of(drawings: Sequence[GlyphStrokes], seed: int) -> NDArray[np.uint8]:
    """What the network looks at of these pictures."""
    return np.array([glyphs.of_picture(one) for one in pictures_of(drawings, seed)])


def bent_of(drawings: Sequence[GlyphStrokes], seed: int) -> NDArray[np.uint8]:
    """The same of drawings that are changed as in training: thin or thick, slanted, warped and blurred."""
    inks = glyphs.of_glyphs(drawings, glyphs.STROKE_WIDTHS, silent)
    return variety.changed(inks, np.arange(len(drawings)), seed)


def truth_of(drawings: Sequence[GlyphStrokes], components: Sequence[str]) -> Bools:
    """Which of the components each drawing has."""
    trees = [parts.of_tree(one.tree) for one in drawings]
    return np.array([[name in tree for name in components] for tree in trees])


def by_network(judge: Judge, learnt: Bools, inks: NDArray[np.uint8]) -> Answers:
    """The judge's answers, with all that is not learnt out of its bank."""
    seen = net.see(net.filled(judge.weights), inks)
    return Answers(seen.components, seen.strokes, (seen.features @ judge.bank[learnt].T).max(1))


def by_pixels(drawings: Sequence[GlyphStrokes], judge: Judge, learnt: Bools, inks: NDArray[np.uint8]) -> Answers:
    """The rival's answers: what is true of the learnt character with the most similar pixels."""
    known = [one for one, is_learnt in zip(drawings, learnt, strict=True) if is_learnt]
    bank = _unit(glyphs.of_glyphs(known, (kanjivg.STROKE_WIDTH,), silent)[0])
    alike = _unit(inks) @ bank.T
    best = alike.argmax(1)
    strokes = np.array([len(known[index].strokes) for index in best], np.float32)
    return Answers(truth_of(known, judge.components)[best].astype(np.float32), strokes, alike.max(1))


def _unit(inks: NDArray[np.uint8]) -> Numbers:
    flat = inks.reshape(len(inks), -1).astype(np.float32)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9), np.float32)


def figures(answers: Answers, drawings: Sequence[GlyphStrokes], judge: Judge) -> dict[str, float]:
    """How right the answers are."""
    truth = truth_of(drawings, judge.components)
    strokes = np.array([len(one.strokes) for one in drawings])
    return {
        "average_precision": measures.average_precision(answers.components, truth),
        "recall": measures.recall(answers.components, truth),
        "precision": measures.precision(answers.components, truth),
        "stroke_error": float(np.abs(answers.strokes - strokes).mean()),
    }


def asked_for(judge: Judge, invented: Sequence[GlyphStrokes], seed: int) -> tuple[float, float]:
    """Recall of the halves through prompts: on their own pictures, and on those of the next one that has neither.

    Every component has a word of its own here, so that all count, not only those with a meaning.
    """
    words = {f"c{index}": name for index, name in enumerate(judge.components)}
    word_of = {name: word for word, name in words.items()}
    asking = replace(judge, phrases=words)
    painted = pictures_of(invented, seed)
    halves = [[child.element for child in one.tree.children] for one in invented]
    prompts = [" ".join(word_of.get(half, "") for half in both) for both in halves]
    own = see.component_recall(see.see(zip(painted, prompts, strict=True), asking))
    trees = [parts.of_tree(one.tree) for one in invented]
    others = [
        (painted[(index + 1) % len(painted)], prompt)
        for index, prompt in enumerate(prompts)
        if trees[(index + 1) % len(trees)].isdisjoint(halves[index])
    ]
    return own or 0.0, see.component_recall(see.see(others, asking)) or 0.0


def damaged(judge: Judge, drawings: Sequence[GlyphStrokes]) -> tuple[int, int]:
    """How many odd pictures there are: flat, noise, damaged of every kind; and how many are seen without a fault."""
    rng = np.random.default_rng(0)
    odd = [np.full((SIZE_PX, SIZE_PX, 3), level, np.uint8) for level in (0, 128, 255)]
    odd += [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((SIZE_PX, SIZE_PX), (1, 1), (3, 700), (90, 2))]
    odd += [corruptions.draw(kind, 1.0, one, drawings, rng) for kind in corruptions.KINDS for one in drawings[:3]]
    seen = see.see([(one, "mountain") for one in odd], judge)
    sound = [np.isfinite([one.novelty, *(value for _, value in one.nearest)]).all() for one in seen]
    return len(odd), int(np.sum(sound))


def judged(dataset: Path, source: KanjiVG, folder: Path) -> tuple[Judge, dict[str, float]]:
    """The judge, trained where there is none, and what that took."""
    there = store.load(folder, store.key_of(dataset))
    if there is not None:
        return there, {}
    made = train.train(dataset, source, folder, 0, silent)
    return made.judge, {"train_s": made.seconds, "train_cpu_s": made.cpu_s, "file_bytes": made.path.stat().st_size}


def measure(judge: Judge, glyph_of: Mapping[int, GlyphStrokes], count: int, seed: int) -> dict[str, object]:
    """Every figure, of the judge and of its rival."""
    drawings = [glyph_of[ord(one)] for one in judge.characters]
    part = np.array([train.part_of(one) for one in judge.characters])
    learnt = part > 1
    rng = np.random.default_rng(seed)
    held_out = [one for one, number in zip(drawings, part, strict=True) if number == 0]
    copied = [drawings[index] for index in rng.choice(np.flatnonzero(learnt), count, replace=False)]
    invented = inventions.invent(glyph_of, count, seed, [one.codepoint for one in held_out])
    sets = {"held_out": held_out, "invented": invented, "copies": copied}
    painted = {name: inks_of(some, seed) for name, some in sets.items()}
    bends = {name: bent_of(some, seed) for name, some in sets.items()}
    found: dict[str, object] = {"counts": {name: len(some) for name, some in sets.items()}}
    for who, ask in (("judge", by_network), ("pixels", lambda *all_of: by_pixels(drawings, *all_of))):
        answers = {name: ask(judge, learnt, inks) for name, inks in painted.items()}
        bent = {name: ask(judge, learnt, inks) for name, inks in bends.items()}
        rows = {name: figures(answers[name], sets[name], judge) for name in NEW}
        bent_rows = {f"bent {name}": figures(bent[name], sets[name], judge) for name in NEW}
        apart = {name: measures.auc(-answers["copies"].nearest, -answers[name].nearest) for name in NEW}
        bent_apart = {f"bent {name}": measures.auc(-bent["copies"].nearest, -bent[name].nearest) for name in NEW}
        found[who] = {**rows, **bent_rows, "novelty_auc": {**apart, **bent_apart}}
    own, others = asked_for(judge, invented, seed)
    odd, sound = damaged(judge, held_out[:20])
    return {
        **found,
        "asked_recall": own,
        "asked_of_others": others,
        "pictures_a_second": speed(judge, pictures_of(copied, seed)),
        "odd_pictures": odd,
        "odd_pictures_seen": sound,
    }


def speed(judge: Judge, pictures: Sequence[Picture]) -> float:
    """Pictures a second that are seen."""
    began = time.monotonic()
    see.see([(one, "mountain") for one in pictures], judge)
    return len(pictures) / (time.monotonic() - began)


def table(found: Mapping[str, object]) -> str:
    """The figures of both, line by line."""
    lines = [f"{'':32}{'judge':>10}{'pixels':>10}"]
    both = [flat(found[who]) for who in ("judge", "pixels")]
    lines += [f"{name:32}{both[0][name]:10.3f}{both[1][name]:10.3f}" for name in both[0]]
    return "\n".join(lines)


def flat(figure: object, name: str = "") -> dict[str, float]:
    """Nested figures, each under the names on the way to it."""
    if not isinstance(figure, Mapping):
        return {name: float(str(figure))}
    return {key: value for part, one in figure.items() for key, value in flat(one, f"{name} {part}".strip()).items()}


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("dataset"))
    parser.add_argument("--judges", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = sources.read_kanjivg(sources.find(sources.KANJIVG, None, os.environ, sources.cache_folder(), silent))
    with tempfile.TemporaryDirectory() as scratch:
        judge, cost = judged(options.dataset, source, options.judges or Path(scratch))
        found = measure(judge, kanjivg.parse(source), options.count, options.seed)
    print(f"{len(judge.components)} components, {judge.figures}")
    print(table(found))
    both = [flat(found[who]) for who in ("judge", "pixels")]
    ratios = {f"{name} over pixels": both[0][name] / both[1][name] for name in both[0]}
    print(json.dumps({**cost, **found, "rival": "nearest learnt character by pixels", "ratios": ratios}))


if __name__ == "__main__":
    main()
