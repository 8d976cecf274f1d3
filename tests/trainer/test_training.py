"""A whole tiny run of the real SimpleTuner on real kanji, from build to checkpoint, by the printed command."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep import metadata
from kanjiprep.training import configs, curve, disk, machines, pictures, presets
from kanjiprep.training.trainer import Trainer

pytestmark = pytest.mark.trainer

SAMPLES = 20
STEPS = 9


@dataclass(frozen=True)
class Run:
    folder: Path
    dataset: Path
    before: dict[str, bytes]

    @property
    def output(self) -> Path:
        return self.folder / "output"


def kanjiprep(folder: Path, trainer: Trainer, *arguments: str) -> str:
    environ = {**os.environ, "KANJIPREP_SIMPLETUNER": str(trainer.python)}
    line = [sys.executable, "-m", "kanjiprep", *arguments]
    done = subprocess.run(line, cwd=folder, env=environ, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told_steps(trained: Run) -> list[tuple[int, dict[str, float]]]:
    lines = (trained.output / "training_metrics.jsonl").read_text("utf-8").splitlines()
    return [(one["step"], one["metrics"]) for one in map(json.loads, lines)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def trained(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    kanjiprep(folder, trainer, "build", "--limit", str(SAMPLES), "--size-px", "256")
    before = contents(folder / "dataset")
    line = kanjiprep(
        folder, trainer, "launch-simpletuner", "tiny-cpu", "--set", f"training.steps={STEPS}", "--dry-run"
    )
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env=environ, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Run(folder / "runs" / "tiny-cpu", folder / "dataset", before)


def test_the_run_ends_as_many_steps_later_as_were_counted(trained: Run) -> None:
    epochs = {step: metrics["epoch"] for step, metrics in told_steps(trained) if "epoch" in metrics}
    assert epochs == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2, 7: 2, 8: 2, 9: 3}, "20 pictures in batches of 6 are 4 steps"
    told = json.loads((trained.output / "training_metrics.json").read_text("utf-8"))
    assert (told["status"], told["last_step"]) == ("completed", STEPS)
    made = sorted(path.name for path in trained.output.glob("checkpoint-*"))
    assert made == ["checkpoint-4", "checkpoint-8"], "at multiples of the interval, and not at the end"
    for step in (4, 8):
        assert (trained.output / f"checkpoint-{step}" / ".guard").read_text("utf-8").strip() == "complete"


def test_the_captions_that_were_learnt_are_those_of_the_table(trained: Run) -> None:
    captions = [caption for _, caption in metadata.read_rows(trained.dataset / metadata.NAME)]
    assert len(captions) == SAMPLES
    cached = {path.name for path in (trained.folder / "cache" / "text").glob("*.pt")}
    expected = {f"{hashlib.md5(caption.encode(), usedforsecurity=False).hexdigest()}-sd3.pt" for caption in captions}
    assert expected <= cached
    assert len(cached - expected) <= 4, "the two prompts, the negative prompt and the empty caption"
    assert len(list((trained.folder / "cache" / "vae").rglob("*.pt"))) == SAMPLES


def test_the_dataset_folder_is_as_it_was_built(trained: Run) -> None:
    assert contents(trained.dataset) == trained.before


def test_the_learning_rate_of_every_step_is_the_planned_one(trained: Run) -> None:
    seen = {step: metrics["learning_rate"] for step, metrics in told_steps(trained) if "learning_rate" in metrics}
    planned = curve.rates(curve.scheduler_of(presets.load("tiny-cpu").spec, STEPS))
    assert sorted(seen) == list(range(1, STEPS + 1))
    for step, rate in seen.items():
        assert rate == pytest.approx(planned[step], rel=1e-6), "a line holds the rate after its step"


def test_every_prompt_was_painted_at_every_checkpoint_and_nothing_else(trained: Run) -> None:
    painted = sorted(path.name for path in (trained.output / "validation_images").iterdir())
    assert painted == sorted(
        f"step_{step}_{name}_0_256x256.png" for step in (4, 8) for name in ("mountains", "pikachu")
    )
    with Image.open(trained.output / "validation_images" / painted[0]) as picture:
        assert picture.width == 256, (
            "not stitched beside the base model; the prompt is written below where there is a font"
        )


def test_the_adapter_is_as_large_as_was_computed(trained: Run) -> None:
    checkpoint = disk.checkpoint(machines.workload_of(presets.load("tiny-cpu").spec), SAMPLES, 2)
    real = (trained.output / "checkpoint-8" / "pytorch_lora_weights.safetensors").stat().st_size
    assert real == pytest.approx(checkpoint.weights.value, rel=0.1)
    optimizer = (trained.output / "checkpoint-8" / "optimizer.bin").stat().st_size
    assert optimizer == pytest.approx(checkpoint.optimizer.value, rel=0.1)


def test_the_captions_file_is_what_the_dataset_says(trained: Run) -> None:
    lines = (trained.folder / "config" / configs.CAPTIONS).read_bytes()
    assert lines == pictures.captions_jsonl(pictures.read(trained.dataset, lambda *_: None))
