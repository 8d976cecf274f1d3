"""Rehearsals in the real SimpleTuner: presets for GPUs, on a CPU, with captions that are hard to carry."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from kanjiprep import metadata
from kanjiprep.progress import silent
from kanjiprep.training import gpus, launch, pictures, presets, rehearsal
from kanjiprep.training.configs import Places
from kanjiprep.training.launch import LaunchRequest
from kanjiprep.training.machines import Market
from kanjiprep.training.rehearsal import Rehearsal
from kanjiprep.training.trainer import Trainer
from tests.trainer.test_training import kanjiprep

pytestmark = pytest.mark.trainer

SAMPLES = 45
ROUNDS = (rehearsal.EVERY_STEPS, 2 * rehearsal.EVERY_STEPS)
ODD = {
    38: "a \"double\" quote, an 'other'",
    39: "a \\ backslash, {braces} and {{ more }}, 100 %",
    40: "two\nlines",
    41: "𠮟 beyond sixteen bits",
    42: "e\u0301 combined",
    44: "long, " * 200,
}
"""Captions by row, behind the first rows, which any sample would have."""


@dataclass(frozen=True)
class Rehearsed:
    folder: Path
    rehearsal: Rehearsal

    @property
    def output(self) -> Path:
        return self.folder / "output"


@pytest.fixture(scope="module")
def dataset(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real kanji, some with captions of ours."""
    folder = tmp_path_factory.mktemp("hard")
    kanjiprep(folder, trainer, "build", "--limit", str(SAMPLES), "--size-px", "128")
    table = folder / "dataset" / metadata.NAME
    rows = metadata.read_rows(table)
    table.write_bytes(metadata.to_csv((name, ODD.get(index, caption)) for index, (name, caption) in enumerate(rows)))
    return folder / "dataset"


@pytest.fixture(scope="module", params=["sd15-full", "sd35-large-lora"])
def rehearsed(
    request: pytest.FixtureRequest, trainer: Trainer, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Rehearsed:
    folder = tmp_path_factory.mktemp("rehearsal")
    made = rehearsal.rehearsal_of(presets.load(request.param), pictures.read(dataset, silent))
    places = Places(folder / "run", folder / "models")
    wanted = LaunchRequest(made.preset, made.dataset, places, trainer, Market(gpus.load()))
    line = launch.prepare(wanted, silent).line
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env=environ, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Rehearsed(folder / "run", made)


def test_it_ends_completed_with_whole_checkpoints(rehearsed: Rehearsed) -> None:
    told = json.loads((rehearsed.output / "training_metrics.json").read_text("utf-8"))
    assert (told["status"], told["last_step"]) == ("completed", rehearsal.STEPS)
    checkpoints = sorted(rehearsed.output.glob("checkpoint-*"))
    assert [path.name for path in checkpoints] == [f"checkpoint-{step}" for step in ROUNDS]
    for path in checkpoints:
        assert (path / ".guard").read_text("utf-8").strip() == "complete"


def test_every_prompt_is_painted_at_every_checkpoint(rehearsed: Rehearsed) -> None:
    names = rehearsed.rehearsal.preset.prompts.by_name
    painted = sorted(path.name for path in (rehearsed.output / "validation_images").iterdir())
    assert painted == sorted(f"step_{step}_{name}_0_256x256.png" for step in ROUNDS for name in names)


def test_the_captions_that_were_learnt_are_those_of_the_sample(rehearsed: Rehearsed) -> None:
    captions = {one.caption for one in rehearsed.rehearsal.dataset.pictures}
    assert set(ODD.values()) <= captions
    family = rehearsed.rehearsal.preset.spec.model.family
    expected = {
        f"{hashlib.md5(text.strip().encode(), usedforsecurity=False).hexdigest()}-{family}.pt"
        for text in captions  # the trainer takes the space from both ends, and nothing else
    }
    cached = {path.name for path in (rehearsed.folder / "cache" / "text").glob("*.pt")}
    assert expected <= cached
    prompts = rehearsed.rehearsal.preset.prompts.by_name
    assert len(cached - expected) <= len(prompts) + 2, "the prompts, the negative prompt and the empty caption"
    assert len(list((rehearsed.folder / "cache" / "vae").rglob("*.pt"))) == len(rehearsed.rehearsal.dataset.pictures)
