"""Made-up judged runs: healthy, exploded, crashed, tiny, and with nothing to choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag, Ranked, Verdict
from kanjiprep.evaluation.judged import (
    Cost,
    Curves,
    DatasetShort,
    Fact,
    JudgedRun,
    JudgedStep,
    Parts,
    PictureScore,
    WeightPoint,
)
from kanjiprep.training.running.phases import Phase

EVERY: Final = 400
PROMPTS: Final = {
    "mountains": "a Japanese kanji character meaning mountains in plain font",
    "language-model": "a Japanese kanji character meaning language model in plain font",
    "川の漢字": "川と火を意味する漢字、明朝体",
    "train": "a Japanese kanji character meaning train & station <express>",
    "elon-musk": "a Japanese kanji character meaning Elon Musk in plain font",
    "youtube": "a Japanese kanji character meaning YouTube in plain font",
    "love": "a Japanese kanji character meaning love in plain font",
    "deep-learning": "a Japanese kanji character meaning deep learning in plain font",
}
PHASES: Final = (
    Phase(3_100, 3_900, "the gradient is up to 31.4 times its usual level from step 3,100 to 3,900"),
    Phase(15_300, 16_900, "the gradient is up to 12.0 times its usual level from step 15,300 to 16,900"),
)
SETTINGS: Final = {
    "model.family": "sd3",
    "model.flavour": "large",
    "lora.rank": "768",
    "optimizer.learning_rate": "0.00105",
    "optimizer.clip": "norm",
    "schedule.shape": "cosine",
    "schedule.warmup_steps": "2400",
    "training.batch": "6",
    "dataset.path": "/home/alice/my kanji/dataset",
}
FACTS: Final = (
    Fact("hours", "measured by the supervisor, from the times of its attempts"),
    Fact("dollars", "estimated, hours times the price of Lambda's list of November 2026"),
    Fact("score", "computed by kanjiprep from the statistics of each picture"),
    Fact("curves", "measured by the trainer, read from /home/alice/my kanji/runs/x/output/training_metrics.jsonl"),
)


def healthy(folder: Path, checkpoints: int = 60, prompts: int = 8, seeds: int = 1, **changes: Any) -> JudgedRun:
    """A run with two explosions, and a best checkpoint between them."""
    names = list(PROMPTS)[:prompts]
    steps = [EVERY * (number + 1) for number in range(checkpoints)]
    files = paint(folder, len(names))
    shown = [picture(files, folder, step, name, seed) for step in steps for name in names for seed in range(seeds)]
    base = [picture(files, folder, 0, name, 0, is_base=True) for name in names]
    judged = tuple(judged_step(step, [one for one in shown if one.cell.step == step]) for step in steps)
    verdict = chosen(judged)
    made = JudgedRun(
        name=folder.name,
        folder=folder,
        status="completed",
        reason="",
        step=steps[-1],
        total_steps=steps[-1],
        prompts={name: PROMPTS[name] for name in names},
        verdict=verdict,
        steps=judged,
        pictures=(*base, *shown),
        curves=curves(steps[-1]),
        phases=tuple(one for one in PHASES if one.start <= steps[-1]),
        weights=(),
        cost=Cost(31.4, 40.51, "Lambda's list of November 2026, $1.29 an hour", 4.7),
        settings=SETTINGS,
        dataset=DatasetShort(
            6_414,
            "5f" * 32,
            "Image of a Japanese kanji character 亜 in plain font. The character means: Asia, rank next, come after.",
            "",
            "black strokes on white, 1024 px",
        ),
        warnings=("the learning rate of 1.05e-3 is more than SD3.5 Large is known to bear",),
        facts=FACTS,
    )
    return replace(made, **changes)


def one_checkpoint(folder: Path) -> JudgedRun:
    """A run of a single checkpoint with a single, wide picture."""
    run = healthy(folder, checkpoints=1, prompts=1)
    Image.new("RGB", (96, 40), "white").save(folder / "wide.png")
    only = [replace(one, cell=replace(one.cell, path=folder / "wide.png")) for one in run.pictures[1:]]
    return replace(run, pictures=tuple(only))


def empty(folder: Path) -> JudgedRun:
    """A run that crashed before its first checkpoint: no pictures, no curves."""
    folder.mkdir(parents=True, exist_ok=True)
    run = healthy(folder, checkpoints=1, prompts=1)
    return replace(
        run,
        status="crashed",
        reason="CUDA out of memory while loading /home/alice/models/sd35",
        step=0,
        total_steps=24_000,
        verdict=Verdict("none", None, "the run has no checkpoint", ()),
        steps=(),
        pictures=(),
        curves=Curves((), (), (), ()),
        phases=(),
        cost=Cost(0.02, None, "", None),
    )


def crashed(folder: Path) -> JudgedRun:
    """A run that ended in the middle of an explosion that was never over."""
    run = healthy(folder, checkpoints=20)
    phase = Phase(7_700, None, "the gradient is up to 900 times its usual level from step 7,700 to the end")
    return replace(
        run,
        status="crashed",
        reason="the loss is not a number at step 8,012",
        step=8_012,
        total_steps=24_000,
        phases=(PHASES[0], phase),
        warnings=(*run.warnings, "the run ended in an explosion"),
    )


def cannot_tell(folder: Path, **changes: Any) -> JudgedRun:
    """A run whose sound checkpoints are all as good as each other."""
    run = healthy(folder, **changes)
    ranked = tuple(replace(one, is_tied=not one.flags, low=20, high=95) for one in run.verdict.ranked)
    why = "the scores of the sound checkpoints do not differ by more than chance"
    return replace(run, verdict=Verdict("cannot tell", None, why, ranked))


def all_dropped(folder: Path) -> JudgedRun:
    """A run of which every checkpoint exploded."""
    run = healthy(folder, checkpoints=6, prompts=4)
    flags = (Flag("pictures", "7 of 8 pictures are noise"),)
    steps = tuple(replace(one, flags=flags, score=3.0) for one in run.steps)
    ranked = tuple(replace(one, flags=flags, score=3.0, smooth=3.0, is_tied=False) for one in run.verdict.ranked)
    verdict = Verdict("none", None, "none of 6 checkpoints is sound", ranked)
    return replace(run, steps=steps, verdict=verdict, phases=())


def with_weights(run: JudgedRun) -> JudgedRun:
    """``run`` with the size of its adapters."""
    points = [
        WeightPoint(one.step, 2 + one.step / 2e3, 0.4 + one.step / 9e3, 1.02, "blocks.3.attn.to_q", 96, "")
        for one in run.steps
    ]
    points[3:4] = [replace(points[3], frobenius=math.nan, fault="not finite")]
    return replace(run, weights=tuple(points))


def with_parts(run: JudgedRun) -> JudgedRun:
    """``run`` as the trained judge sees it too."""
    parts = Parts(("山", "丘"), ("山",), (("岳", 0.81), ("岩", 0.72)), 0.34)
    return replace(run, pictures=tuple(replace(one, parts=parts) for one in run.pictures))


def paint(folder: Path, prompts: int, side_px: int = 64) -> list[Path]:
    """A picture of strokes for each prompt, and a last one of noise."""
    output = folder / "output" / "validation_images"
    output.mkdir(parents=True, exist_ok=True)
    files = [output / f"picture_{number}.png" for number in range(prompts)]
    for number, path in enumerate(files):
        drawn = Image.new("RGB", (side_px, side_px), "white")
        draw = ImageDraw.Draw(drawn)
        for row in range(3 + number % 4):
            draw.line((8, 10 + 11 * row, side_px - 8, 8 + 12 * row), "black", 3)
        draw.line((side_px // 2, 4, side_px // 2 - number, side_px - 4), "black", 3)
        drawn.save(path)
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(output / "noise.png")
    return [*files, output / "noise.png"]


def picture(
    files: Sequence[Path], folder: Path, step: int, prompt: str, seed: int, is_base: bool = False
) -> PictureScore:
    """A judged one, as good as its step."""
    number = list(PROMPTS).index(prompt)
    bad = exploded(step)
    value = 4.0 + number if bad else quality(step) + 3 * math.sin(step / 500 + 2 * number)
    cell = Cell(step, prompt, seed, files[-1] if bad else files[number], is_base=is_base)
    oddities = ("border is dark", "many specks") if bad else ("stroke width uneven",)
    fault = "noise instead of ink on paper" if bad else ""
    return PictureScore(cell, {"ink": 0.13}, 2.4 if bad else 0.03, 1.9 if bad else 0.2, value, fault, oddities)


def exploded(step: int) -> bool:
    return any(one.start <= step <= (one.end or step) for one in PHASES)


def quality(step: int) -> float:
    return 78 - 60 * math.exp(-step / 2_500) - max(0, step - 15_000) / 1_200


def judged_step(step: int, shown: Sequence[PictureScore]) -> JudgedStep:
    flags = [Flag("pictures", f"{len(shown)} of {len(shown)} pictures exploded")] if exploded(step) else []
    flags += [Flag("gradient", "inside an explosion, or just behind one")] if exploded(step - 200) else []
    score = sum(one.score for one in shown) / len(shown)
    path = f"output/checkpoint-{step}"
    return JudgedStep(step, True, path, len(shown), shown[0].style, shown[0].shape, score, tuple(flags))


def chosen(steps: Sequence[JudgedStep]) -> Verdict:
    """The best of those without a flag, in a tie with whatever is about as good."""
    sound = [one for one in steps if not one.flags]
    best = max(one.score or 0 for one in sound)
    ranked = []
    for one in steps:
        value = one.score or 0.0
        is_tied = not one.flags and value > best - 0.9
        ranked.append(Ranked(one.step, value, value, value - 3.1, value + 2.9, one.flags, is_tied))
    step = min(one.step for one in ranked if one.is_tied)
    why = "it is the earliest of those that may be the best, and no witness speaks against it"
    return Verdict("chosen", step, why, tuple(ranked))


def curves(last: int, points: int = 600) -> Curves:
    """A noisy loss, a gradient that explodes twice, a rate with a warmup; with gaps and what is not finite."""
    random = np.random.default_rng(1)
    steps = sorted({max(1, round(last * (number + 1) / points)) for number in range(points)})
    factors = [20.0 if exploded(step) else 1.0 for step in steps]
    gradient: list[float | None] = [0.2 * factor * math.exp(random.normal(0, 0.3)) for factor in factors]
    loss: list[float | None] = [0.25 + 0.1 / (1 + step / 900) + random.normal(0, 0.012) for step in steps]
    rate = [1.05e-3 * min(step / 2_400, 0.5 * (1 + math.cos(math.pi * step / last))) for step in steps]
    loss[len(loss) // 3] = math.nan
    gradient[len(gradient) // 7] = None
    return Curves(tuple(steps), tuple(loss), tuple(gradient), tuple(rate))
