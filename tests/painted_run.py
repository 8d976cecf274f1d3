"""Run folders with painted pictures of known quality: what a trainer would have left behind, without one."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from kanjiprep import metadata
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation.proof import corruptions
from kanjiprep.training.running import files
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.events import Checkpoint, Event, Exit, Step, Validation
from kanjiprep.training.running.record import Record
from tests.run_folders import prepared
from tests.sources import Group
from tests.test_corruptions import KANJI, glyph
from tests.test_events import attempt, moment

STRIP_PX: Final = 47
"""Height of the black strip that SimpleTuner adds below."""
_WATER: Final = (
    "M54,12C55,35,53,70,50,92C48,98,44,94,40,90",
    "M15,38C25,37,35,35,40,36C36,55,25,72,12,82",
    "M88,28C78,38,68,46,60,50",
    "M57,48C66,64,80,78,96,86",
)
_FIRE: Final = (
    "M28,38C32,46,33,52,30,60",
    "M80,32C76,42,70,50,64,56",
    "M54,14C55,40,46,72,14,94",
    "M54,50C62,68,78,84,98,92",
)
GLYPHS: Final = (KANJI, glyph("水", Group("水", _WATER)), glyph("火", Group("火", _FIRE)))
"""Bent as a hand bends them: level strokes alone are much like a grid to the judge."""
TRAINING: Final = 12
"""So many pictures a small run was trained on."""


@dataclass(frozen=True)
class Painting:
    """What a run painted.

    Attributes:
        checkpoints: How many.
        every_steps: Steps between two of them.
        prompts: Short names; each paints a character of its own.
        best: Number of the checkpoint from which on damage is least.
        exploded: Numbers of the checkpoints in explosions.
        damage: Kind of damage that training takes away.
        size_px: Of the pictures.
        has_base: Whether pictures of step 0 are there.
    """

    checkpoints: int = 12
    every_steps: int = 100
    prompts: tuple[str, ...] = ("mountains", "dragon", "robot", "uncle")
    best: int = 8
    exploded: tuple[int, ...] = ()
    damage: str = "warp"
    size_px: int = 256
    has_base: bool = False

    def severity(self, number: int) -> float:
        """Of the damage at checkpoint ``number``, from 1."""
        return max(0.0, 1 - (number - 1) / max(1, self.best - 1))


SMALL: Final = Painting(checkpoints=8, every_steps=10, prompts=("a", "b", "c"), best=5, exploded=(3,), size_px=128)
"""Judged in a third of a second; its explosion is too short for the guard to see."""


def small(folder: Path, painting: Painting = SMALL, **more: Any) -> Path:
    """A run folder as by ``painted``, in ``folder``, which is the dataset that it was trained on."""
    names = [f"{number}.png" for number in range(TRAINING)]
    for number, name in enumerate(names):
        drawn = corruptions.draw_sound(GLYPHS[number % len(GLYPHS)], np.random.default_rng(number), 128)
        Image.fromarray(drawn).convert("L").save(folder / name)
    (folder / metadata.NAME).write_bytes(metadata.to_csv((name, "a kanji") for name in names))
    return painted(folder, GLYPHS, painting, **more)


def copied(run: Path, folder: Path, name: str = "mine") -> Path:
    """``run`` once more, as ``runs/NAME`` in ``folder``; its training pictures stay where they are."""
    return Path(shutil.copytree(run, folder / "runs" / name, symlinks=True))


def forget(run: Path, *words: str) -> None:
    """Take the lines of the record away that have all of ``words``."""
    lines = (run / files.EVENTS).read_text("utf-8").splitlines(keepends=True)
    (run / files.EVENTS).write_text("".join(one for one in lines if not all(word in one for word in words)), "utf-8")


def picture_of(run: Path, step: int, prompt: str = "a", side_px: int = 128) -> Path:
    """The file of a validation picture of ``run``."""
    return run / f"output/validation_images/step_{step}_{prompt}_0_{side_px}x{side_px}.png"


def record(run: Path, *found: Event) -> None:
    """Put any number of events on record, two seconds apart."""
    seconds = itertools.count(0, 2)
    written = Record(run, lambda: moment(float(next(seconds))))
    for event in found:
        written.add(event)


def painted(
    folder: Path, glyphs: Sequence[GlyphStrokes], painting: Painting, seed: int = 0, ends: bool = True
) -> Path:
    """A run folder in which a run went on as ``painting`` says, with ``glyphs`` as its characters."""
    run = prepared(folder)
    last = max(1, painting.checkpoints * painting.every_steps)
    events = [attempt(total_steps=last), *_history(run, glyphs, painting, seed)]
    record(run, *events, *([Exit("completed", 0, "", last)] if ends else []))
    order = json.loads((run / files.ORDER).read_bytes())
    (run / files.ORDER).write_text(
        json.dumps(order | {"total_steps": last, "prompts": len(painting.prompts)}), "utf-8"
    )
    prompts = {name: f"Image of a Japanese kanji character: {name}" for name in painting.prompts}
    (run / "config" / "prompts.json").write_text(json.dumps(prompts), "utf-8")
    return run


def _history(run: Path, glyphs: Sequence[GlyphStrokes], painting: Painting, seed: int) -> Iterator[Event]:
    (run / "output/validation_images").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    if painting.has_base:
        yield from _round(run, glyphs, painting, 0, seed)
    for number in range(1, painting.checkpoints + 1):
        for step in range((number - 1) * painting.every_steps + 1, number * painting.every_steps + 1):
            factor = 30.0 if number in painting.exploded else 1.0
            gradient = 0.02 * factor * float(random.lognormal(0, 0.2))
            yield Step(step, 0.3 * float(random.lognormal(0, 0.1)), gradient, 1e-3 / (1 + step / 1000), 2.0, 1.0)
        step = number * painting.every_steps
        folder = run / f"output/checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(b"weights")
        (folder / ".guard").write_bytes(b"complete")
        yield Checkpoint(step, f"output/checkpoint-{step}", 7)
        yield from _round(run, glyphs, painting, number, seed)


def _round(run: Path, glyphs: Sequence[GlyphStrokes], painting: Painting, number: int, seed: int) -> Iterator[Event]:
    for index, prompt in enumerate(painting.prompts):
        step, side = number * painting.every_steps, painting.size_px
        path = f"output/validation_images/step_{step}_{prompt}_0_{side}x{side}.png"
        pixels = _picture(glyphs, painting, number, index, seed)
        whole = Image.new("RGB", (side, side + STRIP_PX), "black")
        whole.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), (0, 0))
        whole.save(run / path, compress_level=1)
        yield Validation(step, prompt, path, ())


def _picture(
    glyphs: Sequence[GlyphStrokes], painting: Painting, number: int, index: int, seed: int
) -> np.typing.NDArray[np.uint8]:
    random = np.random.default_rng((seed, number, index))
    glyph, others = glyphs[index % len(glyphs)], [one for one in glyphs if one is not glyphs[index % len(glyphs)]]
    if number == 0:
        return corruptions.draw("blotch", 1.0, glyph, others, random)
    if number in painting.exploded:
        return corruptions.draw("noise", 0.7, glyph, others, random)
    severity = painting.severity(number)
    if severity <= 0:
        return corruptions.draw_sound(glyph, random)
    return corruptions.draw(painting.damage, severity, glyph, others, random)
