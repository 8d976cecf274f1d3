"""Small made-up run folders, as the trainer and its supervisor leave them behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw, PngImagePlugin

from kanjiprep.training.presets import Preset
from kanjiprep.training.running import files
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.events import Alert, Checkpoint, Event, Exit, Validation
from tests.test_attempts import TINY, launched, record
from tests.test_events import attempt, step

ENVIRONMENT: Final[dict[str, Any]] = {
    "kanjiprep": "0.1.0",
    "commit": "",
    "python": "3.11.7",
    "system": "Linux",
    "simpletuner": "4.10.1",
    "trainer": "/home/alice/envs/simpletuner/bin/python",
    "packages": {"torch": "2.13.0", "diffusers": "0.42.1"},
    "gpus": ["NVIDIA A100", "NVIDIA A100", "NVIDIA A100"],
    "driver": "580",
    "dataset": "/home/alice/my kanji/dataset",
    "digest": "ab" * 32,
    "pictures": 12,
    "is_built": True,
}
COMPLETED: Final = Exit("completed", 0, "", 8)


def prepared(folder: Path, preset: Preset = TINY, **order: Any) -> Path:
    """A run folder in which a run was launched that has nothing on record yet."""
    run = launched(folder, preset, **order)
    write_environment(run)
    return run


def trained(folder: Path, *more: Event, preset: Preset = TINY, **order: Any) -> Path:
    """A run of eight steps with checkpoints of steps 4 and 8, and ``more`` on record before its end."""
    run = prepared(folder, preset, **order)
    record(run, attempt(), *map(step, range(1, 9)), keep(run, 4), keep(run, 8), *more, COMPLETED)
    return run


def write_environment(run: Path, **changes: object) -> None:
    (run / files.ENVIRONMENT).write_text(json.dumps(ENVIRONMENT | changes, ensure_ascii=False), "utf-8")


def keep(run: Path, number: int, base: int = 0, output: str = "output") -> Checkpoint:
    """A whole checkpoint folder, and its event; ``number`` is the trainer's, after ``base`` steps of the run."""
    folder = run / output / f"checkpoint-{number}"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / ".guard").write_bytes(b"complete")
    return Checkpoint(base + number, f"{output}/{folder.name}", 7)


def paint(run: Path, number: int, prompt: str, *faults: str, side_px: int = 64, **changes: Any) -> Validation:
    """A validation picture with the trainer's black strip below it, and its event."""
    path = f"output/validation_images/step_{number}_{prompt}_0_{side_px}x{side_px}.png"
    (run / path).parent.mkdir(parents=True, exist_ok=True)
    drawn = Image.new("RGB", (side_px, side_px + 40), "black")
    drawn.paste(Image.new("RGB", (side_px, side_px), changes.pop("colour", "white")), (0, 0))
    drawn.save(run / path, **changes)
    return Validation(number, prompt, path, faults)


def stitched(side_px: int, before: str, now: str) -> Image.Image:
    """Two pictures as SimpleTuner puts them side by side, with a label, a column and a strip more."""
    whole = Image.new("RGB", (2 * side_px + 6, side_px + 30), "black")
    whole.paste(Image.new("RGB", (2 * side_px + 6, side_px), "white"), (0, 0))
    whole.paste(Image.new("RGB", (side_px, side_px), before), (0, 0))
    whole.paste(Image.new("RGB", (side_px, side_px), now), (side_px + 5, 0))
    ImageDraw.Draw(whole).text((side_px + 15, 10), "checkpoint", "white")
    return whole


def secret_texts() -> PngImagePlugin.PngInfo:
    """Text chunks that nobody else should read."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("path", "/home/alice/secret")
    return texts


def explosion(since: int, told_at: int) -> Alert:
    return Alert(
        "explosion", "error", told_at, f"the gradient is up to 30.0 times its usual level since step {since}", since
    )


def calm(at: int, since: int) -> Alert:
    return Alert("explosion", "note", at, f"the explosion since step {since} is over", at)
